"""Least step of a pipeline over all its shares, whatever the caps, compiled.

Where caps are free the order of passes is not known. But with shares known, every device has a first
micro-batch that must reach it, M micro-batches to compute, and a last one whose gradients must get back to
the first stage: a step takes at least the three together, under every cap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from solver.program import Floats, Longs
from solver.schedule import compiled


@compiled
def least_over_shares(
    limit_s: float,
    count: int,
    rows: Longs,
    row_start: Longs,
    bounds: Longs,
    times: Floats,
    finish: Floats,
    sample_bytes: Floats,
    way_back: Floats,
    rates: Floats,
    latencies: Floats,
    kept: Longs,
) -> Any:
    """Return the least bound over every choice of one row of shares for each stage, and those below a limit.

    Parameters
    ----------
    limit_s, count
        Cut-off, and micro-batches M.
    rows, row_start
        (R, D) shares, those of stage s from ``row_start[s]`` on; (S + 1,).
    bounds
        (S + 1,) where each stage begins, and the end.
    times
        (2, D, N + 1, L + 1), see :class:`solver.search.hybrid.bound_tables.HybridTables`.
    finish
        (S,): reduction and update of each stage.
    sample_bytes, way_back
        (L + 1,), see there.
    rates, latencies
        (D, D) of the links.
    kept
        (K, S): filled with the rows of choices below the limit, as many as there is room for.

    Returns
    -------
    tuple
        The least bound, infinite if all are at the limit or above, and how many are below it.
    """
    num, num_devices = len(row_start) - 1, rows.shape[1]
    chosen = row_start[:-1].copy()
    reach, tail = np.zeros(num_devices), np.zeros(num_devices)
    forward, backward = np.zeros(num_devices), np.zeros(num_devices)
    least, num_kept = np.inf, 0
    for s in range(num):
        if row_start[s] == row_start[s + 1]:
            return least, num_kept
    while True:
        value = 0.0
        for s in range(num):
            mine = rows[chosen[s]]
            for d in range(num_devices):
                if mine[d] > 0:
                    n = mine[d]
                    forward[d] = times[0, d, n, bounds[s + 1]] - times[0, d, n, bounds[s]]
                    backward[d] = times[1, d, n, bounds[s + 1]] - times[1, d, n, bounds[s]]
            if s == 0:
                reach[:] = 0.0
                tail[:] = finish[0]
            else:
                _cross(
                    rows[chosen[s - 1]],
                    mine,
                    sample_bytes[bounds[s]],
                    way_back[bounds[s]] > 0,
                    finish[s],
                    rates,
                    latencies,
                    forward,
                    backward,
                    reach,
                    tail,
                )
            for d in range(num_devices):
                if mine[d] > 0:
                    value = max(value, reach[d] + count * (forward[d] + backward[d]) + tail[d])
            if value >= limit_s:
                break
        if value < limit_s:
            least = min(least, value)
            if num_kept < len(kept):
                kept[num_kept] = chosen
            num_kept += 1
        s = num - 1
        while s >= 0:
            chosen[s] += 1
            if chosen[s] < row_start[s + 1]:
                break
            chosen[s] = row_start[s]
            s -= 1
        if s < 0:
            return least, num_kept


@compiled
def _cross(
    before: Longs,
    mine: Longs,
    sample_bytes: float,
    comes_back: bool,
    finish: float,
    rates: Floats,
    latencies: Floats,
    forward: Floats,
    backward: Floats,
    reach: Floats,
    tail: Floats,
) -> Any:
    """Find when the first micro-batch reaches each device of a stage, and how long the last takes back."""
    first = 0
    for d in range(len(mine)):
        if mine[d] == 0:
            continue
        last = first + mine[d]
        arrival, earliest, received, way = 0.0, np.inf, 0.0, finish
        begin = 0
        for u in range(len(mine)):
            if before[u] == 0:
                continue
            shared = min(last, begin + before[u]) - max(first, begin)
            begin += before[u]
            if shared <= 0:
                continue
            seconds = latencies[u, d] + shared * sample_bytes / rates[u, d]
            left = reach[u] + forward[u]
            arrival, earliest = max(arrival, left + seconds), min(earliest, left)
            received += seconds
            if comes_back:
                seconds = latencies[d, u] + shared * sample_bytes / rates[d, u]
                way = max(way, seconds + backward[u] + tail[u])
        reach[d], tail[d] = max(arrival, earliest + received), way
        first = last
    return 0
