"""Power modes as a decision: what may be chosen, and plans with modes where they are chosen already."""

from __future__ import annotations

from typing import Any

import pytest

from models.cluster import Cluster
from solver.evaluate import judge
from solver.job import Job
from solver.plan import Stage, pipeline_plan
from solver.power_modes import chosen_in, in_modes, modes_of, resting_mode, with_modes
from solver.problem import Problem
from tests.algorithms.boards import chain

MODES = {
    "same": {"flop_per_s": {"fp32": 2e9}, "busy_w": 9},
    "slow": {"flop_per_s": {"fp32": 1e9}, "busy_w": 4},
    "still": {"flop_per_s": {"fp32": 0.5e9}, "busy_w": 3, "idle_w": 1},
}


def problem(**words: Any) -> Problem:
    board = {"flop_per_s": {"fp32": 2e9}, "memory_bytes": 1e9, "idle_w": 2, "busy_w": 9, "sleep_w": 0.5}
    devices = [{"name": name, "power_modes": MODES, **board} for name in ("x0", "x1")]
    net = {"name": "net", "members": ["x0", "x1"], "bandwidth_bytes_per_s": 1e9}
    boards = Cluster.model_validate({"name": "boards", "devices": devices, "segments": [net]})
    return Problem(chain(), boards, Job(batch=8), "energy", **{"power_modes": "free", **words})


def test_a_mode_that_repeats_the_own_numbers_is_no_choice() -> None:
    what = problem()
    assert modes_of(what, what.cluster.by_name["x0"]) == (None, "slow", "still")
    own = problem(power_modes="own")
    assert modes_of(own, own.cluster.by_name["x0"]) == (None,)


@pytest.mark.parametrize(("left_out", "mode"), [("idle", "still"), ("sleep", None), ("off", None)])
def test_who_takes_no_part_rests_where_that_takes_least(left_out: str, mode: str | None) -> None:
    what = problem(left_out=left_out)
    assert resting_mode(what, what.cluster.by_name["x0"]) == mode


def test_a_plan_with_modes_costs_what_it_costs_where_they_are_chosen_already() -> None:
    what, chosen = problem(left_out="off"), {"x0": "slow", "x1": "still"}
    inner = in_modes(what, chosen)
    stages = [Stage(blocks=("b0", "b1"), shares={"x0": 4}), Stage(blocks=("b2", "b3"), shares={"x1": 4})]
    plan = with_modes(what, pipeline_plan(inner, stages, 2), chosen)
    assert chosen_in(plan) == chosen and plan.cluster.sha256 == what.cluster.digest
    report, joules = judge(what, plan)
    other, same_joules = judge(inner, pipeline_plan(inner, stages, 2))
    assert (report.step_time_s, joules) == (other.step_time_s, same_joules)
    assert report.is_feasible


def test_who_is_left_out_is_put_to_rest() -> None:
    """16 s at 9 W on one board, and the other waits at 1 W instead of 2."""
    what = problem()
    plan = pipeline_plan(what, [Stage(blocks=what.workload.order, shares={"x0": 8})], 1)
    assert judge(what, with_modes(what, plan, {}))[1] == pytest.approx(32 * (9 + 1))
    assert judge(what, plan)[1] == pytest.approx(32 * (9 + 2))
