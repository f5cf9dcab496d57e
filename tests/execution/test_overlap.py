"""Gradients reduced in buckets while the backward pass goes on: the training stays the undivided one."""

from __future__ import annotations

from solver.execution.workers.pool import LocalPool
from solver.lowering import lower
from solver.plan import Plan
from solver.program import Kind
from tests.execution import plans
from tests.execution.test_run import FOUR, VIT, assert_transparent, execute

NAMES = plans.VIT
ZIGZAG = [(NAMES[:3], {"a": 5, "b": 3}), (NAMES[3:7], {"c": 2, "d": 6}), (NAMES[7:], {"a": 4, "b": 4})]


def num_reductions(plan: Plan) -> int:
    rows = lower(plan, VIT, FOUR).rows
    return sum(row.members > 0 and row.kind == Kind.COLLECTIVE for row in rows)


def test_buckets_of_one_stage(pool: LocalPool) -> None:
    plan = plans.data_plan(sync={"buckets": 3})
    assert num_reductions(plan) == 3
    assert_transparent(execute(plan, pool))


def test_buckets_of_a_hybrid_pipeline_in_double_precision(pool: LocalPool) -> None:
    plan = plans.hybrid_plan(sync={"buckets": 2}, schedule="gpipe", optimizer="adamw", precision="fp64")
    assert num_reductions(plan) == 4
    assert_transparent(execute(plan, pool), 1e-10)


def test_buckets_of_devices_in_several_stages_on_emulated_links(pool: LocalPool) -> None:
    """A reduction may stand behind a receive in the list whose message comes after it."""
    plan = plans.plan([plans.pipeline(2, 8, *ZIGZAG)], sync={"buckets": 2})
    assert_transparent(execute(plan, pool, mode="padded", dilation=1.0))


def test_buckets_of_pipelines_that_share_blocks(pool: LocalPool) -> None:
    there = plans.pipeline(2, 3, (NAMES[:4], {"a": 3}), (NAMES[4:], {"b": 3}))
    back = plans.pipeline(1, 2, (NAMES[:9], {"b": 2}), (NAMES[9:], {"a": 2}))
    assert_transparent(execute(plans.plan([there, back], sync={"buckets": 2}), pool))
