"""pipeline_balanced: stages that take equally long, one board each."""

from __future__ import annotations

import pytest

from solver.solve import solve
from tests.algorithms.boards import boards, problem


def test_a_board_of_triple_speed_gets_triple_work() -> None:
    """Four blocks, boards of 2 and 6 Gflop/s, 4 micro-batches of 2 samples, a pass of a block 2 Gflop.

    One block on x0 takes 1 s a pass, three on x1 take 1 s. Staircase of 1 s steps, as for even boards: x1
    ends F and B of 4 micro-batches after 1 + 4 x 2 = 9 s, x0 has its last B after it: 10 s.
    """
    solution = solve(problem(boards(2, 6), num_micro_batches=4), "pipeline_balanced")
    assert solution.plan is not None
    stages = solution.plan.pipelines[0].stages
    assert {next(iter(stage.shares)): len(stage.blocks) for stage in stages} == {"x0": 1, "x1": 3}
    assert solution.score == pytest.approx(10.0)


def test_equal_boards_get_the_even_split() -> None:
    what = problem(boards(2, 2), num_micro_batches=4)
    assert solve(what, "pipeline_balanced").score == solve(what, "pipeline_even").score
