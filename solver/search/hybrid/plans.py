"""Hybrid plans of a small space, all of them, packed for scoring in batches.

A plan: an ordered choice of disjoint groups of devices, cuts, and how many samples of each micro-batch every
device of a group takes; with a free in-flight rule also the caps of the stages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations, combinations_with_replacement
from math import comb

import numpy as np

from solver.batch import PackedPlans
from solver.program import Longs

CHUNK = 40_000
"""Plans yielded at once, at most about."""


ENOUGH = 10**9
"""So many plans are not counted further."""


def count_plans(num_blocks: int, num_devices: int, samples: int, num_caps: int = 0) -> int:
    """Return how many plans there are; more than ``ENOUGH`` if there are more.

    Parameters
    ----------
    num_blocks, num_devices, samples
        Size of the space; samples of a micro-batch.
    num_caps
        Values a free cap may take; 0: the cap follows a rule.
    """
    total = 0
    ways = [1] + [0] * num_devices
    for num in range(1, min(num_blocks, num_devices) + 1):
        if total > ENOUGH:
            break
        ways = [
            sum(comb(j, k) * comb(samples - 1, k - 1) * ways[j - k] for k in range(1, j + 1))
            for j in range(num_devices + 1)
        ]
        caps = comb(num_caps + num - 1, num) if num_caps else 1
        total += (
            comb(num_blocks - 1, num - 1) * caps * sum(comb(num_devices, j) * n for j, n in enumerate(ways))
        )
    return total


def all_plans(
    num_blocks: int, devices: Sequence[int], width: int, samples: int, num_caps: int = 0
) -> Iterator[PackedPlans]:
    """Yield all plans in parts.

    Parameters
    ----------
    num_blocks, samples
        Blocks of the chain, samples of a micro-batch.
    devices, width
        Numbers of the devices that may be used, and how many devices the cluster has.
    num_caps
        As for :func:`count_plans`.
    """
    most = min(num_blocks, len(devices))
    for num in range(1, most + 1):
        ends = np.full((comb(num_blocks - 1, num - 1), most), num_blocks, np.int64)
        ends[:, : num - 1] = _combinations(num_blocks, num - 1)
        caps = _falling(num, num_caps, most)
        together = len(ends) * len(caps)
        for shares in _in_chunks(_all_shares(num, tuple(devices), width, samples), CHUNK // together + 1):
            padded = np.zeros((len(shares), most, width), np.int64)
            padded[:, :num] = shares
            count = len(shares)
            yield PackedPlans(
                np.full(count * together, num, np.int64),
                np.tile(np.repeat(ends, len(caps), axis=0), (count, 1)),
                np.repeat(padded, together, axis=0),
                np.tile(caps, (count * len(ends), 1)) if num_caps else None,
            )


def _falling(num: int, num_caps: int, most: int) -> Longs:
    """Return (C, most) caps that never grow from stage to stage; one row of zeros where a rule sets them."""
    if not num_caps:
        return np.zeros((1, most), np.int64)
    rows = list(combinations_with_replacement(range(num_caps, 0, -1), num))
    found = np.zeros((len(rows), most), np.int64)
    found[:, :num] = rows
    return found


def _in_chunks(parts: Iterator[Longs], size: int) -> Iterator[Longs]:
    held: list[Longs] = []
    count = 0
    for part in parts:
        held.append(part)
        count += len(part)
        if count >= size:
            yield from np.array_split(np.concatenate(held), -(-count // size))
            held, count = [], 0
    if held:
        yield np.concatenate(held)


def _all_shares(num: int, devices: tuple[int, ...], width: int, samples: int) -> Iterator[Longs]:
    """Yield (B, num, width) shares of every ordered choice of groups."""
    if num == 0:
        yield np.zeros((1, 0, width), np.int64)
        return
    for size in range(1, min(len(devices) - num + 1, samples) + 1):
        for group in combinations(devices, size):
            first = group_shares(size, samples)
            rows = np.zeros((len(first), 1, width), np.int64)
            rows[:, 0, list(group)] = first
            left = tuple(d for d in devices if d not in group)
            for rest in _all_shares(num - 1, left, width, samples):
                yield np.concatenate(
                    [np.repeat(rows, len(rest), axis=0), np.tile(rest, (len(rows), 1, 1))], axis=1
                )


@lru_cache(maxsize=256)
def group_shares(size: int, samples: int) -> Longs:
    """Return (C, size): every way to share samples out so that each of a group has one at least.

    Parameters
    ----------
    size, samples
        Devices of the group, samples of a micro-batch.
    """
    cuts = _combinations(samples, size - 1)
    ends = np.full((len(cuts), 1), samples)
    shares: Longs = np.diff(np.concatenate([cuts, ends], axis=1), axis=1, prepend=0)
    return shares


def bounded_shares(most: tuple[int, ...], samples: int, room: int) -> Longs | None:
    """Return (C, size): the ways of :func:`group_shares`, in its order, that give nobody too many samples.

    Parameters
    ----------
    most
        (size,) most samples of each device of the group.
    samples
        Samples of a micro-batch.
    room
        How many ways may be listed; ``None`` is returned where there are more.
    """
    rows = np.zeros((1, 0), np.int64)
    for k, top in enumerate(most):
        later = most[k + 1 :]
        left = samples - rows.sum(axis=1)
        low, high = np.maximum(1, left - sum(later)), np.minimum(top, left - len(later))
        width = np.maximum(0, high - low + 1)
        total = int(width.sum())
        if total > room:
            return None
        first = np.repeat(low, width)
        number = np.arange(total) - np.repeat(np.cumsum(width) - width, width)
        rows = np.column_stack([np.repeat(rows, width, axis=0), first + number])
    return rows


def _combinations(end: int, num: int) -> Longs:
    """Return (C, num): every choice of so many of the numbers from 1 to before an end, rising."""
    return np.array(list(combinations(range(1, end), num)), np.int64).reshape(comb(end - 1, num), num)


@lru_cache(maxsize=256)
def falling_caps(most: tuple[int, ...], room: int) -> Longs | None:
    """Return (C, S): every choice of caps that never grow from stage to stage; ``None`` if too many.

    Parameters
    ----------
    most
        (S,) the largest cap of each stage; it never grows.
    room
        How many may be returned.
    """
    rows: list[tuple[int, ...]] = [()]
    for top in most:
        rows = [(*row, cap) for row in rows for cap in range(1, min(top, row[-1] if row else top) + 1)]
        if len(rows) > room:
            return None
    return np.array(rows, np.int64)
