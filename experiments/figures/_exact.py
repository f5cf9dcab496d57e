"""Exact: whether a solver's answer is the least of all plans, as brute force found it."""

from __future__ import annotations

import math

from solver.status import Solution, Status


def is_exact(solution: Solution, least: float, *, proves: bool = True) -> bool:
    """Return whether an answer is the least figure, or says rightly that there is no plan.

    Parameters
    ----------
    solution
        The answer.
    least
        Least figure of all plans, in the objective's unit; infinite if no plan keeps the limits.
    proves
        Whether it must say that it is the optimum.
    """
    if math.isinf(least):
        return solution.status is Status.INFEASIBLE
    if proves and solution.status is not Status.OPTIMAL:
        return False
    return solution.score is not None and near(solution.score, least)


def near(one: float, other: float) -> bool:
    """Return whether a figure is another one, up to 1e-9 of it."""
    return one == other or abs(one - other) <= 1e-9 * other
