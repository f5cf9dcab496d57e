"""galaxy: tensor and sequence parallelism: heads and columns by capacity, equal tokens, overflow moved.

Source: Ye et al., "Galaxy: a resource-efficient collaborative edge AI system for in-situ Transformer
inference", INFOCOM 2024, arXiv:2405.17245: attention and feed-forward blocks are cut over heads and columns,
the connective blocks between them over tokens; the planner shares heads and columns out by capacity, tokens
equally, and moves what overflows a device's memory to devices with room. Departs from it in that memory
counts training too (gradients, optimizer, what is kept of one micro-batch), and that memories are tried
whole, at 90 % and at 75 %, since buffers are not in the planner's formula. Blocks whose card says nothing of
how they are cut are computed by every device; connectives that a card has inside another block stay there.

Assumes blocks that say how they are cut. Declines workloads none of whose blocks can be cut over heads or
columns. Claim: a heuristic without
bound; every micro-batch count is tried, and every number of the fastest devices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby

from solver.errors import DeclinedError
from solver.layout import apportion
from solver.plan import Explicit, Plan, Stage, pipeline_plan
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.literature.overflow import share_units, units_of
from solver.search.shares import offer_all, speeds
from solver.space import Space
from solver.status import Outcome

MARGINS = (1.0, 0.9, 0.75)
"""Parts of every memory that the planner counts with."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer the planner's shares with every micro-batch count.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        If no block can be cut over heads or columns.
    """
    if all(block.tensor is None for block in problem.workload.blocks):
        message = f"no block of {problem.workload.name} can be cut over heads or columns; use data_parallel"
        raise DeclinedError(message)
    best = offer_all(search, _plans(problem))
    space = Space(
        ("tensor", "sequence"),
        None,
        num_micro_batches=problem.micro_batch_counts,
        stages_per_device=len(problem.workload.order),
        share_step=None,
    )
    return Outcome(space, reason="every micro-batch count was tried" if best < math.inf else "")


def _plans(problem: Problem) -> Iterator[Plan]:
    for count in problem.micro_batch_counts:
        samples = problem.job.batch // count
        speed = speeds(problem, samples)
        fastest = sorted(problem.usable, key=lambda name: -speed[name])
        for size in range(len(fastest), 0, -1):
            capacity = {name: speed[name] for name in fastest[:size]}
            found = [_stages(problem, capacity, samples, margin) for margin in MARGINS]
            if not any(found):
                # No room: the evaluator says where, and how much is missing.
                found = [_stages(problem, capacity, samples, math.inf)]
            for k, stages in enumerate(found):
                if stages and stages not in found[:k]:
                    yield pipeline_plan(problem, stages, count)


def _stages(
    problem: Problem, capacity: dict[str, float], samples: int, margin: float
) -> tuple[Stage, ...] | None:
    """Return runs of blocks in modes tensor and sequence; ``None`` if some device has no room or no part."""
    room = {name: problem.cluster.by_name[name].memory_bytes.value * margin for name in capacity}
    units = units_of(problem, samples)
    found = share_units(units, capacity, room)
    if found is None:
        return None
    tables = [table for table, total in zip(found, (units.heads, units.columns), strict=True) if total]
    if any(not share for table in tables for share in table.values()):
        return None
    heads, columns = (table if any(table.values()) else None for table in found)
    stages = []
    for connective, names in groupby(problem.workload.order, lambda name: _is_connective(problem, name)):
        blocks = tuple(names)
        tokens = min((problem.workload.by_name[name].tokens for name in blocks), default=1)
        if connective and tokens >= len(capacity):
            equal = apportion(dict.fromkeys(capacity, 1.0), tokens)
            stages.append(Stage(blocks=blocks, mode="sequence", shares=Explicit(tokens=equal)))
        else:
            stages.append(_cut_stage(problem, blocks, heads, columns, samples))
    return tuple(stages)


def _is_connective(problem: Problem, name: str) -> bool:
    block = problem.workload.by_name[name]
    return block.tensor is None and block.sequence is not None and block.tokens > 1


def _cut_stage(
    problem: Problem,
    blocks: tuple[str, ...],
    heads: dict[str, int] | None,
    columns: dict[str, int] | None,
    samples: int,
) -> Stage:
    """Return a stage in mode tensor; blocks of which none is cut are replicated with the same table."""
    cuts = [cut for name in blocks if (cut := problem.workload.by_name[name].tensor) is not None]
    tables = {
        "heads": _scaled(heads, max((cut.heads or 0 for cut in cuts), default=0)),
        "columns": _scaled(columns, max((cut.columns or 0 for cut in cuts if not cut.heads), default=0)),
    }
    if any(cut.heads is None for cut in cuts) != any(cut.heads is not None for cut in cuts):
        tables = {word: tables[word] for word in ("heads", "columns") if any(getattr(c, word) for c in cuts)}
    mine = {word: table for word, table in tables.items() if table}
    return Stage(blocks=blocks, mode="tensor", shares=Explicit.model_validate(mine))


def _scaled(table: dict[str, int] | None, total: int) -> dict[str, int] | None:
    """Return shares of another total in the same proportion, at least one each."""
    if table is None or not total or sum(table.values()) == total:
        return table
    spare = max(0, total - len(table))
    return {name: 1 + share for name, share in apportion(table, spare).items()}
