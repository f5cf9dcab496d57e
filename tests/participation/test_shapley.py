"""Shapley values against the definition, hand-computed games, and the axioms."""

from __future__ import annotations

import math
from itertools import combinations, permutations

import numpy as np
import pytest

from solver.participation.game import Game, closed, largest_cost
from solver.participation.shapley import Value, exact, orders, sampled


def by_permutations(num: int, value: Value) -> list[float]:
    """The definition: what each device adds, averaged over all orders in which they come."""
    found = [0.0] * num
    for order in permutations(range(num)):
        counts = [0] * num
        for device in order:
            before = value(tuple(counts)) if any(counts) else 0.0
            counts[device] = 1
            found[device] += value(tuple(counts)) - before
    return [total / math.factorial(num) for total in found]


def random_value(num: int, seed: int) -> Value:
    rng = np.random.default_rng(seed)
    table = {counts: float(rng.uniform(-1, 5)) for counts in np.ndindex(*(2,) * num)}
    return lambda counts: table[counts]


def of_sizes(sizes: tuple[int, ...]) -> Value:
    """A game in which equal devices are equal: it asks for counts only, and not in a straight line."""
    return lambda counts: math.sqrt(sum((k + 1) * c for k, c in enumerate(counts))) - 0.1 * counts[0]


@pytest.mark.parametrize("seed", range(5))
def test_exact_values_are_those_of_the_definition(seed: int) -> None:
    value = random_value(4, seed)
    assert [one.value for one in exact((1, 1, 1, 1), value)] == pytest.approx(by_permutations(4, value))


def test_kinds_give_what_devices_one_by_one_give() -> None:
    """Two of the first kind, one of the second, one of the third: four devices, (0, 0, 1, 2) by kind."""
    value, kind_of = of_sizes((2, 1, 1)), (0, 0, 1, 2)

    def alone(counts: tuple[int, ...]) -> float:
        grouped = [0, 0, 0]
        for device, taken in enumerate(counts):
            grouped[kind_of[device]] += taken
        return value(tuple(grouped))

    every = by_permutations(4, alone)
    assert every[0] == pytest.approx(every[1])
    assert [one.value for one in exact((2, 1, 1), value)] == pytest.approx([every[0], *every[2:]])


def test_a_pair_of_gloves_by_hand() -> None:
    """Two left gloves, one right: worth 1 as a pair. The right one comes first in 1/3 of the orders and then
    adds nothing, so it is worth 2/3 and each left one 1/6."""
    found = exact((2, 1), lambda counts: float(min(counts) > 0))
    assert [one.value for one in found] == pytest.approx([1 / 6, 2 / 3])


def test_values_add_up_and_who_adds_nothing_gets_nothing() -> None:
    sizes = (2, 1, 3)
    value = of_sizes(sizes)

    def without_last(counts: tuple[int, ...]) -> float:
        return value((*counts[:2], 0)) if sum(counts[:2]) else 0.0

    for one, expected in ((value, value(sizes)), (without_last, value((2, 1, 0)))):
        found = exact(sizes, one)
        assert sum(n * w.value for n, w in zip(sizes, found, strict=True)) == pytest.approx(expected)
        assert sum(
            n * w.value for n, w in zip(sizes, sampled(sizes, one, orders(sizes, 4, 0)), strict=True)
        ) == pytest.approx(expected)
    assert exact(sizes, without_last)[2].value == pytest.approx(0, abs=1e-12)
    assert sampled(sizes, without_last, orders(sizes, 4, 0))[2].value == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_sampled_values_are_exact_within_their_error(seed: int) -> None:
    """Eight devices, 800 orders: within four standard errors, beyond which 1 in 16,000 normal draws lies."""
    sizes = (1,) * 8
    value = of_sizes(sizes)
    truth = exact(sizes, value)
    found = sampled(sizes, value, orders(sizes, 400, seed))
    for mine, true in zip(found, truth, strict=True):
        assert mine.error > 0
        assert abs(mine.value - true.value) < 4 * mine.error
        assert mine.error < 0.01 * value(sizes)


def test_orders_are_repeatable_and_each_is_followed_by_its_reverse() -> None:
    drawn = orders((2, 1), 3, 5)
    assert drawn == orders((2, 1), 3, 5) and len(drawn) == 6
    assert all(sorted(order) == [0, 0, 1] for order in drawn)
    assert all(drawn[i] == drawn[i + 1][::-1] for i in (0, 2, 4))


def test_a_group_costs_no_more_than_its_parts() -> None:
    """Two equal devices and another: one of the two costs 4 s; both of them together, forced, 5 s; the other
    has no plan alone, and with one of the two 3 s."""
    costs = closed((2, 1), {(1, 0): 4.0, (2, 0): 5.0, (1, 1): 3.0})
    assert costs == {
        (0, 0): math.inf,
        (1, 0): 4.0,
        (0, 1): math.inf,
        (2, 0): 4.0,
        (1, 1): 3.0,
        (2, 1): 3.0,
    }
    game = Game((2, 1), costs, largest_cost(costs), samples=12)
    assert (game.reference, game.saved((1, 1)), game.rate((1, 1))) == (4.0, 1.0, 4.0)
    assert (game.saved((0, 1)), game.rate((0, 1)), game.saved((0, 0))) == (0.0, 0.0, 0.0)


def test_larger_groups_never_cost_more() -> None:
    rng = np.random.default_rng(0)
    known = {counts: float(rng.uniform(1, 9)) for counts in np.ndindex(3, 2, 2) if rng.random() < 0.7}
    costs = closed((2, 1, 1), known)
    for one, other in combinations(costs, 2):
        if all(a <= b for a, b in zip(one, other, strict=True)):
            assert costs[other] <= costs[one]
