"""Deadlines, budgets, batteries and trust in exact solvers of chains, against all plans judged one by one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from solver.solve import solve
from solver.status import Status
from tests.limited_chains import Judged, free_problem, judged, least, limited

KINDS = (("carbon", "energy"), ("battery",), ("untrusted", "time"), ("battery", "carbon", "untrusted"))
ENERGY = {"objective": "energy"}
CARBON = {"objective": "carbon"}
OWN = {"power_modes": "own"}


@pytest.mark.parametrize(
    ("seed", "words", "solvers"),
    [
        (1, ENERGY, ("energy_exact", "energy_ilp")),
        (4, CARBON, ("energy_exact", "energy_ilp")),
        (2, {"objective": "bottleneck", **OWN}, ("interval_ilp", "bitmask_dp")),
        (6, {"objective": "time", **OWN}, ("interval_ilp", "bitmask_dp")),
    ],
)
def test_statuses_and_bounds_are_true_under_limits(
    seed: int, words: dict[str, object], solvers: tuple[str, ...]
) -> None:
    free = free_problem(seed, **words)
    every = judged(free)
    for turn, kinds in enumerate(KINDS):
        what = limited(free, every, 10 * seed + turn, kinds)
        best = least(what, every)
        for name in solvers:
            found = solve(what, name)
            if found.status is Status.OPTIMAL:
                assert found.score == pytest.approx(best, rel=1e-9)
            assert (found.status is not Status.INFEASIBLE) or math.isinf(best)
            assert found.bound is None or found.bound <= best * (1 + 1e-9)
            if name != "bitmask_dp":
                assert (found.status is Status.INFEASIBLE) == math.isinf(best)
            if words["objective"] != "time" and name != "bitmask_dp" and math.isfinite(best):
                assert found.status is Status.OPTIMAL


def counted(every: Judged, name: str, what: str) -> float:
    """Return the joules of a device in the plan that is best by a figure."""
    best = int(every.figures(what).argmin())
    return every.reports[best].accounts.batteries[name].step_j


def test_a_battery_that_is_empty_too_soon_moves_the_work() -> None:
    """Half of what the fullest board takes in the best plan: another plan is proven best."""
    free = free_problem(1, objective="energy")
    every = judged(free)
    name = max(free.usable, key=lambda one: counted(every, one, "energy"))
    plain = free.cluster.model_dump()
    half = 0.5 * counted(every, name, "energy") * (free.job.steps or 0)
    for board in plain["devices"]:
        board["battery_j"] = half if board["name"] == name else board["battery_j"]
    what = replace(free, cluster=type(free.cluster).model_validate(plain))
    best = least(what, every)
    assert best > every.figures("energy").min() * (1 + 1e-9)
    for solver in ("energy_exact", "energy_ilp"):
        found = solve(what, solver)
        if math.isinf(best):
            assert found.status is Status.INFEASIBLE
            continue
        assert found.status is Status.OPTIMAL and found.score == pytest.approx(best, rel=1e-9)
        assert found.report is not None and found.report.is_feasible


def test_a_budget_of_nothing_is_kept_by_clean_supplies_alone() -> None:
    free = free_problem(1, objective="carbon", left_out="off")
    plain = free.cluster.model_dump()
    for board, grams in zip(plain["devices"], (0.0, 300.0, 300.0), strict=True):
        board["carbon_g_per_kwh"] = grams
    clean = replace(free, cluster=type(free.cluster).model_validate(plain), at_most={"carbon": 0.0})
    for solver in ("energy_exact", "energy_ilp"):
        found = solve(clean, solver)
        assert (found.status, found.score) == (Status.OPTIMAL, 0.0)


@pytest.mark.parametrize("solver", ["energy_exact", "energy_ilp"])
def test_data_that_may_not_leave_keeps_a_block_at_its_owner(solver: str) -> None:
    free = free_problem(1, objective="energy", left_out="off")
    owner = free.usable[-1]
    blocks = free.workload.model_dump()
    blocks["blocks"][0]["data"] = {"name": "photos", "bytes_per_sample": 10, "may_leave": False}
    plain = free.cluster.model_dump()
    for board in plain["devices"]:
        board["data"] = ["photos"] if board["name"] == owner else []
        board["idle_w"] = 0.0
    workload, cluster = type(free.workload).model_validate(blocks), type(free.cluster).model_validate(plain)
    what = replace(free, workload=workload, cluster=cluster)
    every = judged(what)
    found = solve(what, solver)
    assert found.status is Status.OPTIMAL and found.score == pytest.approx(least(what, every), rel=1e-9)
    assert found.plan is not None and owner in found.plan.pipelines[0].stages[0].shares
