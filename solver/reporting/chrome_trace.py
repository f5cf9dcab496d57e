"""Chrome trace: the timeline as trace-event JSON, for Perfetto, chrome://tracing and speedscope."""

from __future__ import annotations

from typing import Any

import numpy as np

from solver.program import Kind, Program
from solver.report import Report
from solver.reporting.measured import Measured
from solver.reporting.tracks import LANES, NANO, Track, describe, measured_tracks, predicted_tracks

COLOURS = {
    Kind.FORWARD: "thread_state_running",
    Kind.BACKWARD: "thread_state_iowait",
    Kind.UPDATE: "good",
    Kind.AGGREGATE: "good",
    Kind.COLLECTIVE: "rail_animation",
}
"""Reserved colour names of the trace viewer; Perfetto chooses its own."""


def chrome_trace(report: Report, *, measured: Measured | None = None) -> dict[str, Any]:
    """Return the timeline as a trace-event document, ready for ``json.dumps``.

    Parameters
    ----------
    report
        The predicted timeline.
    measured
        A run, shown as a second group of processes.

    Notes
    -----
    A process per device, a track per lane (compute, send, receive), complete events in microseconds. No two
    events of a track overlap, which Perfetto asks of them: spans of a lane that do go to further tracks.
    Times are whole nanoseconds, so rounding makes no overlap either. Handovers take no time and are not
    shown.
    """
    program = report.program
    groups = [("predicted", predicted_tracks(program, report.timeline))]
    if measured is not None:
        groups.append(("measured", measured_tracks(program, measured)))
    events: list[dict[str, Any]] = []
    arguments = [_arguments(program, r) for r in range(len(program.rows))]
    for g, (group, tracks) in enumerate(groups):
        first = 1 + g * len(program.devices)
        for device in dict.fromkeys(track.device for track in tracks):
            process = first + program.devices.index(device)
            events.append(_meta("process_name", process, 0, name=f"{device} ({group})"))
            events.append(_meta("process_sort_index", process, 0, sort_index=process))
        for track in tracks:
            process = first + program.devices.index(track.device)
            thread = 1 + list(LANES).index(track.lane) + len(LANES) * track.number
            order = 1 + list(LANES).index(track.lane) * 1000 + track.number
            events.append(_meta("thread_name", process, thread, name=track.name))
            events.append(_meta("thread_sort_index", process, thread, sort_index=order))
            events += _slices(program, track, process, thread, arguments)
    return {"displayTimeUnit": "ms", "traceEvents": events}


def _meta(name: str, process: int, thread: int, /, **arguments: str | int) -> dict[str, Any]:
    return {"ph": "M", "name": name, "pid": process, "tid": thread, "args": arguments}


def _arguments(program: Program, number: int) -> dict[str, Any]:
    row = program.rows[number]
    found: dict[str, Any] = {"what": describe(row), "phase": row.phase}
    if row.stage >= 0:
        found |= {"pipeline": row.pipeline, "stage": row.stage}
    if row.num_bytes:
        found["bytes"] = row.num_bytes
    if row.peer:
        found["peer"] = row.peer
    if row.blocks:
        found["blocks"] = " ".join(row.blocks)
    return found


def _slices(
    program: Program, track: Track, process: int, thread: int, arguments: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    starts = np.rint(track.start_s * NANO).astype(np.int64).tolist()
    ends = np.rint(track.end_s * NANO).astype(np.int64).tolist()
    steps = (np.searchsorted(program.step_starts, track.index, side="right") - 1).tolist()
    batches = program.micro_batch[track.index].tolist()
    rows = program.row[track.index].tolist()
    found = []
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        row = program.rows[rows[i]]
        own = arguments[rows[i]] | {"index": int(track.index[i]), "step": steps[i]}
        label = row.label
        if batches[i] >= 0:
            own["micro_batch"] = batches[i]
            label += f" #{batches[i]}"
        event = {"ph": "X", "name": label, "cat": row.kind.name.lower(), "pid": process, "tid": thread}
        event |= {"ts": start / 1000, "dur": (end - start) / 1000, "args": own}
        if row.kind in COLOURS:
            event["cname"] = COLOURS[row.kind]
        found.append(event)
    return found
