"""Placing: where in the order of a step its gradient reductions stand.

A reduction begins when everything before it in the lists of its members is over, so its place decides what it
overlaps with. It stands behind the last computation that adds to its gradients on any member. With one bucket
it also stands behind everything else on its lanes: a message between stages is waited for, a reduction only
before the update. With several (*eager*) it stands right behind that computation; only the messages of a
backward pass that is over go first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import TypeVar

import numpy as np

from solver.program import Ints, Kind, Longs, Row

K = TypeVar("K")
Body = tuple[Ints, Ints, Ints, Ints]
"""(row, micro-batch, slot, mate) of the instructions of a step."""


def place_reductions(
    body: Body, rows: list[Row], reductions: list[list[Row]], first_slot: int, *, eager: bool
) -> Body:
    """Return the instructions of a step with its reductions among them.

    Parameters
    ----------
    body
        Instructions of the passes.
    rows
        All rows; those of the reductions are added.
    reductions
        The rows of each, one per member.
    first_slot
        Slot of the first update.
    eager
        Whether reductions go before messages that are sent later on the same lanes.

    Notes
    -----
    A device reduces one thing at a time, so one buffer serves all: it is taken at the device's first
    reduction and given back at its update. O(num_instructions).
    """
    if not reductions:
        return body
    last = _last_places(body[0], rows)
    behind = _Eager(rows, last) if eager else _Behind(rows, last)
    places = [1 + behind.last(reduction) for reduction in reductions]
    order = sorted(range(len(reductions)), key=lambda k: places[k])
    ordered = _share_buffers([reductions[k] for k in order])
    numbers = len(rows) + np.arange(sum(map(len, ordered)))
    rows += [row for reduction in ordered for row in reduction]
    slots = [first_slot + row.waits[1] if row.waits[0] == 0 else -1 for row in rows[numbers[0] :]]
    at = np.repeat([places[k] for k in order], [len(reduction) for reduction in ordered])
    row, micro_batch, slot, mate = body
    mate = mate.copy()
    later = np.flatnonzero(mate >= at[0])
    mate[later] += np.searchsorted(at, mate[later], side="right").astype(np.int32)
    none = np.full(len(at), -1)
    return (
        _insert(row, at, numbers),
        _insert(micro_batch, at, none),
        _insert(slot, at, np.array(slots)),
        _insert(mate, at, none),
    )


def _insert(part: Ints, at: Longs, given: Longs) -> Ints:
    """Return an array with values before the given places, which never fall."""
    begins = np.flatnonzero(np.diff(at, prepend=-1))
    pieces = np.split(part, at[begins])
    between = np.split(given.astype(np.int32), begins[1:])
    return np.concatenate([pieces[0], *chain.from_iterable(zip(between, pieces[1:], strict=True))])


def _last_places(order: Ints, rows: list[Row]) -> Longs:
    """Return the place of the last instruction of every row; of a collective's, that of its last member."""
    last = np.full(len(rows), -1, np.int64)
    last[order] = np.arange(len(order))
    for r, row in enumerate(rows):
        if row.members:
            last[r : r + row.members] = last[r + row.members - 1]
    return last


def _share_buffers(reductions: list[list[Row]]) -> list[list[Row]]:
    """Let every device that updates weights take the largest of its buffers at its first reduction."""
    most: dict[str, int] = {}
    for row in chain.from_iterable(reductions):
        most[row.device] = max(most.get(row.device, 0), row.alloc_bytes)
    begun: set[str] = set()
    found = []
    for reduction in reductions:
        found.append([row if row.waits[0] < 0 else _with_buffer(row, most, begun) for row in reduction])
        begun.update(row.device for row in reduction)
    return found


def _with_buffer(row: Row, most: dict[str, int], begun: set[str]) -> Row:
    return replace(row, alloc_bytes=0 if row.device in begun else most[row.device], free_bytes=0)


class _Behind:
    """Places reductions behind their gradients and everything on their lanes.

    Parameters
    ----------
    rows
        Of the passes.
    last
        (num_rows,), place of the last instruction of each; -1 for none.
    """

    def __init__(self, rows: list[Row], last: Longs) -> None:
        self.final: dict[tuple[str, str], int] = {}
        self.on_lane: dict[int, int] = {}
        self.of_device: dict[str, int] = {}
        for r, row in enumerate(rows):
            place = int(last[r])
            if _adds_gradients(row):
                _note(self.final, ((row.device, block) for block in row.blocks), place)
            if row.kind == Kind.SEND:
                _note(self.of_device, (row.device, row.peer or ""), place)
            _note(self.on_lane, row.lanes, place)

    def last(self, reduction: list[Row]) -> int:
        """Return the place of the last instruction a reduction stands behind; -1 for none."""
        found = [self.final.get((row.device, block), -1) for row in reduction for block in row.blocks]
        found += [self.on_lane.get(lane, -1) for row in reduction for lane in row.lanes]
        return max([*found, *(self.of_device.get(row.device, -1) for row in reduction)])


class _Eager:
    """Places reductions behind their gradients; parameters as for :class:`_Behind`."""

    def __init__(self, rows: list[Row], last: Longs) -> None:
        self.final: dict[tuple[str, str], int] = {}
        sent: dict[tuple[str, int, int], int] = {}
        ends: dict[tuple[str, int, int], int] = {}
        for r, row in enumerate(rows):
            if row.phase == "backward":
                own, place = (row.device, row.pipeline, row.stage), int(last[r])
                _note(sent if row.kind == Kind.SEND else ends, (own,), place)
        for r, row in enumerate(rows):
            if _adds_gradients(row):
                own, place = (row.device, row.pipeline, row.stage), int(last[r])
                over = place == ends[own]
                place = max(place, sent.get(own, -1)) if over else place
                _note(self.final, ((row.device, block) for block in row.blocks), place)

    def last(self, reduction: list[Row]) -> int:
        """Return the place of the last instruction a reduction stands behind; -1 for none."""
        return max(self.final.get((row.device, block), -1) for row in reduction for block in row.blocks)


def _adds_gradients(row: Row) -> bool:
    """Return whether a row may add to gradients: what begins a cut block ends with its collective."""
    return row.kind == Kind.BACKWARD or (row.kind == Kind.COLLECTIVE and row.phase == "backward")


def _note(table: dict[K, int], keys: Iterable[K], place: int) -> None:
    for key in keys:
        table[key] = max(table.get(key, -1), place)
