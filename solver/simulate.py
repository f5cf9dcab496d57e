"""Simulate: walk a Program exactly on a virtual clock, compiled, with memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from solver.program import Floats, Ints, Kind, Longs, Program

_SEND, _RECV, _COLLECTIVE, _HANDOVER = (
    int(Kind.SEND),
    int(Kind.RECV),
    int(Kind.COLLECTIVE),
    int(Kind.HANDOVER),
)


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
    table = program.table
    buffers = np.array([row.buffer_bytes for row in program.rows], np.int64)
    start, end, peak, peak_buffers = _walk(
        program.row,
        program.slot,
        program.mate,
        table.kind,
        table.device,
        table.unit,
        table.duration_s,
        table.alloc_bytes,
        table.free_bytes,
        buffers,
        table.members,
        table.lane_start,
        table.lane,
        ready,
        len(program.lanes),
        len(program.devices),
    )
    return Timeline(start, end, peak, peak_buffers)


@njit(cache=True)
def _walk(
    row: Ints,
    slot: Ints,
    mate: Ints,
    kind: Any,
    device: Ints,
    unit: Ints,
    duration: Floats,
    alloc: Longs,
    free: Longs,
    buffers: Longs,
    members: Ints,
    lane_start: Ints,
    lane: Ints,
    ready: Floats,
    num_lanes: int,
    num_devices: int,
) -> Any:
    n = len(row)
    start = np.empty(n)
    end = np.empty(n)
    lane_free = np.zeros(num_lanes)
    memory = np.zeros(num_devices, np.int64)
    buffered = np.zeros(num_devices, np.int64)
    peak = np.zeros(num_devices, np.int64)
    peak_buffers = np.zeros(num_devices, np.int64)
    for i in range(n):
        r = row[i]
        k = kind[r]
        d = device[r]
        memory[d] += alloc[r]
        if k == _RECV:
            buffered[d] += buffers[r]
            start[i] = lane_free[unit[r]]
        if memory[d] > peak[d]:
            peak[d] = memory[d]
            peak_buffers[d] = buffered[d]
        if k == _RECV:
            continue
        memory[d] -= free[r]
        buffered[d] += buffers[r]
        if k == _COLLECTIVE:
            if members[r] == 0:
                continue
            t = 0.0
            for j in range(i, i + members[r]):
                q = row[j]
                t = max(t, lane_free[unit[q]])
                for x in range(lane_start[q], lane_start[q + 1]):
                    t = max(t, lane_free[lane[x]])
            e = t + duration[r]
            for j in range(i, i + members[r]):
                q = row[j]
                start[j], end[j] = t, e
                for x in range(lane_start[q], lane_start[q + 1]):
                    lane_free[lane[x]] = e
                if slot[j] >= 0:
                    ready[slot[j]] = max(ready[slot[j]], e)
            continue
        t = lane_free[unit[r]]
        if k < _SEND:
            t = max(t, ready[slot[i]])
        elif k == _SEND:
            t = max(t, start[mate[i]])
        for x in range(lane_start[r], lane_start[r + 1]):
            t = max(t, lane_free[lane[x]])
        e = t + duration[r]
        for x in range(lane_start[r], lane_start[r + 1]):
            lane_free[lane[x]] = e
        start[i], end[i] = t, e
        if k >= _SEND:
            if slot[i] >= 0:
                ready[slot[i]] = max(ready[slot[i]], e)
            if k == _SEND:
                start[mate[i]], end[mate[i]] = t, e
    return start, end, peak, peak_buffers
