"""Orders of rings: the least of all by brute force, and turns that reach it in larger groups."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from solver.collective import Hop
from solver.search import ring_orders
from solver.search.ring_orders import Joint, RingOrders


def drawn(
    seed: int, num: int, *, uneven: bool = False, parts: bool = False
) -> tuple[RingOrders, tuple[str, ...]]:
    """Unequal links, some over one medium; an all-reduce, and maybe a gather among some of the group."""
    rng = np.random.default_rng(seed)
    names = tuple("abcdefghij"[:num])
    hops = {}
    for a, b in combinations(names, 2):
        media = ("air",) if rng.random() < 0.3 else ()
        hops[a, b] = hops[b, a] = Hop(float(rng.uniform(1, 20)), float(rng.uniform(0, 1)), media)
    joints = [Joint("all_reduce", tuple((name, 10.0) for name in names), 1)]
    few = names[:-1] if parts else names
    if uneven or parts:
        sizes = tuple((name, float(rng.integers(0, 30))) for name in few)
        joints.append(Joint("all_gather", sizes, 3))
    return RingOrders(tuple(joints), hops), names


@pytest.mark.parametrize("seed", range(8))
def test_the_least_of_all_orders_is_found(seed: int) -> None:
    orders, names = drawn(seed, 5, uneven=seed % 2 == 1, parts=seed % 4 > 1)
    least = min(orders.seconds(order) for order in permutations(names))
    assert orders.seconds(orders.best(names)) == pytest.approx(least, rel=1e-12)


def test_turns_improve_larger_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turned until nothing helps: never worse than before, here mostly as good as the least."""
    found = []
    for seed in range(6):
        orders, names = drawn(seed, 6)
        least = orders.seconds(orders.best(names))
        with monkeypatch.context() as patch:
            patch.setattr(ring_orders, "MOST_EXACT", 3)
            turned = orders.best(names)
        assert sorted(turned) == sorted(names)
        assert least <= orders.seconds(turned) * (1 + 1e-12) <= orders.seconds(names) * (1 + 2e-12)
        found.append(orders.seconds(turned) <= least * (1 + 1e-9))
    assert sum(found) >= 4
