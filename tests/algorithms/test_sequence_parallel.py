"""sequence_parallel: tokens in proportion to speed."""

from __future__ import annotations

from solver.solve import solve
from solver.status import Status
from tests.algorithms.boards import boards, chain, problem


def test_tokens_follow_speed() -> None:
    """30 tokens over 1 : 2 Gflop/s are 10 and 20; weights stay whole on both: 64 Gflop / 3 Gflop/s."""
    workload = chain(sequence={}, tokens=30, output_bytes=300)
    solution = solve(problem(boards(1, 2), workload=workload), "sequence_parallel")
    assert solution.plan is not None and solution.score is not None
    stage = solution.plan.pipelines[0].stages[0]
    assert (stage.mode, stage.shares) == ("sequence", {"x0": 10, "x1": 20})
    assert abs(solution.score - 64 / 3) < 1e-6


def test_blocks_that_cannot_be_cut_are_declined() -> None:
    solution = solve(problem(boards(1, 2)), "sequence_parallel")
    assert solution.status is Status.DECLINED and solution.reason
