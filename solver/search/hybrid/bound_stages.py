"""Least durations of the stages of all groups under a cut-off, compiled.

See :mod:`solver.search.hybrid.bound_tables` for what is bounded. A cut-off on the step time limits the
samples a device can take, and what it cannot take others must.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from solver.program import Floats, Longs
from solver.schedule import compiled
from solver.search.hybrid.bound_tables import HybridTables

EXACT_SAMPLES = 24
"""Micro-batches up to so many samples are shared out in whole samples, larger ones in fractions."""
MOST_ENTRIES = 9_000_000
"""Stages a table may list."""


class StageTables(NamedTuple):
    """Least values of stages; K kinds of depth, see ``kind_of``.

    Parameters
    ----------
    forward_s, backward_s, compute_s
        (K, 2 ** D, L + 1, L + 1), means over the samples; ``compute_s`` of both passes, infinite if no
        shares are below the cut-off and fit.
    slowest_s
        The same shape: both passes of the slowest device.
    spread
        The same shape: sum of squares of the shares, as parts of a micro-batch.
    kind_of
        (max_depth + 1,): kind of every depth.
    """

    forward_s: Floats
    backward_s: Floats
    compute_s: Floats
    slowest_s: Floats
    spread: Floats
    kind_of: Longs


def depth_kinds(tables: HybridTables) -> tuple[Longs, list[int]]:
    """Return (max_depth + 1,) the kind of every depth, and the first depth of every kind.

    Parameters
    ----------
    tables
        What stages need.

    Notes
    -----
    Depths at which the same fits are one kind; so are deep ones where tables would be too large: then the
    least deep speaks for them, at which no more memory is needed.
    """
    most = tables.most_samples
    entries = (1 << len(tables.numbers)) * (tables.num_blocks + 1) ** 2
    room = max(1, MOST_ENTRIES // entries)
    kind_of, firsts = [0, 0], [1]
    for depth in range(2, tables.max_depth + 1):
        same = np.array_equal(most[depth - 1], most[firsts[-1] - 1])
        if not same and len(firsts) < room:
            firsts.append(depth)
        kind_of.append(len(firsts) - 1)
    return np.array(kind_of, np.int64), firsts


def stage_tables(tables: HybridTables, limit_s: float) -> StageTables:
    """Return the least durations of all stages of plans whose step takes less than a limit.

    Parameters
    ----------
    tables
        What stages need.
    limit_s
        Cut-off; may be infinite.
    """
    kind_of, firsts = depth_kinds(tables)
    size = tables.num_blocks + 1
    shape = (len(firsts), 1 << len(tables.numbers), size, size)
    forward, backward, slowest, spread = np.zeros((4, *shape))
    compute = np.full(shape, np.inf)
    fill = _fill_whole if tables.samples <= EXACT_SAMPLES else _fill_parts
    fill(
        limit_s,
        tables.num_micro_batches,
        tables.times_s,
        np.ascontiguousarray(tables.most_samples[[depth - 1 for depth in firsts]]),
        tables.finish_s,
        tables.static_bytes,
        tables.trained_bytes if tables.problem.settings.sync else tables.trained_bytes * 0,
        tables.limit_bytes,
        (forward, backward, compute, slowest, spread),
    )
    return StageTables(forward, backward, compute, slowest, spread, kind_of)


@compiled
def _fill_whole(
    limit_s: float,
    count: int,
    times: Floats,
    most: Longs,
    finish: Floats,
    static: Longs,
    trained: Longs,
    room: Longs,
    out: Any,
) -> Any:
    """Share whole samples out by dynamic programming over the members of a group."""
    forward, backward, compute, slowest, spread = out
    num_kinds, num, size, _ = most.shape
    samples = times.shape[2] - 1
    # Forward, backward, both, slowest, squares: least sums over a group for a number of samples.
    best = np.zeros((1 << num, samples + 1, 5))
    cost = np.zeros((num, samples + 1, 2))
    for kind in range(num_kinds):
        for e in range(1, size):
            for h in range(e - 1, -1, -1):
                within = _find_costs(limit_s, count, times, h, e, cost)
                if within < samples:
                    break
                _share_out(count, limit_s, cost, most[kind, :, h, e], best)
                for group in range(1, 1 << num):
                    found = best[group, samples]
                    if np.isinf(found[2]) or not _has_room(group, static[h, e], trained[h, e], room):
                        continue
                    if count * found[3] + finish[group, h, e] >= limit_s:
                        continue
                    forward[kind, group, h, e] = found[0] / samples
                    backward[kind, group, h, e] = found[1] / samples
                    compute[kind, group, h, e] = found[2] / samples
                    slowest[kind, group, h, e] = found[3]
                    spread[kind, group, h, e] = found[4] / samples**2
    return 0


@compiled
def _find_costs(limit_s: float, count: int, times: Floats, h: int, e: int, cost: Floats) -> Any:
    """Find the seconds of every device and number of samples, and how many samples all can take."""
    within = 0
    for d in range(len(cost)):
        taken = 0
        for n in range(1, cost.shape[1]):
            for way in range(2):
                cost[d, n, way] = times[way, d, n, e] - times[way, d, n, h]
            if count * (cost[d, n, 0] + cost[d, n, 1]) < limit_s:
                taken = n
        within += taken
    return within


@compiled
def _share_out(count: int, limit_s: float, cost: Floats, most: Longs, best: Floats) -> Any:
    samples = cost.shape[1] - 1
    best[0] = np.inf
    best[0, 0] = 0.0
    for group in range(1, len(best)):
        d = 0
        while not group >> d & 1:
            d += 1
        before = best[group ^ (1 << d)]
        own = best[group]
        own[:] = np.inf
        # A group with device 0 is no part of another: only the whole micro-batch is asked of it.
        for n in range(samples if d == 0 else 1, samples + 1):
            for k in range(1, min(n, most[d]) + 1):
                rest = before[n - k]
                both = cost[d, k, 0] + cost[d, k, 1]
                if np.isinf(rest[2]) or count * both >= limit_s:
                    continue
                own[n, 0] = min(own[n, 0], rest[0] + k * cost[d, k, 0])
                own[n, 1] = min(own[n, 1], rest[1] + k * cost[d, k, 1])
                own[n, 2] = min(own[n, 2], rest[2] + k * both)
                own[n, 3] = min(own[n, 3], max(rest[3], both))
                own[n, 4] = min(own[n, 4], rest[4] + k * k)
    return 0


@compiled
def _has_room(group: int, static: int, trained: int, room: Longs) -> Any:
    """Whether weights and the buffer of their reduction fit on every member."""
    size = 0
    for d in range(len(room)):
        size += group >> d & 1
    buffer = -(-trained // size) if size > 1 else 0
    least = np.int64(2**62)
    for d in range(len(room)):
        if group >> d & 1:
            least = min(least, room[d])
    return static + buffer <= least


@compiled
def _fill_parts(
    limit_s: float,
    count: int,
    times: Floats,
    most: Longs,
    finish: Floats,
    static: Longs,
    trained: Longs,
    room: Longs,
    out: Any,
) -> Any:
    """Share fractions of samples out: device d takes at least fixed[d] + rate[d] n seconds for n of them."""
    forward, backward, compute, slowest, spread = out
    num_kinds, num, size, _ = most.shape
    samples = times.shape[2] - 1
    fixed, rate = np.zeros((3, num)), np.zeros((3, num))
    for kind in range(num_kinds):
        for e in range(1, size):
            for h in range(e - 1, -1, -1):
                _find_lines(times, h, e, fixed, rate)
                reach = 0.0
                for d in range(num):
                    whole = fixed[2, d] + samples * rate[2, d]
                    if count * whole < limit_s or rate[2, d] <= 0:
                        reach += samples
                    else:
                        reach += max(0.0, (limit_s / count - fixed[2, d]) / rate[2, d])
                if reach < samples * (1 - 1e-12):
                    break
                for group in range(1, 1 << num):
                    held = 0
                    members = 0
                    for d in range(num):
                        if group >> d & 1:
                            held += most[kind, d, h, e]
                            members += 1
                            if most[kind, d, h, e] < 1:
                                held = -(samples + 1) * num
                    if held < samples or members > samples:
                        continue
                    if not _has_room(group, static[h, e], trained[h, e], room):
                        continue
                    level = _fill_level(group, samples, fixed[2], rate[2])
                    if count * level + finish[group, h, e] >= limit_s:
                        continue
                    slowest[kind, group, h, e] = level
                    forward[kind, group, h, e] = _least_mean(group, samples, fixed[0], rate[0])
                    backward[kind, group, h, e] = _least_mean(group, samples, fixed[1], rate[1])
                    compute[kind, group, h, e] = _least_mean(group, samples, fixed[2], rate[2])
                    spread[kind, group, h, e] = 1 / members
    return 0


@compiled
def _find_lines(times: Floats, h: int, e: int, fixed: Floats, rate: Floats) -> Any:
    """Find lines below the seconds of every device: the line through one and all samples, or from 0."""
    samples = times.shape[2] - 1
    for d in range(fixed.shape[1]):
        for way in range(3):
            low, high, least = 0.0, 0.0, np.inf
            below = True
            for turn in range(2):
                for n in range(1, samples + 1):
                    seconds = 0.0
                    for part in range(2):
                        if way in (part, 2):
                            seconds += times[part, d, n, e] - times[part, d, n, h]
                    if turn == 0:
                        least = min(least, seconds / n)
                        if n == 1:
                            low = seconds
                        high = seconds
                    else:
                        slope = (high - low) / max(1, samples - 1)
                        below = below and seconds >= (low + slope * (n - 1)) * (1 - 1e-12)
            slope = (high - low) / max(1, samples - 1)
            if below and 0 <= slope <= low:
                rate[way, d], fixed[way, d] = slope, low - slope
            else:
                rate[way, d], fixed[way, d] = least, 0.0
    return 0


@compiled
def _least_mean(group: int, samples: int, fixed: Floats, rate: Floats) -> Any:
    """Return the least of sum(n_d (fixed_d + rate_d n_d)) / N over fractions n_d >= 0 that add up to N.

    The margins fixed_d + 2 rate_d n_d of all that take some are equal; found by halving from below.
    """
    low, high = np.inf, 0.0
    for d in range(len(fixed)):
        if group >> d & 1:
            if rate[d] <= 0:
                return _least_fixed(group, fixed)
            low = min(low, fixed[d])
            high = max(high, fixed[d] + 2 * rate[d] * samples)
    for _ in range(60):
        margin = (low + high) / 2
        taken = 0.0
        for d in range(len(fixed)):
            if group >> d & 1:
                taken += max(0.0, (margin - fixed[d]) / (2 * rate[d]))
        if taken > samples:
            high = margin
        else:
            low = margin
    # Dual value at the margin: never above the least.
    value = low * samples
    for d in range(len(fixed)):
        if group >> d & 1:
            value -= max(0.0, low - fixed[d]) ** 2 / (4 * rate[d])
    return max(0.0, value / samples)


@compiled
def _least_fixed(group: int, fixed: Floats) -> Any:
    least = np.inf
    for d in range(len(fixed)):
        if group >> d & 1:
            least = min(least, fixed[d])
    return least


@compiled
def _fill_level(group: int, samples: int, fixed: Floats, rate: Floats) -> Any:
    """Return the least seconds of the slowest, over fractions that add up to N."""
    low, high = 0.0, 0.0
    for d in range(len(fixed)):
        if group >> d & 1:
            if rate[d] <= 0:
                return 0.0
            high = max(high, fixed[d] + rate[d] * samples)
    for _ in range(60):
        level = (low + high) / 2
        taken = 0.0
        for d in range(len(fixed)):
            if group >> d & 1:
                taken += max(0.0, (level - fixed[d]) / rate[d])
        if taken >= samples:
            high = level
        else:
            low = level
    return low
