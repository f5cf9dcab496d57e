"""Samples that differ in tasks and modalities, and samples and labels that travel."""

from __future__ import annotations

from typing import Any

import pytest

from models import catalog
from models.cluster import Cluster
from models.errors import InputError
from models.workload import Workload
from solver.execution.support import check_executable
from solver.execution.workers.pool import LocalPool
from solver.plan import Plan
from tests.execution import plans
from tests.execution.test_run import FOUR, VIT, assert_transparent, execute

TASKS = catalog.workload("vit_two_tasks")
TRUNK = [block.name for block in TASKS.blocks[:5]]
DIGIT, PARITY = ["digit.mlp", "digit.head"], ["parity.head"]
MIXED = [
    {"samples": 4, "tasks": {"digit": 1, "parity": 3}},
    {"samples": 4},
    {"samples": 6, "tasks": {"parity": 2, "digit": 4}},
    {"samples": 4, "tasks": {"digit": 4}},
]


def mixed(workload: str, samples: int, batches: list[dict[str, Any]], *stages: Any, **job: Any) -> Plan:
    words = {"optimizer": "adamw", "precision": "fp64", "batch": sum(batch["samples"] for batch in batches)}
    pipeline = plans.pipeline(1, samples, *stages) | {"micro_batches": batches}
    named = {"workload": {"name": workload}, "cluster": {"name": "test"}, "job": {**words, **job}}
    return Plan.model_validate({**named, "pipelines": [pipeline]})


def owners(**data: list[str]) -> Cluster:
    """The four devices; some own data."""
    devices = [
        device.model_copy(update={"data": tuple(data.get(device.name, ()))}) for device in FOUR.devices
    ]
    return FOUR.model_copy(update={"devices": tuple(devices)})


def changed(workload: Workload, **data: dict[str, Any]) -> Workload:
    """A card on which blocks read data of some owner."""
    plain = workload.model_dump(mode="json")
    for block in plain["blocks"]:
        block["data"] = data.get(block["name"].replace(".", "_"), block["data"])
    return Workload.model_validate(plain)


def test_heads_see_the_samples_of_their_task(pool: LocalPool) -> None:
    stages = [(TRUNK, {"a": 3, "b": 1}), (DIGIT, {"c": 4}), (PARITY, {"d": 4})]
    result = execute(mixed("vit_two_tasks", 4, MIXED, *stages), pool, TASKS)
    assert_transparent(result, 1e-10)
    # The trunk's tokens go to the heads whose task a sample is of: 1 + 4 + 4 + 4 digits, 3 + 4 + 2 parities.
    sample = 2 * TASKS.by_name[TRUNK[-1]].output_bytes
    traffic = result.report.traffic
    assert traffic["a", "c"] + traffic["b", "c"] == 13 * sample
    assert traffic["a", "d"] + traffic["b", "d"] == 9 * sample


def test_a_stage_of_trunk_and_heads_slices_what_it_computes(pool: LocalPool) -> None:
    names = [*TRUNK, *DIGIT, *PARITY]
    stages = [(names[:2], {"a": 4}), (names[2:], {"a": 1, "b": 3})]
    assert_transparent(execute(mixed("vit_two_tasks", 4, MIXED, *stages), pool, TASKS), 1e-10)


@pytest.mark.parametrize(("mode", "shares"), [("tensor", {"a": 1, "b": 3}), ("sequence", {"a": 6, "b": 10})])
def test_a_group_cuts_the_samples_of_one_task(pool: LocalPool, mode: str, shares: dict[str, int]) -> None:
    plan = mixed("vit_two_tasks", 4, MIXED, ([*TRUNK, *DIGIT, *PARITY], shares))
    stages = plan.model_dump(mode="json", exclude_defaults=True)
    stages["pipelines"][0]["stages"][0]["mode"] = mode
    assert_transparent(execute(Plan.model_validate(stages), pool, TASKS), 1e-10)


def test_a_head_without_samples_is_left_as_it_decays(pool: LocalPool) -> None:
    stages = [(TRUNK, {"a": 4}), (DIGIT, {"a": 2, "b": 2}), (PARITY, {"b": 4})]
    result = execute(mixed("vit_two_tasks", 4, MIXED[3:], *stages), pool, TASKS)
    assert_transparent(result, 1e-10)


def test_an_absent_modality_is_zeros(pool: LocalPool) -> None:
    card, parts = plans.dag()
    batches = [{"samples": 4}, {"samples": 4, "modalities": ["gyroscope"]}, {"samples": 2}]
    stages = [(parts["accelerometer"], {"a": 4}), (parts["gyroscope"], {"b": 4})]
    plan = mixed("imu_motions", 4, batches, *stages, (parts["trunk"], {"c": 3, "d": 1}))
    assert_transparent(execute(plan, pool, card), 1e-10)
    together = mixed("imu_motions", 4, batches, ([block.name for block in card.blocks], {"a": 3, "b": 1}))
    assert_transparent(execute(together, pool, card), 1e-10)


@pytest.mark.parametrize("precision", ["fp32", "fp64", "bf16"])
def test_samples_and_labels_are_sent_by_their_owners(pool: LocalPool, precision: str) -> None:
    card = changed(VIT, embedding={"name": "camera", "bytes_per_sample": 256, "may_leave": True},
                   head={"name": "labels", "bytes_per_sample": 8, "may_leave": True})  # fmt: skip
    plan = plans.plan([plans.pipeline(2, 4, (plans.VIT[:5], {"a": 3, "b": 1}), (plans.VIT[5:], {"c": 4}))],
                      precision=precision)  # fmt: skip
    result = execute(plan, pool, card, owners(b=["camera"], d=["labels"]), mode="padded", dilation=2.0)
    # Two micro-batches: three images from b to a, four labels from d to c.
    assert result.report.raw_bytes == 2 * (3 * 256 + 4 * 8)
    assert result.traffic() == result.report.program.bytes_by_pair()
    assert result.traffic()["d", "c"] == 2 * 4 * 8
    if precision != "bf16":
        assert_transparent(result)


def test_what_is_private_or_of_another_size_is_not_sent() -> None:
    data = {"name": "camera", "bytes_per_sample": 256, "may_leave": False}
    with pytest.raises(InputError, match="camera may not leave b, and a would read them"):
        check_executable(plans.data_plan(), changed(VIT, embedding=data), owners(b=["camera"]))
    data |= {"bytes_per_sample": 64, "may_leave": True}
    with pytest.raises(InputError, match="a sample has 256 bytes, the card says 64"):
        check_executable(plans.data_plan(), changed(VIT, embedding=data), owners(b=["camera"]))
