"""edgeshard_latency: EdgeShard's dynamic programme for the latency of one request, block by block.

Source: Zhang et al., "EdgeShard: efficient LLM inference via collaborative edge computing", IEEE IoT Journal
12(10), 2025, arXiv:2405.14371, section IV (algorithm 1): DP(i, j) = min over k of DP(i - 1, k) + message from
k to j + time of block i on j, for blocks in a chain. As there, memory is that of the devices on the best way
to a state, so a way that would fit may be lost. A block whose data may not leave its owner stays there, as
its first block does. Departs from it for training: a block's time is both passes and a message's time is
there and back, for one micro-batch; what is kept depends on the plan, so the programme is solved for 0, 1,
2, 4, ... micro-batches in flight. The time in which the last output returns to its asker is not counted.

Assumes a chain; declines others. A device may hold several stages. Claim: for one request and loose memory
the least latency of all placements; otherwise a heuristic; no bound.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from solver.errors import DeclinedError
from solver.problem import Problem
from solver.program import Longs
from solver.search.incumbent import Search
from solver.search.literature.block_placements import offer_placements
from solver.search.literature.block_tables import BlockTables
from solver.status import Outcome


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer the placements of the dynamic programme.

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
        raise DeclinedError(f"{problem.workload.name} is a DAG, not a chain of blocks; use heft or best")
    return offer_placements(problem, search, lambda tables: partial(least_latency, tables))


def least_latency(tables: BlockTables, need_bytes: Longs) -> list[int] | None:
    """Return (L,) device of every block; ``None`` if no way through has enough memory.

    Parameters
    ----------
    tables
        Costs of blocks.
    need_bytes
        (L,), what each block needs where it is.
    """
    num, every = len(tables.devices), np.arange(len(tables.devices))
    room = np.tile(tables.limit_bytes, (num, 1))
    room[every, every] -= need_bytes[0]
    value = np.where(room[every, every] >= 0, tables.compute_s[:, 0], np.inf)
    came: list[Longs] = []
    for i, (_, _, size, times) in enumerate(tables.edges, 1):
        # From k (rows) to j (columns): only where the way to k has left j enough memory.
        way = value[:, None] + tables.message_s(size, times) + tables.compute_s[:, i]
        way = np.where(room >= need_bytes[i], way, np.inf)
        before = way.argmin(axis=0)
        value, room = way[before, every], room[before].copy()
        room[every, every] -= need_bytes[i]
        came.append(before)
    if np.isinf(value).all():
        return None
    found = [int(value.argmin())]
    for before in reversed(came):
        found.append(int(before[found[-1]]))
    return found[::-1]
