"""Stages at prices on devices: kinds of boards, knapsacks, and rates of rings, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.cluster import Cluster
from solver.search.hybrid.bound_tables import HybridTables
from solver.search.hybrid.priced_stages import PricedTables, cheapest, is_worth
from tests.algorithms.cases import chain, cluster, problem


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


def test_a_ring_of_more_boards_than_a_room_has_passes_the_slow_link() -> None:
    """Two rooms of two boards: pairs reduce 8 bytes at 4 bytes/s, larger groups at 1 byte/s."""
    rooms = [{"name": n, "members": list(n), "bandwidth_bytes_per_s": 4.0} for n in ("ab", "cd")]
    slow = {"name": "slow", "members": ["ab", "cd"], "bandwidth_bytes_per_s": 1.0}
    devices = [{"name": n, "flop_per_s": {"fp32": 1.0}, "memory_bytes": 1e9} for n in "abcd"]
    boards = Cluster.model_validate({"name": "rooms", "devices": devices, "segments": [*rooms, slow]})
    what = problem(chain(1, weight_bytes=8), boards, batch=8, num_micro_batches=2)
    priced = PricedTables(HybridTables(what, 2))
    assert priced.sizes.tolist() == [[1, 1], [2, 2], [3, 4]]
    # 2 (g - 1) / g x 8 bytes at the slowest link, g = 2 and 3.
    assert priced.finish_s[:, 0, 1].tolist() == pytest.approx([0.0, 2.0, 32 / 3])
