"""data_parallel: samples in proportion to speed."""

from __future__ import annotations

import pytest

from solver.solve import solve
from tests.algorithms.boards import boards, problem


def test_samples_follow_speed() -> None:
    """8 samples over 1 : 3 Gflop/s are 2 and 6; a sample is 8 Gflop: 16 s on both."""
    solution = solve(problem(boards(1, 3)), "data_parallel")
    assert solution.plan is not None
    assert solution.plan.pipelines[0].stages[0].shares == {"x0": 2, "x1": 6}
    assert solution.score == pytest.approx(16.0)


def test_rounding_gives_the_rest_to_the_largest_remainder() -> None:
    """8 over 1 : 1 : 1 is 2.67 each: 3, 3, 2."""
    solution = solve(problem(boards(1, 1, 1)), "data_parallel")
    assert solution.plan is not None
    assert solution.plan.pipelines[0].stages[0].shares == {"x0": 3, "x1": 3, "x2": 2}


def test_one_board_of_two_is_not_data_parallel() -> None:
    """One sample a micro-batch cannot be shared out."""
    assert solve(problem(boards(1, 3), num_micro_batches=8), "data_parallel").plan is None
