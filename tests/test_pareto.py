"""Pareto: against all plans of one device a stage, and the limits it sets."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pytest

from models.errors import InputError
from solver.evaluate import judge
from solver.job import Job
from solver.pareto import pareto
from solver.plan import Plan, pipeline_plan
from solver.problem import Problem
from solver.search.shares import chain_stages
from solver.solve import solve
from tests import random_plans


def small(seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    workload, cluster = random_plans.chain(rng, 4), random_plans.cluster(rng, 3)
    return Problem(workload, cluster, Job(batch=8), num_micro_batches=4)


def every_plan(problem: Problem) -> list[Plan]:
    """All chains of stages of one device each."""
    count, found = len(problem.workload.order), []
    for length in range(1, len(problem.usable) + 1):
        for devices in permutations(problem.usable, length):
            for inner in combinations(range(1, count), length - 1):
                stages = chain_stages(problem, [0, *inner, count], list(devices), 2)
                found.append(pipeline_plan(problem, stages, 4))
    return found


# A solver that looks at everything, so that the front is a matter of limits alone.
EXHAUSTIVE = '''
from tests.test_pareto import every_plan
from solver.space import Space
from solver.status import Outcome


def solve(problem, search):
    """All chains."""
    for plan in every_plan(problem):
        search.offer(plan)
    return Outcome(Space())
'''


@pytest.mark.parametrize("seed", range(4))
def test_front_of_all_plans(seed: int, tmp_path) -> None:
    problem = small(seed)
    solver = tmp_path / "exhaustive.py"
    solver.write_text(EXHAUSTIVE)
    figures = []
    for plan in every_plan(problem):
        report, _ = judge(problem, plan)
        if report.is_feasible:
            figures.append((report.step_time_s, report.energy_j))
    expected = {a for a in figures if not any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in figures)}
    front = pareto(problem, ("time", "energy"), str(solver), num_steps=24)
    found = {(p.figures["time"], p.figures["energy"]) for p in front.points}
    assert found <= expected
    assert {min(expected), min(expected, key=lambda pair: pair[::-1])} <= found
    steps = (max(e for _, e in expected) - min(e for _, e in expected)) / 24
    for time, energy in expected - found:  # what is missing lies within one step of what was found
        assert any(t <= time and e <= energy + steps * 1.001 for t, e in found)


def test_limits_are_kept_and_weights_add_up() -> None:
    problem = small(1)
    free = solve(problem, "bitmask_dp")
    least = solve(replace(problem, objective="energy"), "bitmask_dp")
    limit = (free.report.energy_j + least.report.energy_j) / 2
    held = solve(replace(problem, at_most={"energy": limit}), "bitmask_dp")
    assert held.plan is None or (held.report.energy_j <= limit and held.score >= free.score)
    report, score = judge(replace(problem, objective="weighted", weights={"time": 2, "energy": 3}), free.plan)
    assert score == pytest.approx(2 * report.step_time_s + 3 * report.energy_j)


def test_broken_limit_is_a_violation() -> None:
    problem = small(2)
    plan = solve(problem, "single").plan
    report, _ = judge(replace(problem, at_most={"time": 1e-9}), plan)
    assert [(v.limit, v.where) for v in report.violations] == [("objective", "time")]


def test_a_start_plan_that_breaks_a_limit_is_no_point() -> None:
    problem = small(2)
    front = pareto(
        replace(problem, at_most={"time": 1e-9}),
        ("time", "energy"),
        "single",
        start=solve(problem, "single").plan,
    )
    assert front.points == ()


@pytest.mark.parametrize("objectives", [("time",), ("time", "time"), ("time", "no_such"), ()])
def test_wrong_objectives(objectives: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        pareto(small(0), objectives)


@pytest.mark.parametrize(
    "words",
    [
        {"objective": "weighted"},
        {"weights": {"time": 1.0}},
        {"objective": "weighted", "weights": {"weighted": 1.0}},
        {"objective": "weighted", "weights": {"time": 0.0, "energy": 0.0}},
        {"at_most": {"no_such": 1.0}},
        {"at_most": {"time": math.nan}},
        {"objective": "weighted", "weights": {"time": -1.0}},
    ],
)
def test_wrong_weights_and_limits(words: dict) -> None:
    with pytest.raises(InputError):
        replace(small(0), **words)
