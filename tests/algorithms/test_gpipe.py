"""gpipe: stages of least variance, devices alike."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from solver.algorithms.gpipe import least_variance_cut
from solver.search.incumbent import Search
from solver.solve import solve
from tests.algorithms.cases import chain, cluster, placed, problem


def any_search() -> Search:
    return Search(problem(chain(1), cluster({"x": 1.0})))


def test_variance_is_not_the_heaviest_part() -> None:
    """1 1 4 1 1 in three parts: the heaviest has 4 at least, and 2 4 2 has the least variance of those."""
    assert least_variance_cut([1, 1, 4, 1, 1], 3, any_search()) == [0, 2, 3, 5]


@pytest.mark.parametrize("seed", range(30))
def test_no_cut_has_less_variance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    costs = rng.integers(0, 20, int(rng.integers(1, 8))).tolist()
    parts = int(rng.integers(1, len(costs) + 1))

    def variance(cuts: tuple[int, ...]) -> float:
        return float(np.var([sum(costs[a:b]) for a, b in pairwise(cuts)]))

    every = ((0, *inner, len(costs)) for inner in combinations(range(1, len(costs)), parts - 1))
    found = tuple(least_variance_cut(costs, parts, any_search()))
    assert len(found) == parts + 1 and list(found) == sorted(set(found))
    assert variance(found) == pytest.approx(min(map(variance, every)), abs=1e-9)


def test_devices_are_taken_as_alike_in_the_order_of_the_cluster() -> None:
    """Blocks a, b of 2 + 2 flop a sample on boards of 1 and 4 flop/s, 4 micro-batches of one, cap 3::

    x  F0 F1 F2 B0 F3 B1 B2 B3     2 s each; y needs half a second a pass and is always done in time: 16 s
    y     F0B0 F1B1 ..
    """
    solution = solve(problem(chain(2), cluster({"x": 1.0, "y": 4.0})), "gpipe")
    assert placed(solution.plan) == [("a", "x"), ("b", "y")]
    assert solution.score == pytest.approx(16.0)


def test_where_micro_batches_are_open_there_are_four_times_the_stages() -> None:
    boards = cluster({"x": 1.0, "y": 1.0})
    solution = solve(problem(chain(3), boards, batch=24, num_micro_batches=None), "gpipe")
    assert solution.plan is not None and solution.plan.pipelines[0].micro_batches == 8
    few = solve(problem(chain(3), boards, batch=6, num_micro_batches=None), "gpipe")
    assert few.plan is not None and few.plan.pipelines[0].micro_batches == 6
