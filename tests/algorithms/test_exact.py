"""bitmask_dp and interval_ilp: the least bottleneck of chains of one board a stage, proven."""

from __future__ import annotations

import pytest

from solver.solve import solve
from solver.status import Status
from tests.algorithms.boards import boards, problem

EXACT = ("bitmask_dp", "interval_ilp")


@pytest.mark.parametrize("name", EXACT)
def test_blocks_follow_speed(name: str) -> None:
    """Boards of 1 and 3 Gflop/s, one micro-batch of 8 samples; a block is 16 Gflop: 16 s or 5.33 s.
    3 blocks on the fast one and 1 on the slow one: 16 s each; 4 on the fast one alone: 21.3 s."""
    solution = solve(problem(boards(1, 3), "bottleneck"), name)
    assert (solution.status, solution.score) == (Status.OPTIMAL, pytest.approx(16.0))
    assert solution.plan is not None
    held = {tuple(stage.shares): len(stage.blocks) for stage in solution.plan.pipelines[0].stages}
    assert held == {("x0",): 1, ("x1",): 3}


@pytest.mark.parametrize("name", EXACT)
def test_memory_decides_where_speed_would_not(name: str) -> None:
    """A block's weights and gradients are 2000 bytes, output and its gradient at the cut 800 each: 5900 bytes
    hold two blocks, not three. 2 and 2: the slow board takes 32 s."""
    solution = solve(problem(boards(1, 3, memory_bytes=5900), "bottleneck"), name)
    assert (solution.status, solution.score) == (Status.OPTIMAL, pytest.approx(32.0))


@pytest.mark.parametrize("name", EXACT)
def test_no_room_is_proven_with_numbers(name: str) -> None:
    solution = solve(problem(boards(1, 3, memory_bytes=3900), "bottleneck"), name)
    assert solution.status is Status.INFEASIBLE
    assert "bytes" in solution.reason


@pytest.mark.parametrize("name", EXACT)
def test_the_bound_under_time_is_below_the_best_chain(name: str) -> None:
    """One micro-batch overlaps nothing, so the fast board alone is best: 64 Gflop in 21.3 s."""
    solution = solve(problem(boards(1, 3)), name)
    assert solution.bound is not None and solution.score is not None
    assert solution.bound <= 64 / 3 * (1 + 1e-9) <= solution.score * (1 + 2e-9)


@pytest.mark.parametrize("name", EXACT)
def test_the_space_is_said(name: str) -> None:
    solution = solve(problem(boards(1, 3), "bottleneck"), name)
    assert "at most 1 device(s) each" in str(solution.space)
    assert "1 micro-batches" in str(solution.space)
