"""Shapley: what one device adds to a group, averaged over all orders in which devices may come.

Source: Shapley, "A value for n-person games", Contributions to the Theory of Games II, 1953. Sampled beyond
10 devices: Castro, Gomez and Tejada, "Polynomial calculation of the Shapley value based on sampling",
Computers and Operations Research 36, 2009, with every order followed by its reverse (antithetic). The values
of a game add up to that of all devices together; equal devices have equal values; who adds nothing to any
group gets nothing. The sampled values keep all three in every sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from solver.participation.kinds import Counts

Value = Callable[[Counts], float]


@dataclass(frozen=True)
class Worth:
    """What one device of a kind is worth, and the standard error of that; 0 where it is exact."""

    value: float
    error: float = 0.0


def exact(sizes: Counts, value: Value) -> list[Worth]:
    """Return what one device of each kind is worth.

    Parameters
    ----------
    sizes
        Devices of each kind.
    value
        Of a group; that of the empty one is taken to be 0.

    Notes
    -----
    Sum over groups S without the device of |S|! (n - |S| - 1)! / n! (v(S + 1) - v(S)); groups that differ by
    an exchange of equal devices are counted by binomials.
    """
    num = sum(sizes)
    worth = {counts: value(counts) if sum(counts) else 0.0 for counts in _groups(sizes)}
    found = []
    for k, _ in enumerate(sizes):
        others = tuple(size - (j == k) for j, size in enumerate(sizes))
        total = 0.0
        for counts in _groups(others):
            ways = math.prod(math.comb(size, taken) for size, taken in zip(others, counts, strict=True))
            weight = ways / (num * math.comb(num - 1, sum(counts)))
            total += weight * (worth[one_more(counts, k)] - worth[counts])
        found.append(Worth(total))
    return found


def _groups(sizes: Sequence[int]) -> Iterator[Counts]:
    yield from product(*(range(size + 1) for size in sizes))


def one_more(counts: Counts, kind: int) -> Counts:
    """Return a group with one more device of a kind."""
    return (*counts[:kind], counts[kind] + 1, *counts[kind + 1 :])


def orders(sizes: Counts, num_pairs: int, seed: int) -> list[list[int]]:
    """Return random orders of devices, as their kinds, each followed by its reverse.

    Parameters
    ----------
    sizes
        Devices of each kind.
    num_pairs
        Half as many as orders.
    seed
        Makes them repeatable.
    """
    rng = np.random.default_rng(seed)
    devices = [kind for kind, size in enumerate(sizes) for _ in range(size)]
    found = []
    for _ in range(num_pairs):
        order = rng.permutation(devices).tolist()
        found += [order, order[::-1]]
    return found


def sampled(sizes: Counts, value: Value, drawn: Sequence[Sequence[int]]) -> list[Worth]:
    """Return what one device of each kind is worth by what it adds in some orders.

    Parameters
    ----------
    sizes
        Devices of each kind.
    value
        Of a group; that of the empty one is taken to be 0.
    drawn
        As :func:`orders` gives them, two pairs at least.
    """
    adds = np.zeros((len(drawn), len(sizes)))
    for row, order in enumerate(drawn):
        counts, before = (0,) * len(sizes), 0.0
        for kind in order:
            counts = one_more(counts, kind)
            after = value(counts)
            adds[row, kind] += (after - before) / sizes[kind]
            before = after
    pairs = adds.reshape(len(drawn) // 2, 2, len(sizes)).mean(axis=1)
    errors = pairs.std(axis=0, ddof=1) / math.sqrt(len(pairs))
    return [Worth(float(v), float(e)) for v, e in zip(pairs.mean(axis=0), errors, strict=True)]
