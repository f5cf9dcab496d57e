"""Of 50 random chains under deadlines, how many both exact ways solve to the brute-force least energy."""

from __future__ import annotations

import math

from experiments.figures import Figure
from experiments.figures._energy_chains import exhaustive, random_problem
from solver.problem import Problem
from solver.solve import solve
from solver.status import Status

NUM = 50
EXACT = ("energy_exact", "energy_ilp")


def measure() -> Figure:
    details = dict.fromkeys(("infeasible", *EXACT, "single board"), 0)
    right = 0
    for seed in range(NUM):
        problem = random_problem(seed)
        least_j, _ = exhaustive(problem)
        details["infeasible"] += least_j == math.inf
        found = [is_exact(problem, name, least_j) for name in EXACT]
        for name, good in zip(EXACT, found, strict=True):
            details[name] += good
        right += all(found)
        details["single board"] += is_exact(problem, "single", least_j)
    return Figure(
        value=right,
        unit="problems",
        baseline=max(1, details["single board"]),
        baseline_is="problems that a single board in its own power mode solves to the optimum",
        goal=NUM,
        details=details,
    )


def is_exact(problem: Problem, name: str, least_j: float) -> bool:
    """Return whether a solver finds, and if it is exact proves, the least energy."""
    solution = solve(problem, name)
    if least_j == math.inf:
        return solution.status is Status.INFEASIBLE
    if name in EXACT and solution.status is not Status.OPTIMAL:
        return False
    return solution.score is not None and abs(solution.score - least_j) <= 1e-9 * least_j
