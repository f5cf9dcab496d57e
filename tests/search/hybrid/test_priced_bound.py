"""Priced bounds: never above the optimum, and known by hand where boards are alike."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from solver.problem import Problem
from solver.search.hybrid.allowance import Allowance
from solver.search.hybrid.bound_tables import HybridTables
from solver.search.hybrid.exhaustive import space_size
from solver.search.hybrid.priced_bound import PricedBound
from solver.search.hybrid.priced_stages import PricedTables, cheapest, is_worth
from solver.search.incumbent import Search
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


def test_boards_that_are_alike_are_one_kind() -> None:
    boards = cluster({**{f"a{i}": 1.0 for i in range(5)}, **{f"b{i}": 3.0 for i in range(2)}})
    priced = PricedTables(HybridTables(problem(chain(4), boards), 4))
    assert sorted(priced.counts.tolist()) == [2, 5]
    assert (priced.speeds * priced.counts).sum() == pytest.approx(1.0)
    assert priced.speeds.max() == pytest.approx(3 / 11)


def test_the_cheapest_devices_are_fractions_and_the_fewest_are_whole() -> None:
    counts, order, used = np.array([2, 1]), np.zeros(2, np.int64), np.zeros(2)
    worth = np.array([0.25, 0.75])
    # Two small ones at 0.1 each, and two thirds of the large one at 0.6.
    assert cheapest(0.0, np.array([0.1, 0.6]), counts, worth, order, used) == pytest.approx(0.6)
    assert used.tolist() == pytest.approx([2.0, 2 / 3])
    assert is_worth(2, counts, worth, order)
    assert not is_worth(1, counts, worth, order)
    assert not is_worth(9, counts, np.array([0.0, 0.9]), order)
