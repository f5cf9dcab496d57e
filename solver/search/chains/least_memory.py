"""Least memory: the smallest factor on all memories with which some chain of single devices fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solver.program import Longs
from solver.search.chains.chain import Bools, ChainTables, Interval
from solver.search.chains.subsets import Words, extend_reach, pack

MOST_DEVICES = 16
"""Tables over sets of devices: beyond so many they are too large."""


@dataclass(frozen=True)
class LeastMemory:
    """The smallest factor, and the chain that needs it.

    Parameters
    ----------
    factor
        Every device's memory times this is enough for ``stages``, and for no chain with less.
    stages
        From the first stage to the last.
    """

    factor: float
    stages: tuple[Interval, ...]


def least_memory(tables: ChainTables) -> LeastMemory:
    """Return the smallest factor on all memories with which a chain of single devices fits.

    Parameters
    ----------
    tables
        Costs of stages; at most ``MOST_DEVICES`` devices. Memory is that of the default in-flight rule.

    Returns
    -------
    LeastMemory
        Exact over plans whose stages have one device each, every subset and order of devices.

    Raises
    ------
    ValueError
        If there are more devices, or a device may hold nothing it is asked to (data that may not leave).

    Notes
    -----
    The factor is one of the ratios need / memory of a single stage on a single device: it is found among
    them by halving, and each is asked of the sets of devices that can hold the last blocks. O(2 ** D D L) a
    question, in words of 64 boundaries.
    """
    if len(tables.devices) > MOST_DEVICES:
        raise ValueError(f"{len(tables.devices)} devices; at most {MOST_DEVICES}")
    ratios = _ratios(tables)
    candidates = np.unique(ratios[np.isfinite(ratios)])
    low, high = -1, len(candidates) - 1
    if _reach(ratios <= candidates[high], tables)[0] < 0:
        raise ValueError("no chain of single devices can hold the blocks, whatever the memory")
    while high - low > 1:
        middle = (low + high) // 2
        if _reach(ratios <= candidates[middle], tables)[0] < 0:
            low = middle
        else:
            high = middle
    fits = ratios <= candidates[high]
    mask, reach = _reach(fits, tables)
    return LeastMemory(float(candidates[high]), _unwind(tables, fits, mask, reach))


def _ratios(tables: ChainTables) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return (D, depths, L + 1, L + 1) need / memory; infinite where a stage may not stand."""
    limits = np.maximum(tables.limit_bytes, 1).astype(float)[:, None, None, None]
    found = np.where(tables.allowed[:, None], tables.need_bytes[None] / limits, np.inf)
    found[:, 0] = np.inf
    return found


def _reach(fits: Bools, tables: ChainTables) -> tuple[int, Words]:
    """Return the first set of devices that holds everything, -1 for none, and what every set reaches."""
    packed = pack(fits)
    num, num_blocks = len(tables.devices), tables.num_blocks
    reach = np.zeros((1 << num, packed.shape[-1]), np.uint64)
    reach[0, num_blocks // 64] = np.uint64(1) << np.uint64(num_blocks % 64)
    return extend_reach(1, 1 << num, packed, reach), reach


def _unwind(tables: ChainTables, fits: Bools, mask: int, reach: Words) -> tuple[Interval, ...]:
    stages: list[Interval] = []
    begin = 0
    while mask:
        depth = mask.bit_count()
        v, end = _step(fits[:, depth, begin], mask, reach)
        stages.append((tables.devices[v], begin, end))
        mask, begin = mask ^ (1 << v), end
    return tuple(stages)


def _step(allowed: Bools, mask: int, reach: Words) -> tuple[int, int]:
    """Return the device of the first stage of a set, and where it ends."""
    for v in range(len(allowed)):
        if mask >> v & 1:
            row = reach[mask ^ (1 << v)]
            ends: Longs = np.flatnonzero(allowed[v])
            for end in ends.tolist():
                if int(row[end // 64]) >> (end % 64) & 1:
                    return v, end
    raise AssertionError("a set that reaches a boundary has a stage that begins there")
