"""From a trace: one chosen step of a run, as reports show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solver.program import Program
from solver.reporting.measured import Measured

if TYPE_CHECKING:
    from solver.execution.energy import TraceEnergy
    from solver.execution.trace import Trace


def measured_of(
    trace: Trace,
    program: Program,
    *,
    step: int | None = None,
    max_relative_weight_difference: float | None = None,
    energy: TraceEnergy | None = None,
) -> Measured:
    """Return what a run found, with the instructions of one step.

    Parameters
    ----------
    trace
        The run; broken off or whole.
    program
        What was run.
    step
        Whose instructions; ``None``: of the steps that keep them, the one whose time is the median.
    max_relative_weight_difference
        To the undivided run's weights, if it was compared.
    energy
        What it cost, if that was added up.
    """
    kept = trace.kept
    chosen = _typical(trace.step_times_s, kept) if step is None else step
    spans: dict[str, list[tuple[int, float, float]]] = {}
    if chosen in kept:
        place = kept.index(chosen)
        moments = zip(trace.start_s[place], trace.end_s[place], strict=True)
        for index, (start, end) in enumerate(moments):
            if start is not None and end is not None:
                device = program.rows[program.row[index]].device
                spans.setdefault(device, []).append((index, start, end))
    steps = max(len(trace.step_times_s), 1)
    sent = {
        (source, target): round(size / steps)
        for source, device in trace.devices.items()
        for target, size in device.sent_bytes.items()
    }
    return Measured(
        mode=trace.mode,
        spans=spans,
        step=chosen,
        step_times_s=tuple(trace.step_times_s),
        losses=tuple(trace.losses),
        reference_losses=tuple(trace.reference_losses),
        peak_memory_bytes={name: device.peak_memory_bytes for name, device in trace.devices.items()},
        traffic_bytes=sent,
        dilation=trace.dilation,
        overruns=sum(device.count_overruns for device in trace.devices.values()),
        max_relative_weight_difference=max_relative_weight_difference,
        failure=_words(trace.failure),
        energy=energy.mean if energy is not None else {},
    )


def _typical(times: tuple[float, ...], kept: tuple[int, ...]) -> int:
    order = sorted((step for step in kept if step < len(times)), key=lambda step: times[step])
    return order[len(order) // 2] if order else 0


def _words(failure: dict[str, object] | None) -> str:
    return "" if failure is None else ", ".join(f"{key}: {value}" for key, value in failure.items())
