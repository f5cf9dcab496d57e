"""Emit: ordered operations become instructions, compiled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from solver.program import Ints, Kind, Longs
from solver.schedule import compiled

TEMPLATE = np.dtype([(name, np.int64) for name in ("compute", "messages", "end", "lanes", "end_of_lanes")])
"""Rows of an operation, at 2 * cell + direction: computations and collectives from ``compute``, messages
from ``messages`` to ``end`` (a send followed by its receive, or a handover alone); and its compute lanes."""

ROW = np.dtype(
    [(name, np.int64) for name in ("kind", "unit", "wait_type", "wait_offset", "users", "end_of_users")]
)
"""A row: kind; compute lane; operation type and offset of the slot a computation waits for; users of what
a message carries."""

USER = np.dtype([(name, np.int64) for name in ("type", "offset", "place")])
"""A computation that needs what a message carries: operation type, slot offset, and place of the device in
that stage. The first of the users in the device's order waits for the message."""

SLOTS = np.dtype([(name, np.int64) for name in ("base", "stride", "places", "places_stride")])
"""Of operation type 2 * stage + direction: slots of micro-batch i are those from base + i * stride; places,
likewise, hold the number of an operation in the order of each of its compute lanes."""

_MESSAGE = np.dtype(
    [(name, np.int64) for name in ("row", "micro_batch", "target", "slot", "post", "received", "next")]
)
_SEND, _HANDOVER = int(Kind.SEND), int(Kind.HANDOVER)
_NEVER = np.int64(2**62)


class Layout(NamedTuple):
    """Rows of all operations, and where their slots lie.

    Parameters
    ----------
    templates
        (2 num_cells,) of :data:`TEMPLATE`.
    lanes
        Compute lanes of all templates.
    rows
        (num_rows,) of :data:`ROW`.
    users
        Of :data:`USER`.
    slots
        (2 num_stages,) of :data:`SLOTS`.
    num_places
        Places of all operations.
    """

    templates: NDArray[Any]
    lanes: Longs
    rows: NDArray[Any]
    users: NDArray[Any]
    slots: NDArray[Any]
    num_places: int


def emit(operations: NDArray[Any], layout: Layout, prefetch: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Write the instructions of ordered operations.

    Parameters
    ----------
    operations
        What :func:`solver.schedule.list_schedule` returned.
    layout
        Rows of all operations, and where their slots lie.
    prefetch
        Computations ahead of its use that a receive is posted at the latest.

    Returns
    -------
    tuple of arrays
        (num_instructions,) row, micro-batch, slot, mate.

    Notes
    -----
    A message leaves when its operation ends in unit time; that order is the order of all lanes. Its
    receive stands before the computation ``prefetch`` places ahead of its use, and never after the send.
    O(num_instructions).
    """
    row, micro_batch, slot, mate = write_instructions(operations, *layout, prefetch)
    return row, micro_batch, slot, mate


@compiled
def write_instructions(
    operations: Any,
    templates: Any,
    lanes: Longs,
    rows: Any,
    users: Any,
    slots: Any,
    num_places: int,
    prefetch: int,
) -> Any:
    """Write instructions, compiled, as (4, num_instructions); see :func:`emit` and :class:`Layout`."""
    num_instructions = num_messages = 0
    for n in range(len(operations)):
        template = templates[2 * operations[n].cell + operations[n].direction]
        num_instructions += template.end - template.compute
        for r in range(template.messages, template.end):
            num_messages += rows[r].kind == _SEND
    count = np.zeros(lanes.max() + 1, np.int64)
    place = np.empty(num_places, np.int64)
    _number(operations, templates, lanes, slots, count, place)
    messages = np.empty(num_messages, _MESSAGE)
    count[:] = 0
    _find_messages(operations, templates, lanes, rows, users, slots, prefetch, count, place, messages)
    waiting = np.full(len(count), -1, np.int64)
    _queue(messages, waiting)
    count[:] = 0
    out = np.full((4, num_instructions), -1, np.int32)
    _write(operations, templates, lanes, rows, users, slots, messages, waiting, count, out)
    return out


@compiled
def _has_ended(operations: Any, earlier: int, n: int) -> Any:
    """Tell whether an operation ends in unit time before operation n begins; n may be the end of all."""
    if n == len(operations):
        return earlier < n
    return earlier < n and operations[earlier].start + 1 <= operations[n].start


@compiled
def _number(operations: Any, templates: Any, lanes: Longs, slots: Any, count: Longs, place: Longs) -> Any:
    """Number every operation in the order of each of its compute lanes."""
    for n in range(len(operations)):
        op = operations[n]
        template = templates[2 * op.cell + op.direction]
        at = slots[2 * op.stage + op.direction]
        for k in range(template.lanes, template.end_of_lanes):
            place[at.places + op.micro_batch * at.places_stride + k - template.lanes] = count[lanes[k]]
            count[lanes[k]] += 1


@compiled
def _find_messages(
    operations: Any,
    templates: Any,
    lanes: Longs,
    rows: Any,
    users: Any,
    slots: Any,
    prefetch: int,
    count: Longs,
    place: Longs,
    messages: Any,
) -> Any:
    """Find all messages in the order of the lanes, and before which computation each is received."""
    head = m = 0
    for n in range(len(operations) + 1):
        while _has_ended(operations, head, n):
            i = operations[head].micro_batch
            template = templates[2 * operations[head].cell + operations[head].direction]
            for r in range(template.messages, template.end):
                if rows[r].kind == _SEND:
                    message = messages[m]
                    message.row, message.micro_batch, message.target = r, i, rows[r + 1].unit
                    first = _first_user(rows[r], users, slots, place, i, message)
                    message.post = min(count[message.target], max(0, first - prefetch))
                    m += 1
            head += 1
        if n < len(operations):
            template = templates[2 * operations[n].cell + operations[n].direction]
            for k in range(template.lanes, template.end_of_lanes):
                count[lanes[k]] += 1


@compiled
def _first_user(row: Any, users: Any, slots: Any, place: Longs, i: int, message: Any) -> Any:
    """Give a message the slot of the first computation that needs it, and return the number of that."""
    first = _NEVER
    message.slot = -1
    for k in range(row.users, row.end_of_users):
        at = slots[users[k].type]
        number = place[at.places + i * at.places_stride + users[k].place]
        if number < first:
            first = number
            message.slot = at.base + i * at.stride + users[k].offset
    return first


@compiled
def _queue(messages: Any, waiting: Longs) -> Any:
    """Queue the receives of every compute lane; none is posted after its successor.

    A lane serves messages in their order, so posting one later than the next would hold both up.
    """
    for j in range(len(messages) - 1, -1, -1):
        message = messages[j]
        after = waiting[message.target]
        if after >= 0:
            message.post = min(message.post, messages[after].post)
        message.next = after
        waiting[message.target] = j


@compiled
def _write(
    operations: Any,
    templates: Any,
    lanes: Longs,
    rows: Any,
    users: Any,
    slots: Any,
    messages: Any,
    waiting: Longs,
    count: Longs,
    out: Any,
) -> Any:
    head = m = x = 0
    for n in range(len(operations) + 1):
        while _has_ended(operations, head, n):
            template = templates[2 * operations[head].cell + operations[head].direction]
            i = operations[head].micro_batch
            m, x = _write_messages(template, i, rows, users, slots, messages, waiting, m, x, out)
            head += 1
        if n < len(operations):
            template = templates[2 * operations[n].cell + operations[n].direction]
            for k in range(template.lanes, template.end_of_lanes):
                x = _write_receives(messages, waiting, lanes[k], count[lanes[k]], x, out)
                count[lanes[k]] += 1
            i = operations[n].micro_batch
            for r in range(template.compute, template.messages):
                out[0, x], out[1, x] = r, i
                if rows[r].wait_type >= 0:
                    at = slots[rows[r].wait_type]
                    out[2, x] = at.base + i * at.stride + rows[r].wait_offset
                x += 1


@compiled
def _write_receives(messages: Any, waiting: Longs, lane: int, number: int, x: int, out: Any) -> Any:
    """Write the receives that stand before a computation; return the next place to write at."""
    while waiting[lane] >= 0 and messages[waiting[lane]].post <= number:
        x = _write_receive(messages, waiting, lane, x, out)
    return x


@compiled
def _write_receive(messages: Any, waiting: Longs, lane: int, x: int, out: Any) -> Any:
    message = messages[waiting[lane]]
    out[0, x], out[1, x] = message.row + 1, message.micro_batch
    message.received = x
    waiting[lane] = message.next
    return x + 1


@compiled
def _write_messages(
    template: Any,
    i: int,
    rows: Any,
    users: Any,
    slots: Any,
    messages: Any,
    waiting: Longs,
    m: int,
    x: int,
    out: Any,
) -> Any:
    """Write what leaves after an operation; return the next message and the next place to write at."""
    for r in range(template.messages, template.end):
        if rows[r].kind == _SEND:
            message = messages[m]
            while 0 <= waiting[message.target] <= m:
                x = _write_receive(messages, waiting, message.target, x, out)
            out[0, x], out[1, x], out[2, x], out[3, x] = r, i, message.slot, message.received
            out[3, message.received] = x
            m += 1
            x += 1
        elif rows[r].kind == _HANDOVER:
            user = users[rows[r].users]
            at = slots[user.type]
            out[0, x], out[1, x], out[2, x] = r, i, at.base + i * at.stride + user.offset
            x += 1
    return m, x
