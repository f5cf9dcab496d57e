"""Good chains quickly: a beam over sets of devices, from the last stage to the first."""

from __future__ import annotations

import math

import numpy as np

from solver.program import Floats, Longs
from solver.search.chains.chain import Bools, ChainTables
from solver.search.chains.chain_value import bottleneck_s
from solver.search.chains.exact_chain import Stages
from solver.search.incumbent import Search

WIDTHS = (500, 4000, 16384)
"""Sets of devices kept at each depth: few first, then more to improve on what the few found."""
FINE = 1e-3
"""Relative distance of thresholds at which it is content."""
MOST_DEVICES = 62


def good_chain(tables: ChainTables, search: Search) -> tuple[float, Stages] | None:
    """Return stages with a small bottleneck, and it; ``None`` if none were found that fit.

    Parameters
    ----------
    tables
        Costs of stages.
    search
        Says when to stop.

    Notes
    -----
    For a threshold on the bottleneck, a set of devices takes as many of the last blocks as it can; of all
    sets of one size those are kept that leave the devices left the least to do and to hold. Thresholds
    halve. A heuristic: sets fall off the beam, reaching furthest is not always best, and where links are
    unequal messages count as if every link were the median one. O(D ** 2 * width) a threshold.
    """
    costs = _costs(tables)
    no_stages: Stages = []
    if len(tables.devices) > MOST_DEVICES:
        return None
    low, best = 0.0, (math.inf, no_stages)
    for width in WIDTHS:
        stages = _beam(tables, tables.fits, width)
        if stages:
            best = min(best, (bottleneck_s(tables, stages), stages), key=lambda pair: pair[0])
        low, high = low * 0.9, min(best[0], float(costs[np.isfinite(costs)].max()))
        while high - low > FINE * high:
            search.tick()
            threshold = (low + high) / 2
            stages = _beam(tables, tables.fits & (costs <= threshold)[:, None], width)
            if not stages:
                low = threshold
                continue
            high = threshold
            best = min(best, (bottleneck_s(tables, stages), stages), key=lambda pair: pair[0])
        if width >= 1 << len(tables.devices):
            break
    return best if best[1] else None


def _costs(tables: ChainTables) -> Floats:
    """Return (D, L + 1, L + 1) seconds of the busiest lane, with the median link."""
    if tables.is_uniform:
        return tables.lane_s
    off = ~np.eye(len(tables.devices), dtype=bool)
    message = np.median(tables.message_s[off], axis=0)
    both = message + np.where(tables.gradients, message, 0)
    lanes: Floats = np.maximum(tables.compute_s, np.maximum(both[:, None], both[None, :])[None])
    return lanes


def _beam(tables: ChainTables, allowed: Bools, width: int) -> Stages | None:
    """Return stages of allowed intervals, if the beam finds some."""
    num, num_blocks = len(tables.devices), tables.num_blocks
    none = num_blocks + 1
    furthest = np.where(allowed.any(axis=2), allowed.argmax(axis=2), none)
    bits, every = 1 << np.arange(num, dtype=np.int64), np.arange(num)
    masks, starts = np.array([0], np.int64), np.array([num_blocks])
    layers: list[tuple[Longs, Longs, Longs]] = []
    for depth in range(1, tables.max_depth + 1):
        found = furthest[every[None, :], depth, starts[:, None]]
        good = ((masks[:, None] & bits) == 0) & (found < none)
        if not good.any():
            return None
        parents, chosen = np.nonzero(good)
        reached, sets = found[good], masks[parents] | bits[chosen]
        order = np.lexsort((reached, sets))
        firsts = order[np.concatenate([[True], np.diff(sets[order]) != 0])]
        kept = firsts[np.argsort(_burden(tables, sets[firsts], reached[firsts]), kind="stable")[:width]]
        if reached.min() == 0:
            kept = firsts[reached[firsts] == 0][:1]
        masks, starts = sets[kept], reached[kept]
        layers.append((parents[kept], chosen[kept], starts))
        if starts[0] == 0:
            return _unwind(tables, layers)
    return None


def _burden(tables: ChainTables, sets: Longs, starts: Longs) -> Floats:
    """Return how much work and memory the blocks before ask of the devices left."""
    bits = 1 << np.arange(len(tables.devices), dtype=np.int64)
    left = (sets[:, None] & bits) == 0
    whole = np.maximum(tables.compute_s[:, 0, -1], 1e-300)
    work = np.concatenate([[0.0], tables.compute_s[0, 0, 1:]]) / whole[0]
    need = tables.need_bytes[1, 0] / max(1, tables.need_bytes[1, 0, -1])
    speed, room = left @ (whole.min() / whole), left @ (tables.limit_bytes / tables.limit_bytes.max())
    burden: Floats = work[starts] / np.maximum(speed, 1e-9) + need[starts] / np.maximum(room, 1e-9)
    return burden


def _unwind(tables: ChainTables, layers: list[tuple[Longs, Longs, Longs]]) -> Stages:
    stages: Stages = []
    place = 0
    for depth in range(len(layers) - 1, -1, -1):
        parents, chosen, starts = layers[depth]
        parent = int(parents[place])
        end = int(layers[depth - 1][2][parent]) if depth else tables.num_blocks
        stages.append((tables.devices[int(chosen[place])], int(starts[place]), end))
        place = parent
    return stages
