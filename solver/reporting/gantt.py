"""Gantt: tracks laid out for drawing, thinned where a page could not hold every span."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solver.program import Kind, Program
from solver.report import Report
from solver.reporting.measured import Measured
from solver.reporting.tracks import Track, measured_tracks, predicted_tracks

CLASSES = {
    Kind.FORWARD: "f",
    Kind.BACKWARD: "b",
    Kind.UPDATE: "u",
    Kind.AGGREGATE: "u",
    Kind.SEND: "s",
    Kind.RECV: "r",
    Kind.COLLECTIVE: "c",
}
"""Kind to the colour class of the style sheet."""

UNIT = 1_000_000
"""The time axis has so many units: positions are whole numbers."""

MOST_SPANS = 3000
MOST_DEVICES = 40
ROWS = {"compute": 18, "send": 8, "recv": 8}
"""Height of a row by lane, pixels."""


@dataclass(frozen=True)
class Bar:
    """A row of the chart.

    Parameters
    ----------
    device, name, source
        Whose, which lane, and ``predicted`` or ``measured``.
    top, height
        Pixels.
    spans
        (class, start, length, row of the Program, micro-batch), in units of the axis; row -1 where thinned.
    """

    device: str
    name: str
    source: str
    top: int
    height: int
    spans: list[tuple[str, int, int, int, int]]


@dataclass(frozen=True)
class Gantt:
    """The chart.

    Parameters
    ----------
    bars
        From top to bottom.
    span_s
        Length of the time axis.
    height
        Pixels.
    note
        What was left out; empty if nothing.
    """

    bars: tuple[Bar, ...]
    span_s: float
    height: int
    note: str


def gantt(report: Report, measured: Measured | None) -> Gantt:
    """Lay a timeline out.

    Parameters
    ----------
    report, measured
        What is drawn: predicted, and below it measured, device by device.
    """
    program = report.program
    tracks = [("predicted", track) for track in predicted_tracks(program, report.timeline)]
    if measured is not None:
        tracks += [("measured", track) for track in measured_tracks(program, measured)]
    devices = list(dict.fromkeys(track.device for _, track in tracks))
    notes = []
    if len(devices) > MOST_DEVICES:
        notes.append(f"The first {MOST_DEVICES} of {len(devices)} devices are drawn.")
    tracks = [(source, track) for source, track in tracks if track.device in set(devices[:MOST_DEVICES])]
    span_s = max((float(track.end_s.max()) for _, track in tracks), default=0.0) or 1.0
    num_spans = sum(len(track.index) for _, track in tracks)
    sources = 2 if measured is not None else 1
    num_slots = 0
    if num_spans > MOST_SPANS * sources:
        num_slots = int(np.clip(MOST_SPANS * sources // len(tracks), 60, 1500))
        notes.append(
            f"The timeline has {num_spans:,} spans, too many to draw: time is cut into {num_slots:,} slots, "
            "each in the colour of what fills most of it, blank if that is less than half."
        )
    bars: list[Bar] = []
    top = 4
    for device in devices[:MOST_DEVICES]:
        for source in ("predicted", "measured"):
            own = [track for s, track in tracks if s == source and track.device == device]
            for track in own:
                spans = (
                    _slots(program, track, span_s, num_slots) if num_slots else _spans(program, track, span_s)
                )
                bars.append(Bar(device, track.name, source, top, ROWS[track.lane], spans))
                top += ROWS[track.lane] + 1
            top += 3 if own else 0
        top += 9
    return Gantt(tuple(bars), span_s, top, " ".join(notes))


def _spans(program: Program, track: Track, span_s: float) -> list[tuple[str, int, int, int, int]]:
    starts = np.rint(track.start_s / span_s * UNIT).astype(np.int64).tolist()
    ends = np.rint(track.end_s / span_s * UNIT).astype(np.int64).tolist()
    rows = program.row[track.index].tolist()
    batches = program.micro_batch[track.index].tolist()
    drawn = zip(starts, ends, rows, batches, strict=True)
    return [(CLASSES[program.rows[r].kind], a, b - a, r, m) for a, b, r, m in drawn if b > a]


def _slots(
    program: Program, track: Track, span_s: float, num_slots: int
) -> list[tuple[str, int, int, int, int]]:
    """Return what fills most of each slot, equal neighbours together."""
    edges = np.linspace(0.0, span_s, num_slots + 1)
    kinds = np.array([CLASSES[row.kind] for row in program.rows])[program.row[track.index]]
    classes = sorted(set(kinds.tolist()))
    filled = np.zeros((len(classes), num_slots))
    for i, kind in enumerate(classes):
        start, end = track.start_s[kinds == kind], track.end_s[kinds == kind]
        moments = np.column_stack([start, end]).ravel()
        busy = np.column_stack([np.zeros(len(start)), end - start]).ravel().cumsum()
        filled[i] = np.diff(np.interp(edges, moments, busy, left=0.0))
    most = filled.argmax(axis=0)
    shown = np.where(filled.max(axis=0) >= 0.5 * span_s / num_slots, most, -1)
    turns = np.flatnonzero(np.diff(shown, prepend=-2, append=-2))
    found = []
    for a, b in zip(turns[:-1].tolist(), turns[1:].tolist(), strict=True):
        if shown[a] >= 0:
            left, right = a * UNIT // num_slots, b * UNIT // num_slots
            found.append((classes[int(shown[a])], left, right - left, -1, -1))
    return found
