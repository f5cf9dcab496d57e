"""Of 100 small hybrid problems, how many `best` solves to the exhaustive optimum, with the proof.

6 blocks on 4 devices, 4 micro-batches, default in-flight rule, every subset of devices, all groups and all
shares; half with 8 samples a step, half with 8 a micro-batch. Its member hybrid_exact enumerates spaces so
small; the branch and bound must agree, also if it begins with a cut-off far above the optimum.
"""

from __future__ import annotations

import math

from experiments.figures import Figure
from experiments.figures._exact import is_exact, near
from experiments.figures._hybrids import NUM_MICRO_BATCHES, exhaustive_s, random_problem
from solver.problem import Problem
from solver.search.hybrid.allowance import Allowance
from solver.search.hybrid.bound import HybridBound
from solver.search.incumbent import Search
from solver.solve import solve

NUM = 100
BATCHES = (8, 32)
SLACK = (0.97, 1.2, 3.0, math.inf)


def measure() -> Figure:
    details = dict.fromkeys(
        ("infeasible", "best", "hybrid_exact", "branch and bound", "bounds above the optimum"), 0
    )
    right = chains = 0
    for seed in range(NUM):
        problem = random_problem(seed, BATCHES[seed % 2])
        least_s = exhaustive_s(problem)
        details["infeasible"] += math.isinf(least_s)
        best, exact = (
            is_exact(solve(problem, name, time_limit_s=60), least_s) for name in ("best", "hybrid_exact")
        )
        grown, too_high = branch_and_bound(problem, least_s)
        details["best"] += best
        details["hybrid_exact"] += exact
        details["branch and bound"] += grown
        details["bounds above the optimum"] += too_high
        right += best and exact and grown and not too_high
        chains += is_best(problem, "bitmask_dp", least_s)
    return Figure(
        value=right,
        unit="problems",
        baseline=max(1, chains),
        baseline_is="problems in which the best that bitmask_dp finds, with single devices, is as good",
        goal=NUM,
        details=details,
    )


def is_best(problem: Problem, name: str, least_s: float) -> bool:
    score = solve(problem, name).score
    return score is None if math.isinf(least_s) else score is not None and near(score, least_s)


def branch_and_bound(problem: Problem, least_s: float) -> tuple[bool, bool]:
    """Return whether every cut-off ends in the optimum or itself, and whether a bound is above it."""
    right, too_high = True, False
    for slack in SLACK:
        search = Search(problem)
        limit_s = slack * least_s
        bound = HybridBound(problem, search, NUM_MICRO_BATCHES).attempt(limit_s, Allowance(search, 1, 10**6))
        if bound is None:
            return False, too_high
        right = right and (math.isinf(min(bound, limit_s, least_s)) or near(bound, min(limit_s, least_s)))
        if slack > 1:
            right = right and (math.isinf(least_s) or near(search.best_score, least_s))
        too_high = too_high or bound > least_s * (1 + 1e-9)
    return right, too_high
