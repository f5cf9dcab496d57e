"""edgeshard_throughput: EdgeShard's dynamic programme for the throughput of a pipeline over device sets.

Source: Zhang et al., "EdgeShard: efficient LLM inference via collaborative edge computing", IEEE IoT Journal
12(10), 2025, arXiv:2405.14371, section IV (algorithm 2): g(i, S, j), blocks up to i on the devices S, the
last of them j, is the least over the block m before j's first and the device k before j of max(g(m, S - j,
k), message from k to j, time of blocks m + 1 to i on j); a device has one interval of blocks, which must fit
into its memory. Departs from it for training: times are both passes, messages are there and back, and the
programme is solved for 0, 1, 2, 4, ... micro-batches in flight.

The sets of devices are counted, so only so many of the fastest devices take part that the programme has at
most 400 million steps. Assumes a chain; declines others. Claim: a heuristic without bound: what a device
sends and receives beside each other is not counted.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from solver.errors import DeclinedError
from solver.problem import Problem
from solver.program import Floats, Longs
from solver.schedule import compiled
from solver.search.incumbent import Search
from solver.search.literature.block_placements import Place, plans_within_memory
from solver.search.literature.block_tables import BlockTables
from solver.search.shares import offer_all
from solver.space import Space
from solver.status import Outcome

MOST_STEPS = 4e8
"""Steps of one programme: L ** 2 / 2 * 2 ** D * D ** 2."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer the pipelines of the dynamic programme.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        If the blocks are not a chain.
    """
    if not problem.workload.is_chain:
        raise DeclinedError(f"{problem.workload.name} is a DAG, not a chain of blocks; use m_etf or best")

    def rule(tables: BlockTables) -> Place:
        return partial(least_bottleneck, tables, chosen=_fastest(tables), search=search)

    best = offer_all(search, plans_within_memory(problem, rule))
    space = Space(num_micro_batches=problem.micro_batch_counts)
    reason = "every micro-batch count was tried" if best < math.inf else "no pipeline had enough memory"
    return Outcome(space, reason=reason)


def _fastest(tables: BlockTables) -> Longs:
    """Return the fastest devices, as many as the programme may have, in the order of the cluster."""
    num, num_blocks = len(tables.devices), len(tables.place)
    while num > 1 and num_blocks**2 / 2 * 2**num * num**2 > MOST_STEPS:
        num -= 1
    speed = np.where(np.isfinite(tables.compute_s), tables.compute_s, 0.0).sum(axis=1)
    return np.sort(np.argsort(speed, kind="stable")[:num])


def least_bottleneck(
    tables: BlockTables, need_bytes: Longs, chosen: Longs, search: Search
) -> list[int] | None:
    """Return (L,) device of every block; ``None`` if no pipeline has enough memory.

    Parameters
    ----------
    tables
        Costs of blocks.
    need_bytes
        (L,), what each block needs where it is.
    chosen
        Devices that may take part.
    search
        Says when to stop.
    """
    num, num_blocks = len(chosen), len(tables.place)
    times = np.zeros((num, num_blocks + 1))
    times[:, 1:] = np.where(np.isfinite(tables.compute_s), tables.compute_s, 0.0)[chosen].cumsum(axis=1)
    barred = np.zeros((num, num_blocks + 1), np.int64)
    barred[:, 1:] = np.isinf(tables.compute_s)[chosen].cumsum(axis=1)
    need = np.concatenate(([0], need_bytes.cumsum()))
    messages = np.zeros((num_blocks + 1, num, num))
    for i, (_, _, size, passes) in enumerate(tables.edges, 1):
        messages[i] = tables.message_s(size, passes)[np.ix_(chosen, chosen)]
    best = np.full((num_blocks + 1, 1 << num, num), np.inf)
    came = np.full((num_blocks + 1, 1 << num, num, 2), -1, np.int16)
    for i in range(1, num_blocks + 1):
        if not math.isinf(search.remaining_s):
            search.tick(0)
        fill(i, times, barred, need, tables.limit_bytes[chosen], messages, best, came)
    if np.isinf(best[num_blocks]).all():
        return None
    mask, j = (int(k) for k in np.unravel_index(int(best[num_blocks].argmin()), best[num_blocks].shape))
    found: list[int] = []
    i = num_blocks
    while i > 0:
        start, before = (int(k) for k in came[i, mask, j])
        found = [int(chosen[j])] * (i - start) + found
        i, mask, j = start, mask & ~(1 << j), before
    return found


@compiled
def fill(
    i: int,
    times: Floats,
    barred: Longs,
    need: Longs,
    limit: Longs,
    messages: Floats,
    best: Floats,
    came: Any,
) -> Any:
    """Fill g(i, ., .).

    Parameters
    ----------
    i
        Blocks done.
    times, barred, need
        (D, L + 1) seconds, (D, L + 1) blocks that may not be there, and (L + 1,) bytes, before a block.
    limit
        (D,), bytes.
    messages
        (L + 1, D, D), seconds over a boundary.
    best, came
        (L + 1, 2 ** D, D) the least bottleneck, and (..., 2) the block before the last interval's first and
        the device before; filled.
    """
    num = len(limit)
    for mask in range(1, 1 << num):
        for j in range(num):
            if mask >> j & 1 == 0:
                continue
            rest = mask & ~(1 << j)
            for m in range(i - 1, -1, -1):
                work = times[j, i] - times[j, m]
                over = need[i] - need[m] > limit[j] or barred[j, i] > barred[j, m]
                if over or work >= best[i, mask, j]:
                    break
                if rest == 0:
                    if m == 0:
                        best[i, mask, j] = work
                        came[i, mask, j, 0], came[i, mask, j, 1] = 0, 0
                    continue
                for k in range(num):
                    if rest >> k & 1:
                        value = max(work, best[m, rest, k], messages[m, k, j])
                        if value < best[i, mask, j]:
                            best[i, mask, j] = value
                            came[i, mask, j, 0], came[i, mask, j, 1] = m, k
