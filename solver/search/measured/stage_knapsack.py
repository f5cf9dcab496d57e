"""Long stages, whose variants leave too many choices to list: bounds, and exact answers one by one.

For y micro-batches in flight the cheapest variants of a stage are a multiple-choice knapsack: every block
takes one variant, the sum of A y + F stays within the memory, and the work is least. Its linear relaxation
takes *upgrades* (from a variant to one with less memory, along the lower hull of the two) in the order of
work per byte saved; rounded up, it is a choice that fits. A branch and bound over the blocks makes it exact.

Sources: Kellerer, Pferschy and Pisinger, "Knapsack problems" (2004), chapter 11: relaxation of the
multiple-choice knapsack, and branching around the break first.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from solver.program import Floats, Longs
from solver.schedule import compiled

EVERY_COUNT, GROWTH = 64, 1.1
"""Numbers of micro-batches in flight that are looked at: all up to here, then growing by this factor."""
MOST_NODES = 5000
"""Nodes of a branch and bound."""


class Upgrades(NamedTuple):
    """Upgrades of blocks for one degree and number of micro-batches, the best first.

    Parameters
    ----------
    block, variant
        (num_upgrades,), whose it is and to which variant.
    work_s, saved_bytes
        (num_upgrades,), what it costs and saves.
    before
        (num_upgrades,), the upgrade of the same block that goes before it; -1 for none.
    first
        (num_blocks,), variant with the least work.
    """

    block: Longs
    variant: Longs
    work_s: Floats
    saved_bytes: Floats
    before: Longs
    first: Longs


def counts_in_flight(most: int) -> Longs:
    """Return the numbers of micro-batches in flight that are looked at, increasing from 1."""
    found = list(range(1, min(most, EVERY_COUNT) + 1))
    while found[-1] < most:
        found.append(min(most, max(found[-1] + 1, int(found[-1] * GROWTH))))
    return np.array(found, np.int64)


def upgrades(num_variants: Longs, work_s: Floats, memory_bytes: Floats) -> Upgrades:
    """Return the upgrades of blocks, by work per byte saved.

    Parameters
    ----------
    num_variants
        (num_blocks,).
    work_s, memory_bytes
        (num_blocks, num_variants), of every variant.
    """
    found: list[tuple[float, int, int, float, float]] = []
    first = np.zeros(len(num_variants), np.int64)
    for b, count in enumerate(num_variants.tolist()):
        order = sorted(range(count), key=lambda v: (work_s[b, v], memory_bytes[b, v]))
        hull: list[int] = []
        for v in order:
            if hull and memory_bytes[b, v] >= memory_bytes[b, hull[-1]]:
                continue
            while len(hull) > 1 and _rate(work_s[b], memory_bytes[b], hull[-2], hull[-1]) >= _rate(
                work_s[b], memory_bytes[b], hull[-2], v
            ):
                hull.pop()
            hull.append(v)
        first[b] = hull[0] if hull else 0
        for a, v in pairwise(hull):
            cost, saved = work_s[b, v] - work_s[b, a], memory_bytes[b, a] - memory_bytes[b, v]
            found.append((float(cost / saved), b, v, float(cost), float(saved)))
    found.sort(key=lambda item: item[0])
    columns = list(zip(*found, strict=True)) if found else [()] * 5
    latest: dict[int, int] = {}
    before = []
    for u, item in enumerate(found):
        before.append(latest.get(item[1], -1))
        latest[item[1]] = u
    return Upgrades(
        np.array(columns[1], np.int64),
        np.array(columns[2], np.int64),
        np.array(columns[3], np.float64),
        np.array(columns[4], np.float64),
        np.array(before, np.int64),
        first,
    )


def _rate(work_s: Floats, memory_bytes: Floats, a: int, v: int) -> float:
    return float((work_s[v] - work_s[a]) / (memory_bytes[a] - memory_bytes[v]))


@compiled
def relax(
    members: Any,
    first: Longs,
    work_s: Floats,
    memory_bytes: Floats,
    room: float,
    upgrades: Any,
    chosen: Longs,
) -> Any:
    """Solve the relaxation for some blocks; write a choice that fits.

    Parameters
    ----------
    members
        (num_blocks,), which blocks.
    first
        (num_blocks,), variant with the least work.
    work_s, memory_bytes
        (num_blocks, num_variants).
    room
        Bytes there are.
    upgrades
        The columns of :class:`Upgrades` but the last.
    chosen
        (num_blocks,), filled with the choice rounded up.

    Returns
    -------
    tuple of float
        Least work of the relaxation (infinite if nothing fits), and the work of the choice.
    """
    block, variant, extra_s, saved, before = upgrades
    work, need = 0.0, -room
    for b in range(len(members)):
        if members[b]:
            chosen[b] = first[b]
            work += work_s[b, first[b]]
            need += memory_bytes[b, first[b]]
    for u in range(len(block)):
        if need <= 0:
            return work, work
        if not members[block[u]]:
            continue
        if saved[u] < need:
            work += extra_s[u]
            need -= saved[u]
            chosen[block[u]] = variant[u]
            continue
        least = work + extra_s[u] * need / saved[u]
        # Of the next upgrades of all blocks, the cheapest that saves enough at once.
        best = u
        for other in range(u + 1, len(block)):
            is_next = before[other] < u and members[block[other]]
            if is_next and saved[other] >= need and extra_s[other] < extra_s[best]:
                best = other
        chosen[block[best]] = variant[best]
        return least, work + extra_s[best]
    return (work, work) if need <= 0 else (np.inf, np.inf)


@compiled
def branch(
    num_variants: Longs, work_s: Floats, memory_bytes: Floats, room: float, first: Longs, upgrades: Any
) -> Any:
    """Solve a knapsack by branch and bound.

    Parameters
    ----------
    num_variants, work_s, memory_bytes, room, first, upgrades
        As for :func:`relax`, of all blocks.

    Returns
    -------
    tuple
        (num_blocks,) variants of the best choice, its work (infinite if nothing fits), and whether it is
        proven best.
    """
    num = len(num_variants)
    is_open = np.ones(num, np.bool_)
    best, trial = np.zeros(num, np.int64), np.zeros(num, np.int64)
    _, value = relax(is_open, first, work_s, memory_bytes, room, upgrades, best)
    if value == np.inf:
        return best, value, True
    order, depth, nodes = _around_break(best, first, upgrades), 0, 0
    tried, now = np.zeros(num + 1, np.int64), np.zeros(num, np.int64)
    work, left = np.zeros(num + 1), np.zeros(num + 1)
    left[0] = room
    while depth >= 0:
        if depth == num or tried[depth] == num_variants[order[depth]]:
            depth -= 1
            if depth >= 0:
                is_open[order[depth]] = True
            continue
        nodes += 1
        if nodes > MOST_NODES:
            return best, value, False
        b, v = order[depth], tried[depth]
        tried[depth] += 1
        work[depth + 1], left[depth + 1] = work[depth] + work_s[b, v], left[depth] - memory_bytes[b, v]
        if left[depth + 1] < 0:
            continue
        now[b], is_open[b] = v, False
        least, rounded = relax(is_open, first, work_s, memory_bytes, left[depth + 1], upgrades, trial)
        if work[depth + 1] + rounded < value:
            value = work[depth + 1] + rounded
            for x in range(num):
                best[x] = trial[x] if is_open[x] else now[x]
        if work[depth + 1] + least < value * (1 - 1e-13):
            depth += 1
            tried[depth] = 0
        else:
            is_open[b] = True
    return best, value, True


@compiled
def _around_break(chosen: Longs, first: Longs, upgrades: Any) -> Any:
    """Return the blocks in the order of how near their upgrades are to the last one taken."""
    block, variant = upgrades[0], upgrades[1]
    last = 0
    for u in range(len(block)):
        if chosen[block[u]] == variant[u] and chosen[block[u]] != first[block[u]]:
            last = u
    distance = np.full(len(chosen), float(len(block)))
    for u in range(len(block)):
        distance[block[u]] = min(distance[block[u]], float(abs(u - last)))
    return np.argsort(distance)
