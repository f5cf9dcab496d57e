"""The walk of a Program in plain Python, as one would first write it: the baseline of the compiled one."""

from __future__ import annotations

from solver.program import Kind, Program


def plain_walk(program: Program) -> tuple[float, list[int]]:
    """Makespan and peak memory of every device, with lists instead of arrays and no compiler."""
    rows, table = program.rows, program.table
    kinds, durations = table.kind.tolist(), table.duration_s.tolist()
    units, devices = table.unit.tolist(), table.device.tolist()
    lanes = [row.lanes for row in rows]
    takes, gives = table.alloc_bytes.tolist(), table.free_bytes.tolist()
    row, slot, mate = program.row.tolist(), program.slot.tolist(), program.mate.tolist()
    free, ready = [0.0] * len(program.lanes), [0.0] * (program.num_slots + 1)
    posted, now = [0.0] * len(row), [0] * len(program.devices)
    peak = list(now)
    for i, r in enumerate(row):
        kind, device = kinds[r], devices[r]
        now[device] += takes[r]
        peak[device] = max(peak[device], now[device])
        now[device] -= gives[r]
        if kind == Kind.RECV:
            posted[i] = free[units[r]]
            continue
        group = range(i, i + rows[r].members) if kind == Kind.COLLECTIVE else (i,)
        at = 0.0
        for j in group:
            at = max(at, free[units[row[j]]], *[free[lane] for lane in lanes[row[j]]])
        if kind < Kind.SEND:
            at = max(at, ready[slot[i]])
        elif kind == Kind.SEND:
            at = max(at, posted[mate[i]])
        end = at + durations[r]
        for j in group:
            for lane in lanes[row[j]]:
                free[lane] = end
            if kind >= Kind.SEND and slot[j] >= 0:
                ready[slot[j]] = max(ready[slot[j]], end)
    return max(free), peak
