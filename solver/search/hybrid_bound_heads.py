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
        :class:`solver.search.hybrid_bound_stages.StageTables`.
    finish
        (2 ** D, L + 1, L + 1): reduction and update of a stage.
    link
        Best rates and latencies between groups, bytes of a micro-batch over boundaries, and whether
        gradients cross them.
    num_devices, num_blocks, pairs
        D, L and :func:`pair_numbers`.
    ends
        (max_depth + 2, 3 ** D, L + 1), filled: of pair (left, group), seconds to pass the blocks before a
        boundary if the stage before it stands on ``group`` at a depth and others on ``left``; update of
        the first stage included.
    ways
        The same shape, filled: of pair (left, group), seconds to pass the blocks before a boundary and the
        boundary itself, on some of ``left``, where a stage of ``group`` at a depth begins there.
    """
    compute, kind_of = stages[2], stages[5]
    rates, latencies, size_bytes, way_back = link
    full = (1 << num_devices) - 1
    ends[:] = np.inf
    ways[:] = np.inf
    for depth in range(len(kind_of) - 1, 0, -1):
        kind = kind_of[depth]
        for group in range(1, full + 1):
            rest = full ^ group
            left = rest
            while True:
                pair = pairs[left] + 2 * pairs[group]
                for i in range(1, num_blocks + 1):
                    best = np.inf
                    for h in range(i):
                        own = compute[kind, group, h, i]
                        passed = finish[group, 0, i] if h == 0 else ways[depth, pair, h]
                        if passed + count * own < limit_s and passed + own < best:
                            best = passed + own
                    ends[depth, pair, i] = best
                if left == 0:
                    break
                left = (left - 1) & rest
        if depth == 1:
            break
        _cross(depth, num_devices, num_blocks, rates, latencies, size_bytes, way_back, pairs, ends, ways)
    return 0


@compiled
def _cross(
    depth: int,
    num_devices: int,
    num_blocks: int,
    rates: Floats,
    latencies: Floats,
    size_bytes: Floats,
    way_back: Floats,
    pairs: Longs,
    ends: Floats,
    ways: Floats,
) -> Any:
    """Add the way over a boundary, from the best group before it, to a stage one less deep."""
    full = (1 << num_devices) - 1
    members = np.zeros(full + 1)
    for group in range(1, full + 1):
        members[group] = members[group & (group - 1)] + 1
    for group in range(1, full + 1):
        rest = full ^ group
        left = rest
        while left:
            pair = pairs[left] + 2 * pairs[group]
            chosen = left
            while chosen:
                before = pairs[left ^ chosen] + 2 * pairs[chosen]
                part = (1 / members[chosen] + 1 / members[group]) / 2
                to, back = part / rates[chosen, group], part / rates[group, chosen]
                for i in range(1, num_blocks):
                    passed = ends[depth, before, i]
                    if np.isinf(passed):
                        continue
                    passed += latencies[chosen, group] + size_bytes[i] * to
                    if way_back[i] > 0:
                        passed += latencies[group, chosen] + size_bytes[i] * back
                    if passed < ways[depth - 1, pair, i]:
                        ways[depth - 1, pair, i] = passed
                chosen = (chosen - 1) & left
            left = (left - 1) & rest
    return 0
