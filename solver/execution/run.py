"""Run: train by a plan with real processes, and lay what was measured beside what was predicted."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median, pstdev
from typing import Any

from models.cluster import Cluster
from models.errors import InputError
from models.workload import Workload
from solver.errors import RunError, WorkerError
from solver.evaluate import evaluate
from solver.execution.begin import beginning, word_faults
from solver.execution.energy import TraceEnergy, intervals, trace_energy
from solver.execution.interpreter import words
from solver.execution.interrupt import asked_to_stop
from solver.execution.machine import about
from solver.execution.order import Order, RunMode
from solver.execution.passes.worklist import members
from solver.execution.state.checkpoint import FOLDER
from solver.execution.state.remains import put_together
from solver.execution.support import check_executable, check_room
from solver.execution.trace import DeviceTrace, Trace, finite
from solver.execution.workers.pool import Failure, LocalPool, Outcome
from solver.plan import Plan
from solver.program import Program
from solver.report import Report

Progress = Callable[[int, float], None]
Notice = Callable[[str], None]

LIMIT_S = 60.0


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Parameters
    ----------
    report
        What was predicted.
    trace
        What was measured.
    max_relative_weight_difference
        Norm of the difference to the undivided run's trained weights over their norm; ``None`` without it.
    energy
        What it cost by its measured intervals; ``None`` where nobody added it up.
    """

    report: Report
    trace: Trace
    max_relative_weight_difference: float | None
    energy: TraceEnergy | None = None

    @property
    def max_relative_loss_difference(self) -> float | None:
        """Largest relative difference of a step's loss to the undivided run's; ``None`` without it."""
        losses = [*self.trace.earlier_losses, *self.trace.losses]
        pairs = zip(losses, self.trace.reference_losses, strict=False)
        differences = [math.nan if a is None else abs(a - b) / max(abs(b), 1e-300) for a, b in pairs]
        # max() would pass over a NaN that does not come first.
        return math.nan if any(map(math.isnan, differences)) else max(differences, default=None)

    @property
    def num_overruns(self) -> int:
        """Operations and messages that took longer than the plan says."""
        return sum(device.count_overruns for device in self.trace.devices.values())

    def traffic(self) -> dict[tuple[str, str], float]:
        """Return the payload bytes of one step, or of one round, by (source, target)."""
        steps = max(1, len(self.trace.step_times_s))
        found = {}
        for name, device in self.trace.devices.items():
            for target, size in device.sent_bytes.items():
                found[name, target] = size // steps if size % steps == 0 else size / steps
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain data; what is no finite number becomes null."""
        plain: dict[str, Any] = finite(self._figures())
        return plain

    def _figures(self) -> dict[str, Any]:
        trace, report, traffic = self.trace, self.report, self.traffic()
        times = trace.step_times_s
        mean = sum(times) / len(times)
        devices = trace.devices
        return {
            "mode": trace.mode,
            "dilation": trace.dilation,
            "seed": trace.seed,
            "first_step": len(trace.earlier_losses),
            "steps": len(trace.losses),
            "losses": [*trace.earlier_losses, *trace.losses],
            "reference_losses": list(trace.reference_losses),
            "max_relative_loss_difference": self.max_relative_loss_difference,
            "max_relative_weight_difference": self.max_relative_weight_difference,
            "step_time_s": {
                "predicted": report.step_time_s,
                "measured_median": median(times),
                "measured_cv": pstdev(times) / mean,
            },
            "step_times_s": list(times),
            "traffic_bytes": {"predicted": report.traffic_bytes, "measured": sum(traffic.values())},
            "traffic_by_link_bytes": {
                f"{a}->{b}": {"predicted": report.traffic.get((a, b), 0), "measured": traffic.get((a, b), 0)}
                for a, b in sorted({*report.traffic, *traffic})
            },
            "peak_memory_bytes": {
                name: {"predicted": report.memory[name].peak_bytes, "measured": device.peak_memory_bytes}
                for name, device in devices.items()
            },
            "busy_s": {
                name: {"predicted": report.busy_s[name], "measured": median(device.busy_s)}
                for name, device in devices.items()
            },
            "energy_j": {"predicted": report.energy_j, **self._energy_figures()},
            "checkpoints": list(trace.checkpoints),
            "overruns": self.num_overruns,
            "timing_holds": trace.mode == "padded" and self.num_overruns == 0,
            "versions": trace.versions,
            "machine": trace.machine,
        }

    def _energy_figures(self) -> dict[str, Any]:
        if self.energy is None:
            return {}
        power = self.report.energy_is
        return {**self.energy.to_json(), "power_is": power, "emulated": self.trace.mode == "padded"}


def run(
    plan: Plan,
    workload: Workload,
    cluster: Cluster,
    *,
    steps: int = 20,
    mode: RunMode = "padded",
    dilation: float | None = None,
    seed: int | None = None,
    learning_rate: float | None = None,
    out: Path | None = None,
    reference: bool = True,
    pool: LocalPool | None = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
    limit_s: float = LIMIT_S,
    keep_checkpoint: bool = False,
    checkpoint_every: int = 0,
    keep_checkpoints: int = 3,
    resume: Path | None = None,
    deployment: Path | None = None,
    overwrite: bool = False,
) -> RunResult:
    """Train by a plan with one process per device on this machine.

    Parameters
    ----------
    plan, workload, cluster
        The plan, and what it names.
    steps
        Training steps in all; a run that goes on from a checkpoint does those that are left. Where copies are
        averaged every so many steps, whole rounds.
    mode
        ``padded``: every operation is done for real and then waited out until the emulated device would be
        done, and links are shaped; ``raw``: as fast as this machine goes.
    dilation
        Padded: real seconds per emulated second; ``None``: found by a short rehearsal.
    seed
        Of weights and data; ``None``: that of the checkpoint, or 0.
    learning_rate
        Step size; ``None``: that of the checkpoint, or the optimizer's default.
    out
        Folder for ``trace.json`` and ``checkpoints/``; after a failure what is left of the state is there.
    reference
        Whether to do the undivided run too and compare.
    pool
        Processes to use; ``None``: some are started and ended again.
    progress
        Called with every step and its loss.
    notice
        Called with what a person should know at once: checkpoints that were written or could not be.
    limit_s
        Longest wait for a message beyond what the plan takes.
    keep_checkpoint
        Whether a checkpoint is written after the last step.
    checkpoint_every
        Steps between two checkpoints; 0: none on the way.
    keep_checkpoints
        How many of them stay.
    resume
        Folder of the checkpoint to go on from, or of a run, of which the newest counts; ``None``: begin anew.
    deployment
        Weights to begin with, as ``partage deploy`` writes them; ``None``: they are made from the seed.
    overwrite
        Whether files in ``out`` may be replaced.

    Raises
    ------
    InputError
        If the plan is not sound or not executable yet, the checkpoint does not fit, or ``out`` holds a trace.
    RunError
        If the last checkpoint could not be written; the trace is there.
    KeyboardInterrupt
        If the run was interrupted; ``out`` then holds a checkpoint of the steps that are done, and the trace.
    WorkerError
        If a worker died, hung or raised; ``out`` then holds the trace so far and the survivors' state.
    """
    report = evaluate(plan, workload, cluster)
    check_executable(plan, workload, cluster)
    check_room(report)
    overwrite = overwrite or (resume is not None and resume == out)
    every, keep = checkpoint_every, keep_checkpoints
    faults = list(word_faults(steps, mode, dilation, learning_rate, out, every, keep, overwrite=overwrite))
    if faults:
        raise InputError(faults, "run")
    start: dict[str, Any] = {"steps": steps, "seed": seed, "learning_rate": learning_rate}
    begin = beginning(
        resume, plan, workload, keeps=keep_checkpoint or every > 0, deployment=deployment, **start
    )
    order = Order.of(
        plan,
        workload,
        cluster,
        steps=steps,
        mode=mode,
        dilation=dilation,
        reference=reference,
        limit_s=limit_s,
        checkpoint=str((out / FOLDER).resolve()) if out is not None else None,
        keep=keep_checkpoint,
        checkpoint_every=checkpoint_every,
        keep_checkpoints=keep_checkpoints,
        **begin,
    )

    told = notice or _nothing
    outcome, stop = _carry_out(order, report.program, pool, progress, told)
    trace = trace_of(order, report.program, outcome)
    if out is not None:
        trace.write(out / "trace.json", overwrite=overwrite)
    if outcome.failure is not None:
        if order.checkpoint is not None:
            # What cannot be put together now, as on a full disk, can be when the run is resumed.
            with suppress(OSError):
                put_together(Path(order.checkpoint), workload.order)
        raise _error(outcome.failure, report.program)
    if stop.is_set():
        raise KeyboardInterrupt
    failed = [one for one in trace.checkpoints[-1:] if one["error"] is not None]
    if failed:
        raise RunError(f"the last checkpoint could not be written: {failed[0]['error']}")
    first = outcome.reports[members(report.program)[0]]
    energy = trace_energy(trace, plan, cluster, report.program)
    return RunResult(report, trace, first.get("max_relative_weight_difference"), energy)


def _carry_out(
    order: Order, program: Program, pool: LocalPool | None, progress: Progress | None, notice: Notice
) -> tuple[Outcome, threading.Event]:
    """Let the workers do it, and pass on what they tell on the way; return too whether a person ended it."""

    def hear(event: dict[str, Any]) -> None:
        if progress is not None and "loss" in event:
            progress(event["step"], event["loss"])
        if "checkpoint" in event:
            notice(checkpoint_words(event))

    def tell() -> None:
        notice("ending after this step, with a checkpoint; interrupt once more to end at once")

    keeps = order.checkpoint is not None
    hearing = asked_to_stop(tell) if keeps else nullcontext(threading.Event())
    with LocalPool() if pool is None else nullcontext(pool) as workers, hearing as stop:
        return workers.run(order, members(program), hear, stop), stop


def checkpoint_words(event: dict[str, Any]) -> str:
    """Return for people what came of a checkpoint.

    Parameters
    ----------
    event
        What :meth:`solver.execution.state.keeper.Keeper.save` returned.
    """
    if event["error"] is None:
        return f"checkpoint of {event['step']} steps written to {event['checkpoint']}"
    return f"checkpoint of {event['step']} steps could not be written, training goes on: {event['error']}"


def _nothing(text: str) -> None:
    """Say nothing."""


def _error(failure: Failure, program: Program) -> WorkerError:
    if failure.index >= 0:
        last = f"{words(program.instruction(failure.index))} of step {failure.step}"
    else:
        last = "none yet" if failure.step < 0 else f"step {failure.step} of the undivided run"
    return WorkerError(failure.device, last, failure.reason)


def trace_of(order: Order, program: Program, outcome: Outcome) -> Trace:
    """Put the workers' reports together.

    Parameters
    ----------
    order, program
        What was run.
    outcome
        What came of it, whole or not.
    """
    reports = outcome.reports
    longest = max(reports.values(), key=lambda one: len(one["losses"]), default=None)
    kept: dict[int, list[Any]] = {}
    for one in reports.values():
        for step in one["kept_steps"]:
            kept.setdefault(step["step"], []).extend(step["spans"])
    spans = [_spans(program, kept[step]) for step in sorted(kept)]
    found = about()
    failure = None
    if outcome.failure is not None:
        error = _error(outcome.failure, program)
        failure = {"device": error.device, "instruction": error.instruction, "reason": error.reason}
    return Trace(
        plan=order.plan,
        mode=order.mode,
        dilation=(longest["dilation"] if longest is not None else order.dilation) or 1.0,
        seed=order.seed,
        learning_rate=order.learning_rate,
        earlier_losses=order.earlier_losses,
        losses=tuple(longest["losses"]) if longest is not None else (),
        reference_losses=next(
            (tuple(r["reference_losses"]) for r in reports.values() if "reference_losses" in r), ()
        ),
        step_times_s=tuple(longest["step_times_s"]) if longest is not None else (),
        began_s=tuple(longest["began_s"]) if longest is not None else (),
        start_s=tuple(start for start, _ in spans),
        end_s=tuple(end for _, end in spans),
        devices={name: _device_trace(one) for name, one in reports.items()},
        versions=found["versions"],
        machine=found["machine"],
        checkpoints=tuple(one for report in reports.values() for one in report["checkpoints"]),
        failure=failure,
        kept_steps=tuple(sorted(kept)),
    )


Column = tuple[float | None, ...]


def _spans(program: Program, spans: list[Any]) -> tuple[Column, Column]:
    """Return start and end of every instruction in one step; ``None`` where nothing was measured."""
    start, end = (
        tuple(None if math.isnan(moment) else moment for moment in column.tolist())
        for column in intervals(program, spans)
    )
    return start, end


def _device_trace(report: dict[str, Any]) -> DeviceTrace:
    return DeviceTrace(
        peak_memory_bytes=report["static_bytes"] + report["peak_bytes"],
        static_bytes=report["static_bytes"],
        busy_s=tuple(report["busy_s"]),
        sent_bytes=report["sent_bytes"],
        overruns=tuple((label, step, late) for label, step, late in report["overruns"]),
        num_overruns=report["num_overruns"],
    )
