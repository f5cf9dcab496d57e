"""Search: parts of a search count in the whole; bounds hold for the space they are said of."""

from __future__ import annotations

import math

import pytest

from solver.plan import Plan, Stage, pipeline_plan
from solver.search.incumbent import Interrupted, Search
from solver.space import Space
from tests.algorithms.boards import boards, problem

WHAT = problem(boards(1, 2))
HYBRID, CHAIN = Space(max_group=None), Space()


def whole(name: str) -> Plan:
    return pipeline_plan(WHAT, [Stage(blocks=WHAT.workload.order, shares={name: 8})], 1)


def test_a_plan_offered_to_a_part_counts_in_the_whole_at_once() -> None:
    """64 Gflop: 64 s on the slow board, 32 s on the fast one."""
    search = Search(WHAT)
    part = search.part(0.5)
    assert part.offer(whole("x1")) == pytest.approx(32.0)
    assert (search.best_score, search.best_plan) == (part.best_score, whole("x1"))
    part.offer(whole("x0"))
    assert [round(one.score) for one in search.incumbents] == [32]


def test_a_part_knows_the_best_plan_or_begins_with_nothing() -> None:
    search = Search(WHAT)
    search.offer(whole("x1"))
    assert search.part(0.5).best_plan == whole("x1")
    assert search.part(0.5, knows_best=False).best_score == math.inf


def test_a_part_stops_at_its_share_of_the_work_and_its_work_counts() -> None:
    search = Search(WHAT, work_limit=100)
    search.tick(20)
    part = search.part(0.5)
    part.tick(39)
    with pytest.raises(Interrupted, match="work limit of 40 units"):
        part.tick()
    assert search.work == 60


def test_a_part_stops_when_the_whole_does() -> None:
    search = Search(WHAT, work_limit=10)
    part = search.part(1.0).part(1.0)
    search.tick(9)
    with pytest.raises(Interrupted, match="work limit of 10 units"):
        part.tick()


def test_a_part_has_its_share_of_the_time_and_none_is_endless() -> None:
    assert Search(WHAT).part(0.5).remaining_s == math.inf
    assert Search(WHAT).part(0.5, most_s=3.0).remaining_s <= 3.0
    assert Search(WHAT, time_limit_s=10.0).part(0.5).remaining_s <= 5.0
    assert Search(WHAT, work_limit=10).part(0.5, most_s=3.0).remaining_s == math.inf


def test_a_bound_holds_for_what_its_space_covers() -> None:
    search = Search(WHAT)
    search.part(0.5).bound(20.0, HYBRID)
    search.bound(25.0, CHAIN)
    assert (search.bound_of(HYBRID), search.bound_of(CHAIN)) == (20.0, 25.0)
    assert search.bound_of(Space(("tensor",))) is None


def test_only_better_bounds_are_kept() -> None:
    search = Search(WHAT)
    for value in (3.0, 2.0, 3.0, math.nan, 4.0):
        search.bound(value, HYBRID)
    assert [one.value for one in search.bounds] == [3.0, 4.0]


def test_the_widest_bound_is_that_of_most_plans() -> None:
    search = Search(WHAT)
    assert search.widest_bound() is None
    search.bound(25.0, CHAIN)
    search.bound(20.0, HYBRID)
    search.bound(math.inf, Space(("tensor",)))
    widest = search.widest_bound()
    assert widest is not None and (widest.value, widest.space) == (20.0, HYBRID)


def test_of_plans_with_the_same_score_that_with_fewer_stages_is_kept() -> None:
    """All blocks on one board, as one stage or as two: links cost nothing."""
    order = WHAT.workload.order
    parts = [Stage(blocks=order[:2], shares={"x1": 8}), Stage(blocks=order[2:], shares={"x1": 8})]
    two = pipeline_plan(WHAT, parts, 1)
    for plans in ((two, whole("x1")), (whole("x1"), two)):
        search = Search(WHAT)
        for plan in plans:
            assert search.offer(plan) == pytest.approx(32.0)
        assert search.best_plan == whole("x1")
        assert len(search.incumbents) == 1
