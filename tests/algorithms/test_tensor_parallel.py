"""tensor_parallel: heads in proportion to speed."""

from __future__ import annotations

from solver.solve import solve
from solver.status import Status
from tests.algorithms.boards import boards, chain, problem


def test_heads_follow_speed() -> None:
    """12 heads over 1 : 2 Gflop/s are 4 and 8; each block is done in part: 64 Gflop / 3 Gflop/s."""
    heads = {"heads": 12, "weight_bytes": 1000}
    solution = solve(problem(boards(1, 2), workload=chain(tensor=heads)), "tensor_parallel")
    assert solution.plan is not None and solution.score is not None
    stage = solution.plan.pipelines[0].stages[0]
    assert (stage.mode, stage.shares) == ("tensor", {"x0": 4, "x1": 8})
    assert abs(solution.score - 64 / 3) < 1e-6


def test_blocks_that_cannot_be_cut_are_declined() -> None:
    solution = solve(problem(boards(1, 2)), "tensor_parallel")
    assert solution.status is Status.DECLINED and solution.reason
