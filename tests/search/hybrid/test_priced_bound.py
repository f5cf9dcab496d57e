"""Priced bounds: never above the optimum, and known by hand where boards are alike."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from solver.problem import Problem
from solver.search.hybrid.allowance import Allowance
from solver.search.hybrid.bound_quick import quick_bounds
from solver.search.hybrid.exhaustive import space_size
from solver.search.hybrid.priced_bound import PricedBound
from solver.search.incumbent import Search
from solver.solve import solve
from tests.algorithms.cases import chain, cluster, problem
from tests.search.hybrid.test_bound import MOST_PLANS, least_s, small_problems


def is_refuted(what: Problem, limit_s: float) -> bool:
    bound = PricedBound(what, what.num_micro_batches or 1)
    return bool(bound.is_refuted(limit_s, Allowance(Search(what), 1.0, 10**6)))


@pytest.mark.parametrize("in_flight", ["default", "free"])
def test_no_cut_off_that_a_plan_keeps_is_refuted(in_flight: str) -> None:
    refuted = 0
    for small in small_problems(12):
        what = replace(small, in_flight=in_flight)
        if space_size(what, what.num_micro_batches or 1) > MOST_PLANS:
            continue
        best = least_s(what)
        if math.isfinite(best):
            assert not is_refuted(what, best * (1 + 1e-9))
            assert not is_refuted(what, 1.3 * best)
            refuted += is_refuted(what, 0.6 * best)
    assert refuted >= 4


def test_one_board_takes_what_it_takes() -> None:
    what = problem(chain(4), cluster({"x": 1.0}), batch=4)
    assert is_refuted(what, 63.0)
    assert not is_refuted(what, 64.0)


def test_a_pipeline_must_be_filled() -> None:
    """Two boards with one sample at a time: no group, so the last board waits for the first."""
    what = problem(chain(4), cluster({"x": 1.0, "y": 1.0}), batch=4)
    # Two blocks of 4 s each, 4 times, and one pass of the other board; all work on both would be 32 s.
    assert least_s(what) == pytest.approx(40.0)
    assert is_refuted(what, 38.0)
    assert not is_refuted(what, 40.0)


def test_more_work_never_loosens_it_and_the_same_work_gives_the_same() -> None:
    boards = cluster({f"d{i}": 1.0 + i % 3 for i in range(12)}, rate=50.0)
    what = problem(chain(8), boards, batch=16, num_micro_batches=8)
    bounds = [solve(what, "hybrid_exact", work_limit=work).bound for work in (2, 2, 10, 100)]
    assert bounds[0] == bounds[1]
    assert bounds == sorted(bounds)
    assert bounds[-1] > 1.2 * quick_bounds(what, 8)["time"]


def test_where_no_plan_fits_it_comes_to_an_end() -> None:
    boards = cluster(dict.fromkeys("uvwxyzabcdef", 1.0), memory=dict.fromkeys("uvwxyzabcdef", 3.0))
    what = problem(chain(2, kept_bytes=100), boards, num_micro_batches=2)
    assert solve(what, "hybrid_exact", work_limit=50).plan is None
