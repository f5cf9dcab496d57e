"""Activations that are dropped and made again."""

from __future__ import annotations

from typing import Any

import pytest

from solver.execution.run import RunResult
from solver.execution.workers.pool import LocalPool
from solver.plan import Plan
from tests.execution import plans
from tests.execution.test_run import assert_transparent, execute


def with_recompute(plan: Plan, mode: dict[str, Any], *recompute: list[str]) -> Plan:
    data = plan.model_dump(mode="json", exclude_defaults=True)
    for stage, names in zip(data["pipelines"][0]["stages"], recompute, strict=True):
        stage.update(mode, recompute=names)
    return Plan.model_validate(data)


def changing_bytes(result: RunResult, device: str) -> tuple[int, int]:
    """Measured and predicted peak of a device without weights, gradients and optimizer."""
    trace, memory = result.trace.devices[device], result.report.memory[device]
    static = result.report.program.static[device].total_bytes
    return trace.peak_memory_bytes - trace.static_bytes, memory.peak_bytes - static


def test_recomputed_blocks_change_nothing_but_memory(pool: LocalPool) -> None:
    layers, rest = [n for n in plans.VIT[1:5]], [*plans.VIT[5:9], plans.VIT[-1]]
    plain = plans.chain_plan()
    before, after = execute(plain, pool), execute(with_recompute(plain, {}, layers, rest), pool)
    assert_transparent(after)
    assert after.trace.losses == before.trace.losses
    assert after.max_relative_weight_difference == before.max_relative_weight_difference
    for name in ("a", "b"):
        kept, dropped = (changing_bytes(result, name) for result in (before, after))
        assert dropped[0] < 0.75 * kept[0]
        assert dropped == pytest.approx(dropped[::-1], rel=0.1)


def test_the_first_block_and_frozen_ones_are_recomputed_too(pool: LocalPool) -> None:
    plan = plans.hybrid_plan(frozen=[plans.VIT[2]], optimizer="adamw", precision="fp64")
    assert_transparent(execute(with_recompute(plan, {}, plans.VIT[:4], plans.VIT[6:]), pool), 1e-10)


@pytest.mark.parametrize(("mode", "shares"), [("tensor", {"a": 5, "b": 7}), ("sequence", {"a": 40, "b": 24})])
def test_blocks_that_a_group_cuts_are_recomputed(pool: LocalPool, mode: str, shares: dict[str, int]) -> None:
    stage = {"blocks": plans.VIT, "mode": mode, "shares": shares}
    words = {"optimizer": "adamw", "precision": "fp64"}
    plan = plans.plan([{"micro_batches": 2, "samples": 4, "stages": [stage]}], **words)
    before, after = execute(plan, pool), execute(with_recompute(plan, {}, plans.VIT[1:]), pool)
    assert_transparent(after, 1e-10)
    for name in ("a", "b"):
        kept, dropped = (changing_bytes(result, name) for result in (before, after))
        assert dropped[0] < kept[0]
        assert dropped == pytest.approx(dropped[::-1], rel=0.1)
