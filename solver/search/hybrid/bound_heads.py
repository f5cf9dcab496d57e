"""Least ways through the first stages of hybrid pipelines, for every set of devices they may use, compiled.

The last stages of a pipeline are given; before them stand others, on some of the devices that are left. One
micro-batch passes them on its way to the last stages and back. Their least time for that is found by dynamic
programming from the first block on, among those in which no stage breaks the cut-off by itself: M times what
it computes and one way through all before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from solver.program import Floats, Longs
from solver.schedule import compiled


def pair_numbers(num_devices: int) -> Longs:
    """Return (2 ** D,): ``pairs[a] + 2 * pairs[b]`` numbers a pair of disjoint sets.

    Parameters
    ----------
    num_devices
        D.
    """
    found = np.zeros(1 << num_devices, np.int64)
    for d in range(num_devices):
        found[1 << d : 2 << d] = found[: 1 << d] + 3**d
    return found


@compiled
def find_heads(
    limit_s: float,
    count: int,
    stages: Any,
    finish: Floats,
    link: Any,
    num_devices: int,
    num_blocks: int,
    pairs: Longs,
    ends: Floats,
    ways: Floats,
) -> Any:
    """Fill in the least ways.

    Parameters
    ----------
    limit_s, count
        Cut-off, and micro-batches M.
    stages
        :class:`solver.search.hybrid.bound_stages.StageTables`.
    finish
        (2 ** D, L + 1, L + 1): reduction and update of a stage.
    link
        Best rates and latencies between groups, bytes of a micro-batch over boundaries, and whether
        gradients cross them.
    num_devices, num_blocks, pairs
        D, L and :func:`pair_numbers`.
    ends
        (K, 3 ** D, L + 1), filled: of depth k + 1 and pair (left, group), seconds to pass the blocks before
        a boundary if the stage before it stands on ``group`` at that depth and others on ``left``; update of
        the first stage included. The last of K stands for itself and all deeper ones.
    ways
        The same shape, filled: of pair (left, group), seconds to pass the blocks before a boundary and the
        boundary itself, on some of ``left``, where a stage of ``group`` at that depth begins there.
    """
    ends[:] = np.inf
    ways[:] = np.inf
    last = len(ends) - 1
    for place in range(last, -1, -1):
        # Sets in the order of their numbers: every part of a set comes before it.
        for left in range(1 << num_devices):
            _cross(min(place + 1, last), place, left, num_devices, num_blocks, link, pairs, ends, ways)
            _extend(limit_s, count, place, left, num_devices, num_blocks, stages, finish, pairs, ends, ways)
    return 0


@compiled
def _extend(
    limit_s: float,
    count: int,
    place: int,
    left: int,
    num_devices: int,
    num_blocks: int,
    stages: Any,
    finish: Floats,
    pairs: Longs,
    ends: Floats,
    ways: Floats,
) -> Any:
    """Add a stage of any group behind the best way to it, where others may stand on a set."""
    compute, kind = stages[2], stages[5][place + 1]
    rest = ((1 << num_devices) - 1) ^ left
    group = rest
    while group:
        pair = pairs[left] + 2 * pairs[group]
        for i in range(1, num_blocks + 1):
            best = np.inf
            for h in range(i - 1, -1, -1):
                passed = finish[group, 0, i] if h == 0 else ways[place, pair, h]
                own = compute[kind, group, h, i]
                if passed + count * own < limit_s and passed + own < best:
                    best = passed + own
            ends[place, pair, i] = best
        group = (group - 1) & rest
    return 0


@compiled
def _cross(
    deeper: int,
    place: int,
    left: int,
    num_devices: int,
    num_blocks: int,
    link: Any,
    pairs: Longs,
    ends: Floats,
    ways: Floats,
) -> Any:
    """Add the way over a boundary, from the best group of a set before it, to a stage of any other group."""
    rates, latencies, size_bytes, way_back = link
    if left == 0:
        return 0
    rest = ((1 << num_devices) - 1) ^ left
    group = rest
    while group:
        pair = pairs[left] + 2 * pairs[group]
        chosen = left
        while chosen:
            before = pairs[left ^ chosen] + 2 * pairs[chosen]
            part = (1 / _size(chosen) + 1 / _size(group)) / 2
            to, back = part / rates[chosen, group], part / rates[group, chosen]
            for i in range(1, num_blocks):
                passed = ends[deeper, before, i]
                if np.isinf(passed):
                    continue
                passed += latencies[chosen, group] + size_bytes[i] * to
                if way_back[i] > 0:
                    passed += latencies[group, chosen] + size_bytes[i] * back
                if passed < ways[place, pair, i]:
                    ways[place, pair, i] = passed
            chosen = (chosen - 1) & left
        group = (group - 1) & rest
    return 0


@compiled
def _size(group: int) -> Any:
    size = 0
    while group:
        group &= group - 1
        size += 1
    return size
