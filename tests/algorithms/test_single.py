"""single: the best board alone."""

from __future__ import annotations

import pytest

from solver.solve import solve
from solver.status import Status
from tests.algorithms.boards import boards, problem


def test_the_fastest_board_takes_all() -> None:
    """4 blocks x 2 Gflop x 8 samples = 64 Gflop: 32 s at 2 Gflop/s, 16 s at 4."""
    solution = solve(problem(boards(2, 4)), "single")
    assert (solution.status, solution.score) == (Status.OPTIMAL, pytest.approx(16.0))
    assert solution.plan is not None and solution.plan.pipelines[0].stages[0].shares == {"x1": 8}


def test_a_board_without_room_is_no_choice() -> None:
    """Weights and gradients are 4 x 2 x 1000 bytes."""
    solution = solve(problem(boards(2, 4, memory_bytes=7000)), "single")
    assert solution.status is Status.INFEASIBLE
    assert "needs 8000 bytes and has 7000: 1000 too many" in solution.reason
