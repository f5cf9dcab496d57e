"""Exact solvers against exhaustive search."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.figures._chains import exhaustive, random_problem, timed
from solver.solve import solve
from solver.status import Status

EXACT = ("bitmask_dp", "interval_ilp")


@pytest.mark.parametrize("seed", range(40))
def test_exact_solvers_find_the_optimum_and_bound_the_step_time(seed: int) -> None:
    problem = random_problem(seed)
    bottleneck_s, step_s = exhaustive(problem)
    for name in EXACT:
        solution = solve(problem, name)
        if bottleneck_s == np.inf:
            assert solution.status is Status.INFEASIBLE
            assert "bytes" in solution.reason
            continue
        assert solution.status is Status.OPTIMAL
        assert solution.score == pytest.approx(bottleneck_s, rel=1e-9)
        bound = solve(timed(problem), name).bound
        assert bound is not None and bound <= step_s * (1 + 1e-9)
