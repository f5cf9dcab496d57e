"""pipeline_even: stages of equal work, one board each."""

from __future__ import annotations

import pytest

from solver.solve import solve
from tests.algorithms.boards import boards, problem


def test_blocks_are_split_evenly() -> None:
    """Two stages of two blocks, 4 micro-batches of 2 samples at 2 Gflop/s. A pass of a stage: 2 blocks
    x 1 Gflop x 2 samples = 4 Gflop, 2 s::

        x0  F0 F1 F2 F3 .. B ..      x1 ends F and B of 4 micro-batches after 2 + 4 x 4 = 18 s,
        x1  .. F0 B0 F1 B1 F2 B2 F3 B3    x0 has its last B after it: 20 s
    """
    solution = solve(problem(boards(2, 2), num_micro_batches=4), "pipeline_even")
    assert solution.plan is not None
    assert [stage.blocks for stage in solution.plan.pipelines[0].stages] == [("b0", "b1"), ("b2", "b3")]
    assert solution.score == pytest.approx(20.0)


def test_more_boards_than_blocks_leaves_boards_out() -> None:
    solution = solve(problem(boards(1, 1, 1, 1, 1, 1), num_micro_batches=4), "pipeline_even")
    assert solution.plan is not None
    assert len(solution.plan.pipelines[0].stages) == 4
