"""Portfolio: members get their share, and what they cannot do stops nothing."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from models.errors import Fault
from solver.errors import DeclinedError, InputError
from solver.plan import Stage, pipeline_plan
from solver.search.incumbent import Interrupted, Search
from solver.search.portfolio import Member, Portfolio
from solver.space import Space
from solver.status import Outcome
from tests.algorithms.boards import boards, problem

WHAT = problem(boards(1, 2))


def portfolio(**members: Callable[[Search], Outcome]) -> Portfolio:
    def call(name: str, search: Search) -> Outcome:
        if name not in members:
            raise InputError([Fault("solver", f"no solver is called {name}")], "solver")
        return members[name](search)

    return Portfolio(Search(WHAT, work_limit=100, call=call))


def declines(search: Search) -> Outcome:
    raise DeclinedError("only rings")


def ends(search: Search) -> Outcome:
    search.offer(pipeline_plan(WHAT, [Stage(blocks=WHAT.workload.order, shares={"x1": 8})], 1))
    return Outcome(Space(), reason="looked at all")


def goes_on(search: Search) -> Outcome:
    while True:
        search.tick()


def gives_up(search: Search) -> Outcome:
    try:
        return goes_on(search)
    except Interrupted as stop:
        return Outcome(Space(), reason=str(stop))


def test_members_that_decline_or_are_missing_are_skipped() -> None:
    members = portfolio(declines=declines, ends=ends)
    members.run_all([Member("declines"), Member("missing"), Member("ends")])
    assert members.ended == {"ends": "looked at all"}
    assert members.search.best_score == pytest.approx(32.0)


def breaks(search: Search) -> Outcome:
    raise ZeroDivisionError("a speed of 0")


def test_a_member_that_breaks_is_named_and_takes_nothing_from_the_others() -> None:
    whole = portfolio(broken=breaks, good=ends)
    whole.run_all([Member("broken"), Member("good"), Member("broken")])
    assert whole.broken == {"broken": "ZeroDivisionError: a speed of 0"}
    assert set(whole.ended) == {"good"}


@pytest.mark.parametrize("endless", [goes_on, gives_up])
def test_a_member_stops_at_its_share_and_the_next_one_follows(endless: Callable[[Search], Outcome]) -> None:
    members = portfolio(endless=endless, ends=ends)
    assert not members.run(Member("endless", 0.3))
    assert members.search.work == 30
    assert members.run(Member("ends"))


def test_when_the_whole_is_over_so_are_its_members() -> None:
    with pytest.raises(Interrupted, match="work limit of 100 units"):
        portfolio(endless=gives_up).run_all([Member("endless", 1.0), Member("endless")])


def test_proven_is_said_of_a_space() -> None:
    members = portfolio(ends=ends)
    members.search.bound(32.0, Space())
    assert not members.is_proven(Space())
    members.run(Member("ends"))
    assert members.is_proven(Space())
    assert not members.is_proven(Space(max_group=2))


def test_that_nothing_fits_is_proven_too() -> None:
    members = portfolio()
    members.search.bound(math.inf, Space())
    assert members.is_proven(Space())
    assert not members.is_proven(Space(max_group=2))
