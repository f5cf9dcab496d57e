from __future__ import annotations

from typing import Any

import pytest

from models import catalog
from models.errors import InputError
from solver.evaluate import evaluate
from solver.execution.support import check_executable, check_room
from tests.execution import plans

VIT = catalog.workload("vit_digits")
TWO = plans.cluster("a", "b")


def test_data_pipeline_and_hybrid_plans_are_executable() -> None:
    for plan in (plans.data_plan(), plans.chain_plan(), plans.hybrid_plan(precision="fp64")):
        check_executable(plan, VIT, plans.cluster("a", "b", "c", "d"))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"job": {"batch": 16, "kind": "serve"}}, "job.kind"),
        ({"job": {"batch": 16, "precision": "fp16"}}, "job.precision"),
        (
            {"copies": "per_pipeline", "sync": {"every": 2, "topology": "star", "server": "a"}},
            "copies",
        ),
        (
            {
                "backup": [{"stage": [0, 0], "on": "b", "every": 2}],
                "sync": {"every": 2, "topology": "star", "server": "a"},
            },
            "backup.0.every",
        ),
        (
            {"job": {"batch": 16, "tune": "lora", "lora_rank": 4}, "devices": {"a": {"rank": 2}}},
            "devices.a.rank",
        ),
        (
            {
                "job": {"batch": 16, "tune": "lora", "lora_rank": 4},
                "devices": {"a": {"rank": 2}, "b": {"rank": 2}},
                "backup": [{"stage": [0, 0], "on": "b"}],
            },
            "backup.0.stage",
        ),
    ],
)
def test_what_is_not_executable_yet_is_named(change: dict[str, Any], path: str) -> None:
    data = plans.data_plan().model_dump(mode="json", exclude_defaults=True)
    with pytest.raises(InputError) as caught:
        check_executable(type(plans.data_plan()).model_validate({**data, **change}), VIT, TWO)
    assert path in [fault.path for fault in caught.value.faults]


def test_a_plan_that_needs_more_memory_than_this_machine_has_is_refused() -> None:
    samples = 10**9
    plan = plans.plan([plans.pipeline(1, samples, (plans.VIT, {"a": samples}))])
    report = evaluate(plan, VIT, TWO)
    assert report.memory["a"].peak_bytes > 1e15
    with pytest.raises(InputError, match="bytes together, this machine has"):
        check_room(report)
    check_room(evaluate(plans.data_plan(), VIT, TWO))


def test_all_faults_are_listed() -> None:
    names = plans.VIT
    inner = {"samples": 5, "mode": "tensor", "shares": {"a": 6, "b": 6}}
    stage = {"blocks": names, "shares": {"x": inner, "c": 3}, "variants": {names[0]: 1}}
    plan = plans.plan([{"micro_batches": 1, "samples": 8, "stages": [stage]}])
    with pytest.raises(InputError) as caught:
        check_executable(plan, VIT.model_copy(update={"net": None}), TWO)
    assert [fault.path for fault in caught.value.faults] == [
        "workload",
        "pipelines.0.stages.0.variants",
    ]


def test_experts_are_evaluated_only() -> None:
    data = VIT.model_dump(mode="json")
    data["blocks"][2]["capacity"] = 0.5
    data["edges"][3]["share"] = 0.25
    with pytest.raises(InputError, match="slices known before") as caught:
        check_executable(plans.data_plan(), type(VIT).model_validate(data), TWO)
    edge = VIT.edges[3]
    assert [fault.path for fault in caught.value.faults] == [
        f"workload.blocks.{VIT.blocks[2].name}.capacity",
        f"workload.edges.{edge.source} -> {edge.target}",
    ]
