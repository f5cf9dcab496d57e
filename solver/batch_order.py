"""Batch order: what the stages of a pipeline do in which order, made once for all plans of one shape.

The order of a Program depends on the number of stages and micro-batches, on the caps and on where backward
passes begin, never on durations or groups. So it is taken from one pipeline of single-device stages, ordered
and written by the same code as every other, and each plan of that shape is walked along it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from solver.lowering.emit import ROW, SLOTS, TEMPLATE, USER, Layout, emit
from solver.program import Kind, Longs
from solver.schedule import StageNode, list_schedule

EVENT = np.dtype([(name, np.int32) for name in ("is_message", "direction", "stage", "number", "post")])
"""Either an operation of a stage (``number``: which in the stage's order), or all messages between a stage
and the next one (``number``: the operation that needs them; ``post``: how many operations of the receiving
stage stand before their receives)."""

# Rows of a stage: a pass, and the send and the receive of what leaves after it, in either direction.
_PASS, _SEND, _RECV, _PER_DIRECTION, _PER_STAGE = 0, 1, 2, 3, 6


class Shape(NamedTuple):
    """What the order of a pipeline depends on.

    Parameters
    ----------
    num_micro_batches
        Micro-batches of a step.
    prefetch
        As in :class:`solver.settings.Settings`.
    first_backward
        First stage with a backward pass; all after it have one.
    caps
        (num_stages,), most micro-batches in flight; they never grow.
    """

    num_micro_batches: int
    prefetch: int
    first_backward: int
    caps: tuple[int, ...]


class Order(NamedTuple):
    """The order of a pipeline.

    Parameters
    ----------
    events
        (num_events,) of :data:`EVENT`, in the order of the lanes.
    holds
        (num_moments, 5): how often a device of a stage holds, at a moment that can be its peak, what it
        received; what it keeps (without backward pass: outputs not yet sent); received gradients;
        gradients not yet sent; and what it needs only while it computes a forward pass.
    holds_start
        (num_stages + 1,): moments of stage s are those from ``holds_start[s]``.
    """

    events: NDArray[Any]
    holds: Longs
    holds_start: Longs


class _Instruction(NamedTuple):
    """An instruction of the pipeline: in whose list it stands, after how many operations, and what it is."""

    stage: int
    before: int
    part: int
    direction: int
    micro_batch: int
    mate: int


@lru_cache(maxsize=4096)
def order_of(shape: Shape) -> Order:
    """Return the order of a pipeline of some shape.

    Parameters
    ----------
    shape
        What it depends on.
    """
    instructions = _instructions(shape)
    number = {(at.stage, at.direction, at.micro_batch): at.before for at in instructions if at.part == _PASS}
    events = []
    for at in instructions:
        if at.part == _PASS:
            events.append((0, at.direction, at.stage, at.before, 0))
        elif at.part == _SEND:
            target = at.stage + (1 if at.direction == 0 else -1)
            needs = number[target, at.direction, at.micro_batch]
            post = instructions[at.mate].before
            events.append((1, at.direction, min(at.stage, target), needs, post))
    moments = []
    for s in range(len(shape.caps)):
        mine = [(at.part, at.direction) for at in instructions if at.stage == s]
        sends_gradients = s - 1 >= shape.first_backward
        moments.append(_undominated(set(_held(mine, s >= shape.first_backward, sends_gradients))))
    return Order(
        np.array(events, EVENT),
        np.concatenate(moments),
        np.cumsum([0, *(len(part) for part in moments)]).astype(np.int64),
    )


def _instructions(shape: Shape) -> list[_Instruction]:
    """Order and write a pipeline of single-device stages."""
    num, first = len(shape.caps), shape.first_backward
    nodes = [
        StageNode(
            class_of=np.zeros(shape.num_micro_batches, np.int32),
            lanes=[[s]],
            cap=shape.caps[s],
            has_backward=s >= first,
            depth=num - s,
            preds=[(s - 1, 1)] if s > 0 else [],
            succs=[(s + 1, 1)] if first <= s < num - 1 else [],
        )
        for s in range(num)
    ]
    found = []
    before = [0] * num
    for row, micro_batch, _, mate in np.transpose(
        emit(list_schedule(nodes), _layout(shape), shape.prefetch)
    ).tolist():
        s, (direction, part) = row // _PER_STAGE, divmod(row % _PER_STAGE, _PER_DIRECTION)
        if part == _RECV:
            s += 1 if direction == 0 else -1
        found.append(_Instruction(s, before[s], part, direction, micro_batch, mate))
        before[s] += part == _PASS
    return found


def _layout(shape: Shape) -> Layout:
    num, count, first = len(shape.caps), shape.num_micro_batches, shape.first_backward
    rows, templates, users = (
        np.zeros(_PER_STAGE * num, ROW),
        np.zeros(2 * num, TEMPLATE),
        np.zeros(2 * num, USER),
    )
    for s in range(num):
        for direction, target in ((0, s + 1), (1, s - 1)):
            kind, row = 2 * s + direction, _PER_STAGE * s + _PER_DIRECTION * direction
            sends = 0 <= target < num and (direction == 0 or target >= first)
            users[kind] = (2 * target + direction, 0, 0)
            rows[row] = (Kind.FORWARD + direction, s, kind, 0, 0, 0)
            rows[row + _SEND] = (Kind.SEND, s, 0, 0, kind, kind + 1)
            rows[row + _RECV] = (Kind.RECV, target, 0, 0, 0, 0)
            templates[kind] = (row, row + _SEND, row + _SEND + 2 * sends, s, s + 1)
    slots = np.zeros(2 * num, SLOTS)
    slots["base"] = slots["places"] = np.arange(2 * num) * count
    slots["stride"] = slots["places_stride"] = 1
    return Layout(templates, np.arange(num), rows, users, slots, 2 * num * count)


def _held(
    mine: list[tuple[int, int]], has_backward: bool, sends_gradients: bool
) -> Iterator[tuple[int, ...]]:
    """Yield what a device of a stage holds at every moment at which it takes memory.

    Notes
    -----
    With a backward pass the input a device received becomes part of what it keeps when its forward pass
    is over; without, it is given back then.
    """
    received = kept = gradients = unsent = 0
    for part, direction in mine:
        if part == _RECV:
            received += direction == 0
            gradients += direction == 1
            yield received, kept, gradients, unsent, 0
        elif part == _PASS and direction == 0:
            yield received, kept, gradients, unsent, 1
            received -= received > 0
            kept += 1
        elif part == _PASS:
            unsent += sends_gradients
            yield received, kept, gradients, unsent, 0
            kept -= 1
            gradients -= gradients > 0
        elif direction == 0:
            kept -= not has_backward
        else:
            unsent -= 1


def _undominated(moments: set[tuple[int, ...]]) -> Longs:
    """Return the moments that no other has at least as much of everything: one of them is the peak."""
    kept = [
        one
        for one in moments
        if not any(other != one and all(a >= b for a, b in zip(other, one, strict=True)) for other in moments)
    ]
    return np.array(sorted(kept), np.int64).reshape(-1, 5)
