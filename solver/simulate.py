"""Simulate: walk a Program exactly on a virtual clock, compiled, with memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from solver.program import Floats, Ints, Kind, Longs, Program
from solver.schedule import compiled

_SEND, _RECV, _COLLECTIVE = int(Kind.SEND), int(Kind.RECV), int(Kind.COLLECTIVE)

WALKED = np.dtype(
    [
        *((name, np.int64) for name in ("kind", "device", "unit", "members", "lanes", "end_of_lanes")),
        *((name, np.int64) for name in ("alloc_bytes", "free_bytes", "buffer_bytes")),
        ("duration_s", np.float64),
    ]
)
MEMORY = np.dtype([(name, np.int64) for name in ("now", "buffers", "peak", "peak_buffers")])


@dataclass(frozen=True)
class Timeline:
    """What a walk found.

    Parameters
    ----------
    start_s, end_s
        (num_instructions,), seconds. Of a receive: those of its message.
    peak_bytes
        (num_devices,), largest memory that changes during the step, in the order of the Program.
    buffer_bytes
        (num_devices,), receive buffers in that peak.
    """

    start_s: Floats
    end_s: Floats
    peak_bytes: Longs
    buffer_bytes: Longs

    @property
    def makespan_s(self) -> float:
        """When all is done, seconds."""
        return float(self.end_s.max()) if len(self.end_s) else 0.0


def simulate(program: Program) -> Timeline:
    """Walk a Program.

    Parameters
    ----------
    program
        What :func:`solver.lowering.lower` made.

    Notes
    -----
    An instruction starts when everything is there: its place in its device's list (a computation: its lane;
    a message: the computation before it in the lists of both ends), what it waits for, and every lane it
    occupies. Memory is counted in the order of each device's list. O(num_instructions).
    """
    ready = np.zeros(program.num_slots + 1)
    for slot, seconds in program.releases:
        ready[slot] = seconds
    rows = np.zeros(len(program.rows), WALKED)
    for name in ("kind", "device", "unit", "duration_s", "alloc_bytes", "free_bytes", "members"):
        rows[name] = getattr(program.table, name)
    rows["buffer_bytes"] = [row.buffer_bytes for row in program.rows]
    rows["lanes"], rows["end_of_lanes"] = program.table.lane_start[:-1], program.table.lane_start[1:]
    memory = np.zeros(len(program.devices), MEMORY)
    free_s = np.zeros(len(program.lanes))
    start_s, end_s = walk_instructions(
        program.row, program.slot, program.mate, rows, program.table.lane, ready, free_s, memory
    )
    return Timeline(start_s, end_s, memory["peak"].copy(), memory["peak_buffers"].copy())


@compiled
def walk_instructions(
    row: Ints, slot: Ints, mate: Ints, rows: Any, lane: Ints, ready: Floats, free_s: Floats, memory: Any
) -> Any:
    """Walk instructions, compiled; return when each starts and ends.

    Parameters
    ----------
    row, slot, mate
        (num_instructions,), as in a Program.
    rows, lane
        Rows, and the lanes that they point into.
    ready, free_s, memory
        When slots are filled, when lanes are free, and what devices hold: changed.
    """
    start, end = np.empty(len(row)), np.empty(len(row))
    for i in range(len(row)):
        what = rows[row[i]]
        _count_memory(what, memory[what.device])
        if what.kind == _RECV:
            # Posted now; the message itself comes with its send.
            start[i] = free_s[what.unit]
        elif what.kind == _COLLECTIVE:
            if what.members > 0:
                _exchange(i, row, slot, rows, lane, ready, free_s, start, end)
        else:
            at = free_s[what.unit]
            if what.kind < _SEND:
                at = max(at, ready[slot[i]])
            elif what.kind == _SEND:
                at = max(at, start[mate[i]])
            at = _wait_for_lanes(at, what, lane, free_s)
            start[i], end[i] = at, at + what.duration_s
            _occupy_lanes(end[i], what, lane, free_s)
            if what.kind == _SEND:
                start[mate[i]], end[mate[i]] = start[i], end[i]
            if what.kind >= _SEND and slot[i] >= 0:
                ready[slot[i]] = max(ready[slot[i]], end[i])
    return start, end


@compiled
def _count_memory(what: Any, device: Any) -> Any:
    """Count what an instruction takes, note the peak, and count what it gives back."""
    receives = what.kind == _RECV
    device.now += what.alloc_bytes
    device.buffers += what.buffer_bytes if receives else 0
    if device.now > device.peak:
        device.peak = device.now
        device.peak_buffers = device.buffers
    device.now -= 0 if receives else what.free_bytes
    device.buffers += 0 if receives else what.buffer_bytes


@compiled
def _wait_for_lanes(at: float, what: Any, lane: Ints, free_s: Floats) -> Any:
    for x in range(what.lanes, what.end_of_lanes):
        at = max(at, free_s[lane[x]])
    return at


@compiled
def _occupy_lanes(until: float, what: Any, lane: Ints, free_s: Floats) -> Any:
    for x in range(what.lanes, what.end_of_lanes):
        free_s[lane[x]] = until


@compiled
def _exchange(
    first: int,
    row: Ints,
    slot: Ints,
    rows: Any,
    lane: Ints,
    ready: Floats,
    free_s: Floats,
    start: Floats,
    end: Floats,
) -> Any:
    """Walk a collective, whose members' instructions stand side by side: all begin and end together."""
    members = range(first, first + rows[row[first]].members)
    at = 0.0
    for j in members:
        what = rows[row[j]]
        at = _wait_for_lanes(max(at, free_s[what.unit]), what, lane, free_s)
    until = at + rows[row[first]].duration_s
    for j in members:
        start[j], end[j] = at, until
        _occupy_lanes(until, rows[row[j]], lane, free_s)
        if slot[j] >= 0:
            ready[slot[j]] = max(ready[slot[j]], until)
