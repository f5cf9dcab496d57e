"""Energy: joules of a run, from the measured intervals of its instructions and the powers of the cards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.cluster import Cluster
from solver.execution.trace import Trace
from solver.plan import Plan
from solver.program import COMPUTE, Floats, Kind, Program
from solver.report import Energy, energy_by_device


@dataclass(frozen=True)
class TraceEnergy:
    """Energy of the steps of a run whose instructions all have a time.

    Parameters
    ----------
    steps
        Which steps (rounds, where copies synchronise more rarely), counted from 0.
    by_device
        Of each of them, by device, joule a step; of a round, the mean of its steps.
    """

    steps: tuple[int, ...]
    by_device: tuple[dict[str, Energy], ...]

    @property
    def mean(self) -> dict[str, Energy]:
        """Energy of a step by device, joule, mean of all these steps."""
        count = len(self.steps)
        return {
            name: Energy(
                sum(step[name].idle_j for step in self.by_device) / count,
                sum(step[name].compute_j for step in self.by_device) / count,
                sum(step[name].radio_j for step in self.by_device) / count,
            )
            for name in (self.by_device[0] if count else ())
        }

    @property
    def by_step_j(self) -> tuple[float, ...]:
        """Energy of all devices in each of these steps, joule."""
        return tuple(sum(part.total_j for part in step.values()) for step in self.by_device)

    @property
    def energy_j(self) -> float | None:
        """Energy of a step, all devices, mean of these steps; ``None`` without any."""
        return sum(self.by_step_j) / len(self.steps) if self.steps else None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "from_intervals": self.energy_j,
            "by_device": {
                name: {"idle": part.idle_j, "compute": part.compute_j, "radio": part.radio_j}
                for name, part in self.mean.items()
            },
            "steps": list(self.steps),
            "by_step": list(self.by_step_j),
        }


def trace_energy(trace: Trace, plan: Plan, cluster: Cluster, program: Program) -> TraceEnergy:
    """Return what a run cost by its measured intervals; powers are those of the cards.

    Parameters
    ----------
    trace
        The run, whole or broken off.
    plan, cluster, program
        What was run.

    Notes
    -----
    The meaning is that of :func:`solver.report.energy_by_device`: idle power of every board for the whole
    step, busy less idle power for as long as it computed, radio power for as long as its link was busy. A
    step of which some instruction was not measured is left out.
    """
    steps, found = [], []
    timed = program.table.kind[program.row] != Kind.HANDOVER
    for step, start, end in zip(trace.kept, trace.start_s, trace.end_s, strict=True):
        starts, ends = (np.array(column, float) for column in (start, end))
        known = np.isfinite(starts) & np.isfinite(ends)
        if known[timed].all() and step < len(trace.step_times_s):
            lasted = lasted_s(program, np.where(known, starts, 0.0), np.where(known, ends, 0.0))
            span = trace.step_times_s[step] * program.num_steps
            parts = energy_by_device(plan, cluster, program, span, lasted.tolist())
            steps.append(step)
            found.append({name: _of_a_step(part, program.num_steps) for name, part in parts.items()})
    return TraceEnergy(tuple(steps), tuple(found))


def _of_a_step(part: Energy, num_steps: int) -> Energy:
    return Energy(part.idle_j / num_steps, part.compute_j / num_steps, part.radio_j / num_steps)


def intervals(program: Program, spans: Iterable[Sequence[float]]) -> tuple[Floats, Floats]:
    """Return start and end of every instruction in one step; a send has those of its receive.

    Parameters
    ----------
    program
        What was carried out.
    spans
        (index, start, end) of what was measured; what was not is NaN.
    """
    start, end = (np.full(len(program), np.nan) for _ in range(2))
    for index, begin, finish in spans:
        place = int(index)
        mate = int(program.mate[place])
        for i in (place, mate) if mate >= 0 else (place,):
            start[i], end[i] = begin, finish
    return start, end


def lasted_s(program: Program, start: Floats, end: Floats) -> Floats:
    """Return (num_rows,), seconds that the instructions of each row lasted together.

    Parameters
    ----------
    program
        What was carried out.
    start, end
        (num_instructions,), seconds; both 0 where nothing was measured.

    Notes
    -----
    A raw receive begins when it is posted, and a raw collective when its first member is there: until the
    sender has computed the message, and until the last member is there, no link is busy. Padded ones begin
    no earlier than that.
    """
    begin = start.copy()
    computed_s: dict[str, float] = {}
    i = 0
    while i < len(program):
        row = program.rows[program.row[i]]
        members = max(1, row.members)
        if row.kind in COMPUTE:
            computed_s[row.device] = float(end[i])
        elif row.kind == Kind.SEND:
            mate = int(program.mate[i])
            begin[[i, mate]] = max(float(start[i]), computed_s.get(row.device, 0.0))
        elif row.kind == Kind.COLLECTIVE:
            begin[i : i + members] = start[i : i + members].max()
        i += members
    lasted = np.maximum(end - begin, 0.0)
    found = np.zeros(len(program.rows))
    np.add.at(found, program.row, lasted)
    return found
