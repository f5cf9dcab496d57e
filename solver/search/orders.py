"""Good chains quickly: the best cut for an order of the devices, and a walk over orders, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from solver.program import Floats, Ints
from solver.search.chain import Bools, ChainTables
from solver.search.chain_value import bottleneck_s
from solver.search.exact_chain import Stages
from solver.search.incumbent import Search

NUM_ORDERS = 2000
"""Orders looked at."""


def good_chain(tables: ChainTables, search: Search, known: Stages | None) -> tuple[float, Stages] | None:
    """Return stages with a small bottleneck, and it; ``None`` if none were found that fit.

    Parameters
    ----------
    tables
        Costs of stages.
    search
        Says when to stop, and draws.
    known
        Stages to beat.

    Notes
    -----
    For a given order of the devices, of which any may be left out, the best cut is found exactly where links
    are alike (dynamic programming over devices, depth and first block); else messages count as if every link
    were the median one. Orders change by exchanging two devices or moving one; worse ones are left.
    """
    costs = _costs(tables)
    rng = np.random.default_rng(search.seed)
    speed = np.argsort(-tables.compute_s[:, 0, -1]).astype(np.int32)
    roomy = np.argsort(tables.limit_bytes).astype(np.int32)
    best = (bottleneck_s(tables, known), known) if known is not None else (math.inf, [])
    for start in (speed, speed[::-1].copy(), roomy, roomy[::-1].copy()):
        order, own, other = start, math.inf, start
        for _ in range(NUM_ORDERS // 4):
            search.tick()
            value, path = best_cut(other, tables.fits, costs, tables.compute_s, own * (1 + 1e-12))
            if value <= own:
                order, own = other, float(value)
                stages = _unpack(tables, path)
                if stages and bottleneck_s(tables, stages) < best[0]:
                    best = bottleneck_s(tables, stages), stages
            other = _changed(order, rng)
    return best if best[1] else None


def _changed(order: Ints, rng: np.random.Generator) -> Ints:
    """Return an order with two devices exchanged, or one put elsewhere."""
    other = order.copy()
    a, b = rng.integers(len(order), size=2)
    if rng.random() < 0.5:
        other[a], other[b] = order[b], order[a]
        return other
    moved: Ints = np.insert(np.delete(other, a), b, order[a]).astype(np.int32)
    return moved


def _costs(tables: ChainTables) -> Floats:
    """Return (D, L + 1, L + 1) seconds of the busiest lane, with the median link."""
    if tables.is_uniform:
        return tables.lane_s
    off = ~np.eye(len(tables.devices), dtype=bool)
    message = np.median(tables.message_s[off], axis=0)
    both = message + np.where(tables.gradients, message, 0)
    lanes: Floats = np.maximum(tables.compute_s, np.maximum(both[:, None], both[None, :])[None])
    return lanes


def _unpack(tables: ChainTables, path: Ints) -> Stages:
    return [(tables.devices[v], int(h), int(i)) for v, h, i in path.tolist()]


@njit(cache=True)
def best_cut(order: Ints, fits: Bools, costs: Floats, compute: Floats, limit: float) -> Any:
    """Return the least bottleneck of stages in an order of devices, and the stages.

    Parameters
    ----------
    order
        (D,), devices from the last stage to the first; any may be left out.
    fits, costs, compute
        (D, depths, L + 1, L + 1), (D, L + 1, L + 1) twice: ``compute`` is never above ``costs`` and grows
        with the interval.
    limit
        Only bottlenecks below it are looked for.

    Returns
    -------
    tuple
        Seconds (infinite if nothing fits), and an array (num_stages, 3) of device, first block and end.

    Notes
    -----
    O(D ** 2 * L ** 2).
    """
    num, num_depths, num_ends, _ = fits.shape
    best = np.full((num + 1, num_depths, num_ends), np.inf)
    end_of = np.full((num + 1, num_depths, num_ends), -1, np.int32)
    best[0, 0, num_ends - 1] = 0.0
    for k in range(num):
        v = order[k]
        best[k + 1] = best[k]
        for depth in range(1, min(num_depths, k + 2)):
            for i in range(1, num_ends):
                before = best[k, depth - 1, i]
                if before == np.inf:
                    continue
                for h in range(i - 1, -1, -1):
                    if compute[v, h, i] >= limit:
                        break
                    if fits[v, depth, h, i] and costs[v, h, i] < limit:
                        value = max(before, costs[v, h, i])
                        if value < best[k + 1, depth, h]:
                            best[k + 1, depth, h] = value
                            end_of[k + 1, depth, h] = i
    depth = int(np.argmin(best[num, :, 0]))
    value = best[num, depth, 0]
    path = np.zeros((depth if value < np.inf else 0, 3), np.int32)
    h, k = 0, num
    for s in range(len(path)):
        while end_of[k, depth, h] < 0 or best[k - 1, depth, h] == best[k, depth, h]:
            k -= 1
        path[s, 0], path[s, 1], path[s, 2] = order[k - 1], h, end_of[k, depth, h]
        h, depth, k = end_of[k, depth, h], depth - 1, k - 1
    return value, path
