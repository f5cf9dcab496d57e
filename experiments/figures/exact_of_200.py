"""Of 200 random chains, how many both exact solvers solve to the exhaustive optimum with valid bounds."""

from __future__ import annotations

import numpy as np

from experiments.figures import Figure
from experiments.figures._chains import exhaustive, random_problem, timed
from experiments.figures._exact import is_exact
from solver.problem import Problem
from solver.solve import solve

NUM = 200
EXACT = ("bitmask_dp", "interval_ilp")


def measure() -> Figure:
    details = dict.fromkeys(("infeasible", *EXACT, "bounds above the optimum", "pipeline_even"), 0)
    right = 0
    for seed in range(NUM):
        problem = random_problem(seed)
        least_s, step_s = exhaustive(problem)
        details["infeasible"] += least_s == np.inf
        found = [is_exact(solve(problem, name), least_s) for name in EXACT]
        for name, good in zip(EXACT, found, strict=True):
            details[name] += good
        too_high = sum(bound_above(problem, name, step_s) for name in EXACT)
        details["bounds above the optimum"] += too_high
        right += all(found) and not too_high
        details["pipeline_even"] += is_exact(solve(problem, "pipeline_even"), least_s, proves=False)
    return Figure(
        value=right,
        unit="problems",
        baseline=max(1, details["pipeline_even"]),
        baseline_is="problems that the even split solves to the optimum",
        goal=NUM,
        details=details,
    )


def bound_above(problem: Problem, name: str, step_s: float) -> bool:
    bound = solve(timed(problem), name).bound
    return bound is not None and bound > step_s * (1 + 1e-9)
