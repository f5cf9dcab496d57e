"""List scheduling of blocks onto devices: earliest finish using gaps, and earliest start within memory."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping

import numpy as np

from solver.program import Floats, Longs
from solver.search.literature.block_tables import BlockTables

Into = list[list[tuple[int, Floats]]]


def inputs(tables: BlockTables) -> Into:
    """Return, for every block, the blocks it reads and (D, D) seconds of each message.

    Parameters
    ----------
    tables
        Costs of blocks.
    """
    found: Into = [[] for _ in tables.place]
    for source, target, size, times in tables.edges:
        found[target].append((source, tables.message_s(size, times)))
    return found


def upward_ranks(tables: BlockTables) -> Floats:
    """Return (L,) upward ranks: mean time from a block's start to the end of all, over its longest path.

    Parameters
    ----------
    tables
        Costs of blocks.

    Notes
    -----
    rank(i) = mean_d w(i, d) + max over readers j of (mean message(i, j) + rank(j)); means over the devices
    that may hold the block, and over all pairs of different devices. Topcuoglu et al., equation 8.
    """
    num = len(tables.devices)
    pairs = max(1, num * (num - 1))
    ranks: Floats = np.ma.masked_invalid(tables.compute_s).mean(axis=0).filled(0.0)
    after: list[list[tuple[int, float]]] = [[] for _ in tables.place]
    for source, target, size, times in tables.edges:
        after[source].append((target, float(tables.message_s(size, times).sum()) / pairs))
    for i in range(len(ranks) - 1, -1, -1):
        ranks[i] += max((seconds + ranks[j] for j, seconds in after[i]), default=0.0)
    return ranks


def earliest_finish(tables: BlockTables) -> tuple[list[int], list[float]]:
    """Return (L,) device and end of every block by HEFT: highest rank first, where it ends first, gaps used.

    Parameters
    ----------
    tables
        Costs of blocks.
    """
    into, ranks = inputs(tables), upward_ranks(tables)
    order = sorted(range(len(ranks)), key=lambda i: (-ranks[i], i))
    busy: list[list[tuple[float, float]]] = [[] for _ in tables.devices]
    device, end = [-1] * len(ranks), [0.0] * len(ranks)
    for i in order:
        options = []
        for v in range(len(tables.devices)):
            ready = max((end[k] + float(seconds[device[k], v]) for k, seconds in into[i]), default=0.0)
            duration = float(tables.compute_s[v, i])
            start = _gap(busy[v], ready, duration) if math.isfinite(duration) else math.inf
            options.append((start + duration, v, start))
        end[i], device[i], start = min(options)
        bisect.insort(busy[device[i]], (start, end[i]))
    return device, end


def _gap(busy: list[tuple[float, float]], ready: float, duration: float) -> float:
    """Return the first time from which a device is free for so long."""
    at = ready
    for start, end in busy:
        if at + duration <= start:
            return at
        at = max(at, end)
    return at


def earliest_start(
    tables: BlockTables, need_bytes: Longs, favourite: Mapping[int, int] | None = None
) -> list[int] | None:
    """Return (L,) device of every block: of all ready blocks and devices with room, who can start first.

    Parameters
    ----------
    tables
        Costs of blocks.
    need_bytes
        (L,), what each block needs where it is.
    favourite
        The block that should follow a block on its device. While it waits, another block may start there
        only when what it reads could be on every device (it is urgent).

    Returns
    -------
    list of int or None
        ``None``: a block has no device with room.
    """
    into = inputs(tables)
    readers: list[list[int]] = [[] for _ in into]
    for i, sources in enumerate(into):
        for k, _ in sources:
            readers[k].append(i)
    waiting = [len(sources) for sources in into]
    ready = {i for i, count in enumerate(waiting) if count == 0}
    room, free = tables.limit_bytes.copy(), np.zeros(len(tables.devices))
    device, end = [-1] * len(into), [0.0] * len(into)
    last = [-1] * len(tables.devices)
    arrived = {i: _arrival(tables, into[i], device, end) for i in ready}
    while ready:
        reserved = np.array([_reserved(k, favourite, device) for k in last])
        best = math.inf, -1, -1
        for i in sorted(ready):
            urgent = np.where((reserved < 0) | (reserved == i), 0.0, arrived[i].max())
            start = np.maximum(np.maximum(arrived[i], free), urgent)
            start[(room < need_bytes[i]) | np.isinf(tables.compute_s[:, i])] = math.inf
            v = int(start.argmin())
            best = min(best, (float(start[v]), i, v))
        start_s, i, v = best
        if i < 0:
            return None
        device[i], end[i] = v, start_s + float(tables.compute_s[v, i])
        free[v], last[v] = end[i], i
        room[v] -= need_bytes[i]
        ready.discard(i)
        for j in readers[i]:
            waiting[j] -= 1
            if waiting[j] == 0:
                ready.add(j)
                arrived[j] = _arrival(tables, into[j], device, end)
    return device


def _arrival(
    tables: BlockTables, sources: list[tuple[int, Floats]], device: list[int], end: list[float]
) -> Floats:
    """Return (D,) when all a block reads is on every device."""
    found = np.zeros(len(tables.devices))
    for k, seconds in sources:
        found = np.maximum(found, end[k] + seconds[device[k]])
    return found


def _reserved(last: int, favourite: Mapping[int, int] | None, device: list[int]) -> int:
    """Return the block a device is kept for; -1: none."""
    if favourite is None or last not in favourite or device[favourite[last]] >= 0:
        return -1
    return favourite[last]
