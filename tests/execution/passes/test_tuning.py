"""Low-rank adapters and number formats, executed."""

from __future__ import annotations

from typing import Any

import pytest

from models import catalog
from solver.execution.passes.replica import Held, Replica
from solver.execution.passes.tuning import Tuning
from solver.execution.workers.pool import LocalPool
from solver.job import Job
from tests.execution import plans
from tests.execution.test_run import assert_transparent, execute

VIT = catalog.workload("vit_digits")
LORA = {"tune": "lora", "lora_rank": 4, "trained": ["head"], "optimizer": "adamw", "precision": "fp64"}


def test_adapters_are_trained_by_a_hybrid_plan(pool: LocalPool) -> None:
    assert_transparent(execute(plans.hybrid_plan(**LORA, lora_alpha=8), pool), 1e-10)


def test_adapters_of_uneven_replicas_are_reduced_and_nothing_else(pool: LocalPool) -> None:
    words = {**LORA, "precision": "fp32", "optimizer": "sgd"}
    result = execute(plans.data_plan(**words), pool, learning_rate=0.5)
    assert_transparent(result)
    # 6 layers: query, key, value, output 144 x 144, and twice 144 x 576; rank 4; 4 bytes.
    adapters = 6 * 4 * (4 * (144 + 144) + 2 * (144 + 576)) * 4
    assert result.report.traffic["a", "b"] == adapters + VIT.by_name["head"].weight_bytes


@pytest.mark.parametrize(
    ("mode", "shares"),
    [
        ("tensor", {"a": 5, "b": 7}),
        ("sequence", {"a": 40, "b": 24}),
        ("data", {"x": {"samples": 3, "mode": "tensor", "shares": {"a": 5, "b": 4, "d": 3}}, "c": 1}),
    ],
)
def test_adapters_of_layers_that_are_cut(pool: LocalPool, mode: str, shares: dict[str, Any]) -> None:
    stage = {"blocks": plans.VIT, "mode": mode, "shares": shares}
    plan = plans.plan([{"micro_batches": 2, "samples": 4, "stages": [stage]}], **LORA, lora_alpha=8)
    result = execute(plan, pool)
    assert_transparent(result, 1e-10)
    # Every device holds all adapters: their gradients go round the group, in tensor mode nothing else does.
    rows = [row for row in result.report.program.rows if row.phase == "sync" and row.device == "a"]
    adapters = 6 * 4 * (4 * (144 + 144) + 2 * (144 + 576)) * 8
    assert sum(row.num_bytes for row in rows) >= adapters


def test_each_stage_may_have_a_rank_of_its_own(pool: LocalPool) -> None:
    plan = plans.chain_plan(**LORA, devices={"b": {"rank": 2}})
    assert_transparent(execute(plan, pool), 1e-10)


def test_static_memory_of_adapters_is_what_the_costs_say() -> None:
    job = Job(batch=1, tune="lora", lora_rank=4, optimizer="adamw")
    replica = Replica(Tuning(VIT, job), Held.whole(["layer0.attention"]), 0, None)
    for gradient in replica.gradients.values():
        gradient.fill_(1.0)
    replica.update()
    adapters = 4 * 4 * (144 + 144) * 4
    # Weights, gradient, and two optimizer states; AdamW counts its steps in 4 bytes per parameter.
    steps = 8 * 4
    assert replica.static_bytes() == VIT.by_name["layer0.attention"].weight_bytes + 4 * adapters + steps


def test_brain_floats_halve_bytes_and_come_near_the_undivided_run(pool: LocalPool) -> None:
    result = execute(plans.hybrid_plan(precision="bf16"), pool)
    found = result.to_json()
    assert result.traffic() == result.report.program.bytes_by_pair()
    assert result.report.traffic_bytes * 2 == execute(plans.hybrid_plan(), pool).report.traffic_bytes
    assert found["losses"] == pytest.approx(found["reference_losses"], rel=0.05)
    for memory in found["peak_memory_bytes"].values():
        assert memory["measured"] == pytest.approx(memory["predicted"], rel=0.1)
