"""Shares by speed, and cuts that balance work."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from models.workload import Workload
from solver.search.shares import by_speed, even_cut, speeds
from tests.algorithms.cases import chain, cluster, problem


def test_speed_counts_measured_times_before_flop() -> None:
    """Board x of kind k computes a block of 4 samples in 1 + 1 s, measured; y by its 1 flop/s in 16 s."""
    data = chain(1).model_dump(mode="json")
    data["profiles"] = {"k": {"a": {"samples": [4], "forward_s": [1.0], "backward_s": [1.0]}}}
    boards = cluster({"x": 1, "y": 1}).model_dump(mode="json")
    boards["devices"][0]["kind"] = "k"
    what = problem(Workload.model_validate(data), type(cluster({"x": 1})).model_validate(boards))
    assert speeds(what, 4) == pytest.approx({"x": 2.0, "y": 0.25})


def test_shares_follow_speed_by_largest_remainder() -> None:
    """1 : 2 : 4 of 10 is 1.43 : 2.86 : 5.71."""
    what = problem(chain(2), cluster({"x": 1, "y": 2, "z": 4}))
    assert by_speed(what, 1, 10) == {"x": 1, "y": 3, "z": 6}
    assert by_speed(what, 1, 1) == {"z": 1}


def test_cuts_by_speed_make_the_slowest_part_quick() -> None:
    assert even_cut([1, 1, 1, 1], 2, [3.0, 1.0]) == [0, 3, 4]  # 3 / 3 and 1 / 1, all else is slower
    assert even_cut([1, 1, 1, 1], 2, [1.0, 3.0]) == [0, 1, 4]


def test_even_cuts_make_the_heaviest_part_light() -> None:
    assert even_cut([1, 1, 1, 1], 2) == [0, 2, 4]
    assert even_cut([1, 1, 5], 2) == [0, 2, 3]
    assert even_cut([3.0], 1) == [0, 1]
    rng = np.random.default_rng(0)
    for _ in range(20):
        weights = rng.integers(0, 9, 7).tolist()
        cuts = even_cut(weights, 3)
        parts = [sum(weights[a:b]) for a, b in itertools.pairwise(cuts)]
        every = [[0, *inner, 7] for inner in itertools.combinations(range(1, 7), 2)]
        assert max(parts) == min(max(sum(weights[a:b]) for a, b in itertools.pairwise(c)) for c in every)
        assert cuts[0] == 0 and cuts[-1] == 7 and all(a < b for a, b in itertools.pairwise(cuts))
