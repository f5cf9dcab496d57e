"""Tracks: a timeline as rows of spans that do not overlap, one row per lane of a device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from solver.program import COMPUTE, Floats, Kind, Longs, Program, Row
from solver.reporting.measured import Measured
from solver.simulate import Timeline

LANES = {
    "compute": tuple(COMPUTE),
    "send": (Kind.SEND, Kind.COLLECTIVE),
    "recv": (Kind.RECV, Kind.COLLECTIVE),
}
"""Lanes of a device, and what they show; a collective sends and receives at once."""

NANO = 1e9


@dataclass(frozen=True)
class Track:
    """Spans of one lane, in order of time; none overlaps another.

    Parameters
    ----------
    device, lane
        Whose, and ``compute``, ``send`` or ``recv``.
    number
        0; higher for further compute lanes of the device, and for spans that overlap those before.
    index
        (num_spans,), instructions.
    start_s, end_s
        (num_spans,), seconds.
    """

    device: str
    lane: str
    number: int
    index: Longs
    start_s: Floats
    end_s: Floats

    @property
    def name(self) -> str:
        """Name of the lane, numbered from the second on."""
        return self.lane if self.number == 0 else f"{self.lane} {self.number + 1}"


def predicted_tracks(program: Program, timeline: Timeline) -> list[Track]:
    """Return the tracks of a walk, device by device.

    Parameters
    ----------
    program, timeline
        The Program and its walk.
    """
    return _tracks(program, np.arange(len(program)), timeline.start_s, timeline.end_s)


def measured_tracks(program: Program, measured: Measured) -> list[Track]:
    """Return the tracks of a run, device by device.

    Parameters
    ----------
    program, measured
        The Program and what its run found.
    """
    return _tracks(program, *measured.arrays())


def _tracks(program: Program, index: Longs, start: Floats, end: Floats) -> list[Track]:
    row = program.row[index]
    kind, owner, unit = program.table.kind[row], program.table.device[row], program.table.unit[row]
    found = []
    for d, device in enumerate(program.devices):
        for lane, kinds in LANES.items():
            chosen = np.flatnonzero((owner == d) & np.isin(kind, [int(k) for k in kinds]))
            number = 0
            parts = (
                [chosen[unit[chosen] == u] for u in np.unique(unit[chosen])]
                if lane == "compute"
                else [chosen]
            )
            for part in parts:
                for spans in _apart(part, start, end):
                    found.append(Track(device, lane, number, index[spans], start[spans], end[spans]))
                    number += 1
    return found


def _apart(chosen: Longs, start: Floats, end: Floats) -> Iterator[Longs]:
    """Yield the spans as sets without overlap, each in order of time."""
    order = chosen[np.lexsort((end[chosen], start[chosen]))]
    ticks, until = np.rint(start[order] * NANO), np.rint(end[order] * NANO)
    if not len(order):
        return
    if np.all(ticks[1:] >= until[:-1]):
        yield order
        return
    free: list[float] = []
    place = np.zeros(len(order), np.int64)
    for i, (begins, ends) in enumerate(zip(ticks.tolist(), until.tolist(), strict=True)):
        row = next((j for j, moment in enumerate(free) if moment <= begins), len(free))
        free[row : row + 1] = [ends]
        place[i] = row
    for row in range(len(free)):
        yield order[place == row]


def describe(row: Row) -> str:
    """Return what an instruction is, in words.

    Parameters
    ----------
    row
        Its row of the Program.
    """
    words = {"FORWARD": "forward", "BACKWARD": "backward", "UPDATE": "update", "AGGREGATE": "aggregate"}
    parts = [words.get(row.kind.name, row.label.replace("->", " to ").replace("<-", " from "))]
    if row.kind in (Kind.SEND, Kind.RECV) and row.phase:
        parts[0] += f" ({row.phase})"
    if row.stage >= 0:
        parts.append(
            f"stage {row.stage}" if row.pipeline <= 0 else f"pipeline {row.pipeline} stage {row.stage}"
        )
    if row.blocks:
        first, last = row.blocks[0], row.blocks[-1]
        many = len(row.blocks)
        parts.append(first if many == 1 else f"{many} blocks, {first} to {last}")
    if row.num_bytes:
        parts.append(f"{row.num_bytes:,} bytes")
    return ", ".join(parts)
