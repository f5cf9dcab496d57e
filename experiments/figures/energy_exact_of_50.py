"""Of 50 random chains under deadlines, how many both exact ways solve to the brute-force least energy."""

from __future__ import annotations

import math

from experiments.figures import Figure
from experiments.figures._energy_chains import exhaustive, random_problem
from experiments.figures._exact import is_exact
from solver.solve import solve

NUM = 50
EXACT = ("energy_exact", "energy_ilp")


def measure() -> Figure:
    details = dict.fromkeys(("infeasible", *EXACT, "single board"), 0)
    right = 0
    for seed in range(NUM):
        problem = random_problem(seed)
        least_j, _ = exhaustive(problem)
        details["infeasible"] += least_j == math.inf
        found = [is_exact(solve(problem, name), least_j) for name in EXACT]
        for name, good in zip(EXACT, found, strict=True):
            details[name] += good
        right += all(found)
        details["single board"] += is_exact(solve(problem, "single"), least_j, proves=False)
    return Figure(
        value=right,
        unit="problems",
        baseline=max(1, details["single board"]),
        baseline_is="problems that a single board in its own power mode solves to the optimum",
        goal=NUM,
        details=details,
    )
