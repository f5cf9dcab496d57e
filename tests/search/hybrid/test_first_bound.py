"""First bound: below every plan, tight where one board does all work, unknown where it is not proven."""

from __future__ import annotations

import pytest

from solver.search.hybrid.first_bound import first_bound
from solver.settings import Settings
from solver.solve import solve
from tests.algorithms.boards import boards, problem


def test_a_single_board_without_more_to_do_is_the_bound() -> None:
    """4 blocks of 2 Gflop, 8 samples: 64 Gflop at 2 Gflop/s are 32 s."""
    what = problem(boards(2))
    assert first_bound(what) == pytest.approx(32.0)
    assert solve(what, "single").score == pytest.approx(32.0)


def test_two_boards_share_the_work_at_best() -> None:
    """64 Gflop at 1 + 3 Gflop/s are 16 s, whatever the cut and the shares."""
    assert first_bound(problem(boards(1, 3))) == pytest.approx(16.0)


@pytest.mark.parametrize("objective", ["time", "bottleneck"])
def test_no_plan_is_below_it(objective: str) -> None:
    what = problem(boards(1, 3, 2), objective, num_micro_batches=None)
    bound = first_bound(what)
    best = solve(what, "annealing", work_limit=200).score
    assert bound is not None and best is not None and 0 <= bound <= best


def test_objectives_and_rules_without_a_proof_have_none() -> None:
    assert first_bound(problem(boards(1, 3), "memory")) is None
    assert first_bound(problem(boards(1, 3), settings=Settings(transfers="host"))) is None


def test_no_plan_sends_less_than_nothing() -> None:
    assert first_bound(problem(boards(1, 3), "traffic")) == 0
