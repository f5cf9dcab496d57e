"""best: never worse than its members, and better where groups help."""

from __future__ import annotations

from solver.solve import solve
from tests.algorithms.boards import boards, problem


def test_it_finds_what_its_members_find() -> None:
    what = problem(boards(1, 3))
    best = solve(what, "best", work_limit=300)
    data = solve(what, "data_parallel")
    assert best.score is not None and data.score is not None
    assert best.score <= data.score


def test_a_search_goes_on_from_a_given_plan() -> None:
    what = problem(boards(1, 3))
    first = solve(what, "best", work_limit=300)
    again = solve(what, "best", work_limit=1, start=first.plan)
    assert again.score is not None and first.score is not None
    assert again.score <= first.score
