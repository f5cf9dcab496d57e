"""The undivided run on samples that differ in tasks and modalities."""

from __future__ import annotations

import torch

from models import catalog
from models.nets.catalog import build
from solver.execution.passes.portions import Portion, portions, task_samples
from solver.execution.passes.shapes import output_shapes
from solver.execution.reference import undivided
from tests.execution import plans

TASKS = catalog.workload("vit_two_tasks")
MOTIONS = catalog.workload("imu_motions")


def mixed(workload: str, samples: int, *batches: dict[str, object]) -> plans.Plan:
    card = catalog.workload(workload)
    stage = {"blocks": [block.name for block in card.blocks], "shares": {"a": samples}}
    job = {"batch": sum(int(str(batch["samples"])) for batch in batches), "precision": "fp64"}
    pipeline = {"micro_batches": list(batches), "samples": samples, "stages": [stage]}
    return plans.Plan.model_validate(
        {"workload": {"name": workload}, "cluster": {"name": "test"}, "job": job, "pipelines": [pipeline]}
    )


def test_samples_are_cut_where_tasks_change() -> None:
    plan = mixed("vit_two_tasks", 3, {"samples": 3, "tasks": {"digit": 1, "parity": 2}}, {"samples": 3})
    assert portions(plan, TASKS) == [Portion((0, 1), "digit"), Portion((1, 3), "parity"), Portion((3, 6))]
    assert task_samples(plan, TASKS) == {"digit": 4, "parity": 5}
    alike = mixed("vit_two_tasks", 3, {"samples": 3}, {"samples": 3})
    assert portions(alike, TASKS) == [Portion((0, 6))]
    nothing = mixed("vit_two_tasks", 3, {"samples": 3}, {"samples": 3, "modalities": []})
    assert portions(nothing, TASKS) == [Portion((0, 3))]


def test_each_task_is_averaged_over_its_own_samples() -> None:
    plan = mixed("vit_two_tasks", 3, {"samples": 3, "tasks": {"digit": 1, "parity": 2}}, {"samples": 3})
    net = build("vit_two_tasks", dtype=torch.float64)
    assert net.dataset is not None
    batch = net.dataset.batch(0, 6, dtype=torch.float64)
    outputs = net.forward(batch.inputs)
    digit, parity = (net.losses[f"{task}.head"].function for task in ("digit", "parity"))
    of_digit = [0, 3, 4, 5]
    digits = digit(outputs["digit.head"][of_digit], batch.targets["digit"][of_digit]) / 4
    parities = parity(outputs["parity.head"][1:], batch.targets["parity"][1:]) / 5
    losses, _ = undivided(plan, TASKS, 1, 0, None)
    torch.testing.assert_close(losses[0], (digits + 0.5 * parities).item())


def test_zeros_stand_for_what_absent_modalities_would_give() -> None:
    plan = mixed("imu_motions", 2, {"samples": 2}, {"samples": 2, "modalities": ["gyroscope"]})
    net = build("imu_motions", dtype=torch.float64)
    assert net.dataset is not None
    batch = net.dataset.batch(0, 4, dtype=torch.float64)
    seen: list[torch.Tensor] = []
    net.blocks["fusion"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with_both = net.forward({name: raw[:2] for name, raw in batch.inputs.items()})["head"]
    with_one = net.forward({"gyroscope": batch.inputs["gyroscope"][2:]}, output_shapes(MOTIONS))["head"]
    assert seen[0].any() and not seen[1].any()
    total = net.losses["head"].function(torch.cat([with_both, with_one]), batch.targets["motion"])
    losses, _ = undivided(plan, MOTIONS, 1, 0, None)
    torch.testing.assert_close(losses[0], total.item() / 4)
