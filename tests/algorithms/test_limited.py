"""Limits on grams, untrusted bytes and batteries against brute force: kept, found, and proven."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from models.cluster import Cluster
from solver.algorithms import hybrid_exact
from solver.job import Job
from solver.problem import Problem
from solver.search.hybrid.first_bound import first_bound
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


def alike(what: Problem) -> Problem:
    """The same boards on one switch."""
    plain = what.cluster.model_dump()
    names = [board["name"] for board in plain["devices"]]
    net = {"name": "net", "members": names, "bandwidth_bytes_per_s": 2e7}
    return replace(what, cluster=Cluster.model_validate({**plain, "segments": [net], "links": []}))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("links", ["unequal", "alike"])
@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_the_integer_programme_holds_untrusted_bytes_by_a_row(seed: int, links: str, part: float) -> None:
    free = replace(small_problem(seed, 4), objective="bottleneck")
    free = alike(free) if links == "alike" else free
    report = solve(free, "interval_ilp").report
    assert report is not None
    what = replace(free, at_most={"untrusted": part * report.untrusted_bytes})
    found, best = solve(what, "interval_ilp"), least(what, most_group=1)
    assert found.status is Status.OPTIMAL and found.score == pytest.approx(best, rel=1e-9)
    timed = replace(what, objective="time")
    bound = solve(timed, "interval_ilp").bound
    assert bound is not None and bound <= least(timed, most_group=1) * (1 + 1e-9)


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


@pytest.mark.parametrize("limits", [{"carbon": 1e-12}, {"energy": 1e-9}, {"time": 1e-9}])
def test_limits_below_what_every_plan_takes_are_proven_infeasible_without_a_search(
    limits: dict[str, float],
) -> None:
    assert first_bound(small_problem(0)) < math.inf
    what = replace(small_problem(0), at_most=limits)
    assert first_bound(what) == math.inf
    assert solve(what, "best", work_limit=50).status is Status.INFEASIBLE
