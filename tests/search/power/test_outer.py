"""Power modes around a solver: bounds and proofs hold for all modes, and the best plan is never worse."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest

from experiments.figures._energy_chains import exhaustive, random_problem
from solver.pareto import pareto
from solver.power_modes import chosen_in, in_modes, modes_of
from solver.problem import Problem
from solver.search.hybrid.bound_quick import quick_bounds
from solver.search.hybrid.exhaustive import best_of_all
from solver.search.incumbent import Search
from solver.solve import solve
from solver.status import Status


def small(seed: int, **words: object) -> Problem:
    problem = random_problem(seed, num_devices=2, num_blocks=3)
    words = {"num_micro_batches": 2, "job": problem.job.model_copy(update={"batch": 6}), **words}
    return replace(problem, **words)


def least(problem: Problem) -> float:
    """Return the least score of all hybrid plans in all modes."""
    devices = problem.cluster.devices
    scores = []
    for modes in product(*(modes_of(problem, device) for device in devices)):
        chosen = {device.name: mode for device, mode in zip(devices, modes, strict=True)}
        inner = Search(in_modes(problem, chosen))
        best_of_all(inner.problem, inner, 2)
        scores.append(inner.best_score)
    return min(scores)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("objective", ["time", "energy"])
def test_quick_bounds_hold_for_all_modes_and_best_finds_the_least(seed: int, objective: str) -> None:
    problem = small(seed, objective=objective)
    optimum = least(problem)
    if math.isfinite(optimum):
        assert quick_bounds(problem, 2)[objective] <= optimum * (1 + 1e-9)
    solution = solve(problem, "best", work_limit=400)
    if math.isinf(optimum):
        assert solution.status is not Status.OPTIMAL or solution.space.others
        return
    # Plans of other kinds, as of two pipelines side by side, may be better yet.
    assert solution.score is not None and solution.score <= optimum * (1 + 1e-9)
    assert solution.bound is None or solution.bound <= optimum * (1 + 1e-9)


def test_time_without_energy_is_proven_in_the_fastest_modes() -> None:
    problem = small(3, objective="time")
    solution = solve(problem, "best", work_limit=400)
    assert solution.status is Status.OPTIMAL and solution.space.power_modes == "free"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_best_takes_no_more_energy_than_chains_of_least_energy_and_planners_of_the_literature(
    seed: int,
) -> None:
    problem = random_problem(seed, num_devices=3, num_blocks=5)
    problem = replace(problem, num_micro_batches=4, job=problem.job.model_copy(update={"deadline_s": 2.0}))
    found = solve(problem, "best", work_limit=600)
    least_j, _ = exhaustive(problem)
    others = [
        solve(problem, name).score for name in ("energy_exact", "asteroid", "asteroid_energy", "dapple")
    ]
    assert found.score is not None
    assert found.score <= min(least_j, *(score for score in others if score is not None)) * (1 + 1e-9)


def test_the_same_seed_gives_the_same_plan_with_modes() -> None:
    problem = replace(random_problem(1, num_devices=3, num_blocks=5), num_micro_batches=4)
    first, second = (solve(problem, "best", work_limit=300, seed=4).plan for _ in range(2))
    assert first is not None and second is not None and first.key == second.key


def test_a_front_with_modes_is_at_its_ends_what_each_objective_alone_gives() -> None:
    problem = replace(random_problem(0, num_devices=2, num_blocks=4), num_micro_batches=2)
    problem = replace(problem, job=problem.job.model_copy(update={"deadline_s": None}))
    front = pareto(problem, ["time", "energy"], num_steps=3, work_limit=2000)
    for name in ("time", "energy"):
        alone = solve(replace(problem, objective=name), "best", work_limit=500)
        assert alone.score is not None
        assert min(point.figures[name] for point in front.points) <= alone.score * (1 + 1e-9)
    assert any(chosen_in(point.plan) for point in front.points)
