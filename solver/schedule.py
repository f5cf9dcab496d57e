"""Schedule: one global order of all operations, by list scheduling in unit time, compiled.

An *operation* is the forward or backward pass of one stage for one micro-batch. Its order depends on the
structure of the plan only (stages, caps, who shares a device), never on durations: a faster device or link
cannot reorder anything, so it cannot make a step slower, and what scores plans in batches finds the same
order.

Within a stage the order is fixed by the rule: ``min(cap, micro-batches)`` forwards, then one backward and one
forward in turn (1F1B), which with a cap of all micro-batches is GPipe. Between stages that share a device the
operation that can start first in unit time (every operation and every transfer takes one unit) goes first;
ties: backward first, then the smaller micro-batch, then the stage nearer to the sink.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solver.program import Ints, Longs

compiled = cast("Callable[[Any], Any]", njit(cache=True))

OPERATION = np.dtype([(name, np.int64) for name in ("stage", "micro_batch", "direction", "cell", "start")])
"""One operation: direction 0 forward, 1 backward; cell = stage * number of classes + class of the
micro-batch; start in unit time."""

STAGE = np.dtype(
    [
        (name, np.int64)
        for name in (
            # What it is: sizes, and where its waits (forward, then backward), the stages it touches and
            # its micro-batches lie.
            *("num_micro_batches", "cap", "has_backward", "depth"),
            *("forward_waits", "backward_waits", "end_of_waits", "touched", "end_of_touched", "offset"),
            # How far it is, and its next operation; the smallest rank goes first.
            *("forwards", "backwards", "start", "direction", "rank"),
        )
    ]
)
_NEVER = np.int64(2**63 - 1)


class StageNode(NamedTuple):
    """One stage as the schedule sees it.

    Parameters
    ----------
    class_of
        (num_micro_batches,), class of each micro-batch.
    lanes
        (num_classes,) compute lanes for each class; all stages give the same number of classes.
    cap
        Most micro-batches between forward and backward; it must not grow along edges.
    has_backward
        Whether there is a backward pass.
    depth
        Stages to the sink, itself included.
    preds, succs
        (stage, lag) of what it waits for in the forward and in the backward pass; lag 1 if something
        is sent.
    """

    class_of: Ints
    lanes: Sequence[Sequence[int]]
    cap: int
    has_backward: bool
    depth: int
    preds: Sequence[tuple[int, int]]
    succs: Sequence[tuple[int, int]]


def list_schedule(stages: Sequence[StageNode]) -> NDArray[Any]:
    """Order all operations of a step.

    Parameters
    ----------
    stages
        All stages.

    Returns
    -------
    array
        (num_operations,) of :data:`OPERATION`; ``start`` never falls.

    Raises
    ------
    ValueError
        If stages wait for one another.

    Notes
    -----
    O(num_operations x num_stages).
    """
    num_classes = len(stages[0].lanes)
    cells = [lanes for stage in stages for lanes in stage.lanes]
    waits = [wait for stage in stages for wait in (*stage.preds, *stage.succs)]
    touched = _touched(stages)
    table = np.zeros(len(stages), STAGE)
    table["num_micro_batches"] = [len(stage.class_of) for stage in stages]
    for field in ("cap", "has_backward", "depth"):
        table[field] = [getattr(stage, field) for stage in stages]
    ends = [0, *accumulate(len(part) for stage in stages for part in (stage.preds, stage.succs))]
    table["forward_waits"], table["backward_waits"], table["end_of_waits"] = (
        ends[:-1:2],
        ends[1::2],
        ends[2::2],
    )
    ends = [0, *accumulate(map(len, touched))]
    table["touched"], table["end_of_touched"] = ends[:-1], ends[1:]
    table["offset"][1:] = np.cumsum(table["num_micro_batches"])[:-1]
    ordered: NDArray[Any] = order_operations(
        table,
        np.concatenate(
            [s * num_classes + np.asarray(stage.class_of, np.int64) for s, stage in enumerate(stages)]
        ),
        np.array(waits, np.int64).reshape(-1, 2),
        np.array([t for part in touched for t in part], np.int64),
        np.array([0, *accumulate(map(len, cells))], np.int64),
        np.array([lane for lanes in cells for lane in lanes], np.int64),
        np.empty(int((table["num_micro_batches"] * (1 + table["has_backward"])).sum()), OPERATION),
    )
    return ordered


def _touched(stages: Sequence[StageNode]) -> list[list[int]]:
    """Return for each stage those whose next operation may change when one of its own is ordered.

    Itself, those that wait for it in either pass, and those that share a compute lane with it.
    """
    users: dict[int, set[int]] = {}
    touched = [{s} for s in range(len(stages))]
    for s, stage in enumerate(stages):
        for lane in {lane for lanes in stage.lanes for lane in lanes}:
            users.setdefault(lane, set()).add(s)
        for t, _ in (*stage.preds, *stage.succs):
            touched[t].add(s)
    for together in users.values():
        for s in together:
            touched[s] |= together
    return [sorted(part) for part in touched]


@compiled
def order_operations(
    stages: Any, cell_of: Longs, waits: Longs, touched: Longs, lane_start: Longs, lanes: Longs, out: Any
) -> Any:
    """Order all operations, compiled; see :func:`list_schedule`.

    Parameters
    ----------
    stages, cell_of, waits, touched
        Stages as the table says, the cell of every operation, and the lists that stages point into.
    lane_start, lanes
        Lanes of every cell.
    out
        (num_operations,) of :data:`OPERATION`: filled, and returned.
    """
    ends = np.full((len(cell_of), 2), -1, np.int64)
    free = np.zeros(lanes.max() + 1, np.int64)
    for s in range(len(stages)):
        _find_next(stages, cell_of, waits, lane_start, lanes, ends, free, s)
    for n in range(len(out)):
        best = 0
        for s in range(1, len(stages)):
            if stages[s].rank < stages[best].rank:
                best = s
        if stages[best].rank == _NEVER:
            raise ValueError("stages wait for one another: there is a cycle, or a cap grows along an edge")
        _place(stages, cell_of, lane_start, lanes, ends, free, best, out[n])
        for k in range(stages[best].touched, stages[best].end_of_touched):
            _find_next(stages, cell_of, waits, lane_start, lanes, ends, free, touched[k])
    return out


@compiled
def _find_next(
    stages: Any,
    cell_of: Longs,
    waits: Longs,
    lane_start: Longs,
    lanes: Longs,
    ends: Longs,
    free: Longs,
    s: int,
) -> Any:
    """Find the next operation of a stage by the rule, when it can start, and its rank."""
    stage = stages[s]
    stage.rank = _NEVER
    held = stage.forwards - stage.backwards
    backward = stage.has_backward == 1 and (stage.forwards == stage.num_micro_batches or held >= stage.cap)
    i = stage.backwards if backward else stage.forwards
    if i >= stage.num_micro_batches:
        return
    first, last = stage.forward_waits, stage.backward_waits
    if backward:
        first, last = last, stage.end_of_waits
    stage.direction = np.int64(backward)
    stage.start = 0
    for k in range(first, last):
        end = ends[stages[waits[k, 0]].offset + i, stage.direction]
        if end < 0:
            return
        stage.start = max(stage.start, end + waits[k, 1])
    cell = cell_of[stage.offset + i]
    for k in range(lane_start[cell], lane_start[cell + 1]):
        stage.start = max(stage.start, free[lanes[k]])
    # Lexicographic: start, backward first, micro-batch, nearness to the sink.
    stage.rank = 2 * stage.start + 1 - stage.direction
    stage.rank = (stage.rank * len(cell_of) + i) * (len(stages) + 1) + stage.depth


@compiled
def _place(
    stages: Any, cell_of: Longs, lane_start: Longs, lanes: Longs, ends: Longs, free: Longs, s: int, out: Any
) -> Any:
    """Take the next operation of a stage as ordered."""
    stage = stages[s]
    i = stage.backwards if stage.direction == 1 else stage.forwards
    stage.forwards += 1 - stage.direction
    stage.backwards += stage.direction
    cell = cell_of[stage.offset + i]
    ends[stage.offset + i, stage.direction] = stage.start + 1
    for k in range(lane_start[cell], lane_start[cell + 1]):
        free[lanes[k]] = stage.start + 1
    out.stage, out.micro_batch, out.direction = s, i, stage.direction
    out.cell, out.start = cell, stage.start
