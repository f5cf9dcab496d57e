"""Limits on grams, untrusted bytes and batteries against brute force: kept, found, and proven."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from models.cluster import Cluster
from solver.algorithms import hybrid_exact
from solver.job import Job
from solver.problem import Problem
from solver.solve import solve
from solver.status import Status
from tests.limited import least, small_problem


def limited(seed: int, kind: str) -> Problem:
    """A limit that the best plan without it breaks, or is close to."""
    free = small_problem(seed)
    report = solve(free, "hybrid_exact").report
    assert report is not None
    if kind == "trust":
        return replace(free, job=Job(batch=4, untrusted_limit_bytes=0))
    if kind == "half":
        return replace(free, at_most={"untrusted": 0.5 * report.untrusted_bytes})
    if kind == "carbon":
        return replace(free, job=Job(batch=4, carbon_budget_g=0.9 * report.accounts.total_carbon_g))
    name, joules = max(((name, part.total_j) for name, part in report.energy.items()), key=lambda one: one[1])
    plain = free.cluster.model_dump()
    for board in plain["devices"]:
        board["battery_j"] = 99 * joules if board["name"] == name else None
    return replace(free, cluster=Cluster.model_validate(plain), job=Job(batch=4, steps=100), left_out="off")


@pytest.mark.parametrize("kind", ["trust", "half", "carbon", "battery"])
@pytest.mark.parametrize("seed", range(4))
def test_the_best_plan_that_keeps_a_limit(seed: int, kind: str) -> None:
    what = limited(seed, kind)
    best = least(what)
    exact = solve(what, "hybrid_exact")
    if math.isinf(best):
        assert exact.status is Status.INFEASIBLE
        return
    assert exact.status is Status.OPTIMAL and exact.score == pytest.approx(best, rel=1e-9)
    for name in ("local_search", "best"):
        found = solve(what, name, work_limit=300)
        assert found.score == pytest.approx(best, rel=1e-9), name


@pytest.mark.parametrize("objective", ["carbon", "untrusted", "traffic"])
@pytest.mark.parametrize("seed", range(3))
def test_grams_and_bytes_are_minimised(seed: int, objective: str) -> None:
    what = replace(small_problem(seed), objective=objective)
    solution = solve(what, "best", work_limit=300)
    assert solution.status is Status.OPTIMAL and solution.score == pytest.approx(least(what), rel=1e-9)


@pytest.mark.parametrize("name", ["interval_ilp", "bitmask_dp", "group_columns"])
@pytest.mark.parametrize("kind", ["trust", "carbon"])
def test_bounds_of_exact_solvers_hold_under_limits(name: str, kind: str) -> None:
    for seed in range(4):
        what = limited(seed, kind)
        solution = solve(what, name)
        assert solution.status is not Status.INFEASIBLE or math.isinf(least(what))
        assert solution.bound is None or solution.bound <= least(what) * (1 + 1e-9)
        assert solution.report is None or solution.report.is_feasible


def test_branch_and_bound_keeps_limits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hybrid_exact, "MOST_PLANS", 0)
    for seed in range(4):
        what = limited(seed, "trust")
        solution = solve(what, "hybrid_exact")
        assert solution.bound is not None and solution.bound <= least(what) * (1 + 1e-9)
        assert solution.report is not None and solution.report.untrusted_bytes == 0


def test_a_limit_that_no_plan_keeps_is_told() -> None:
    what = replace(small_problem(0), job=Job(batch=4, carbon_budget_g=1e-12))
    solution = solve(what, "hybrid_exact")
    assert solution.status is Status.INFEASIBLE
    assert "every other limit" in solution.reason
