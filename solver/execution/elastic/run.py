"""Run: training that goes on when devices leave and come back, with one process for each on this machine."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.cluster import Cluster
from models.document import dump_json, write_text
from models.errors import Fault, InputError
from models.workload import Workload
from solver.errors import RunError
from solver.evaluate import evaluate
from solver.execution.begin import beginning, word_faults
from solver.execution.elastic.account import Chapter
from solver.execution.elastic.coordinator import Coordinator
from solver.execution.elastic.energy import ElasticEnergy, elastic_energy
from solver.execution.elastic.hands import PoolHands
from solver.execution.elastic.story import Story
from solver.execution.elastic.strikes import Strike
from solver.execution.energy import TraceEnergy, trace_energy
from solver.execution.interrupt import asked_to_stop
from solver.execution.order import Order, RunMode
from solver.execution.passes.worklist import members
from solver.execution.run import LIMIT_S, trace_of
from solver.execution.state.checkpoint import FOLDER
from solver.execution.support import check_executable, check_room
from solver.execution.trace import Trace, finite
from solver.execution.workers.pool import LocalPool, Outcome
from solver.lowering import lower
from solver.plan import Plan
from solver.repair.backups import protected
from solver.repair.policy import Planner, Repair
from solver.repair.stock import Stock, context_of

LAST_TRACE, GENERATIONS = "last_generation.json", "generations.json"
"""The trace of the last generation, and what all of them did, in the folder of a run."""


@dataclass(frozen=True)
class ElasticResult:
    """A finished elastic run.

    Parameters
    ----------
    plan
        That of all devices, with the backups it was run with.
    story
        What happened.
    first_step
        Number of its first step: those in the checkpoint that it went on from.
    reference_losses
        Of the same steps of the undivided run without faults; empty without it.
    max_relative_weight_difference
        Norm of the difference to the undivided run's trained weights over their norm; ``None`` without it.
    snapshot_bytes
        Device to the memory, at the end, that keeps the step in flight undoable: a copy of weights and
        optimizer state, beside what the evaluator predicts, and one more version of each backup.
    trace, energy
        Of the last generation: what its workers measured, and what its steps cost by that.
    chapters, total
        What was done in all generations, and what the whole run cost by that.
    """

    plan: Plan
    story: Story
    first_step: int
    reference_losses: tuple[float, ...]
    max_relative_weight_difference: float | None
    snapshot_bytes: dict[str, int]
    trace: Trace
    energy: TraceEnergy
    chapters: tuple[Chapter, ...]
    total: ElasticEnergy

    @property
    def max_relative_loss_difference(self) -> float | None:
        """Largest relative difference of a step's loss to the undivided run's; ``None`` without it."""
        if not self.reference_losses:
            return None
        pairs = zip(self.story.losses, self.reference_losses, strict=True)
        differences = [abs(a - b) / max(abs(b), 1e-300) for a, b in pairs]
        return math.nan if any(map(math.isnan, differences)) else max(differences, default=None)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; what is no finite number becomes null."""
        plain: dict[str, Any] = finite(
            {
                **self.story.to_json(),
                "plan": self.plan.model_dump(mode="json", exclude_defaults=True),
                "first_step": self.first_step,
                "reference_losses": list(self.reference_losses),
                "max_relative_loss_difference": self.max_relative_loss_difference,
                "max_relative_weight_difference": self.max_relative_weight_difference,
                "snapshot_bytes": self.snapshot_bytes,
                "energy_j": {
                    **self.total.to_json(len(self.story.losses)),
                    "last_generation": {
                        "first_step": len(self.trace.earlier_losses),
                        **self.energy.to_json(),
                    },
                },
            }
        )
        return plain


def run_elastic(
    plan: Plan,
    workload: Workload,
    cluster: Cluster,
    *,
    steps: int = 20,
    mode: RunMode = "padded",
    dilation: float | None = None,
    seed: int | None = None,
    learning_rate: float | None = None,
    checkpoint_every: int = 0,
    keep_checkpoint: bool = False,
    keep_checkpoints: int = 3,
    resume: Path | None = None,
    deployment: Path | None = None,
    repair: Repair | None = None,
    protect: bool = True,
    strikes: Sequence[Strike] = (),
    respawn_s: float | None = None,
    reference: bool = True,
    out: Path | None = None,
    overwrite: bool = False,
    pool: LocalPool | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    limit_s: float = LIMIT_S,
) -> ElasticResult:
    """Train by a plan, and by others when devices leave and return.

    Parameters
    ----------
    plan, workload, cluster
        The plan of all devices, and what it names.
    steps, mode, dilation, seed, learning_rate, reference, limit_s, checkpoint_every, keep_checkpoint,
    keep_checkpoints, resume, deployment
        As for :func:`solver.execution.run.run`.
    repair
        How plans are repaired.
    protect
        Whether backups are added to the plan where it keeps weights in one place only. Without them the loss
        of such a place ends the run; what the others hold is saved.
    strikes
        Faults to do on purpose.
    respawn_s
        Seconds after which a process that died is started again; ``None``: never.
    out
        Folder for ``elastic.json``, ``generations.json`` and ``checkpoints/``, where what is left is saved if
        the run has to end.
    overwrite
        Whether a file there may be replaced.
    pool
        Processes to use; ``None``: some are started and ended again.
    on_event
        Called with every step, and with what happens to devices.

    Raises
    ------
    InputError
        If the plan is not sound or not executable, or a checkpoint does not fit.
    RunError
        If the run cannot go on, or the last checkpoint could not be written; the story is there.
    KeyboardInterrupt
        If it was interrupted; ``out`` then holds a checkpoint of the steps that are done.
    """
    overwrite = overwrite or (resume is not None and resume == out)
    every, keep = checkpoint_every, keep_checkpoints
    faults = list(word_faults(steps, mode, dilation, learning_rate, out, every, keep, overwrite=True))
    faults += _own_faults(plan, out, overwrite=overwrite)
    if faults:
        raise InputError(faults, "run")
    check_room(evaluate(plan, workload, cluster))
    check_executable(plan, workload, cluster)
    start: dict[str, Any] = {"steps": steps, "seed": seed, "learning_rate": learning_rate}
    begin = beginning(
        resume, plan, workload, keeps=keep_checkpoint or every > 0, deployment=deployment, **start
    )
    repair = repair or Repair(seed=begin["seed"])

    def accept(candidate: Plan) -> bool:
        try:
            check_executable(candidate, workload, cluster)
        except InputError:
            return False
        return True

    if protect:
        safe = protected(plan, workload, cluster, repair.every)
        plan = safe if accept(safe) else plan
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
    planner = Planner(plan, workload, cluster, repair, accept)
    devices = members(lower(plan, workload, cluster))
    _rehearse(planner, devices, steps)
    listener = on_event or _ignore
    with LocalPool() if pool is None else nullcontext(pool) as workers, _stopping(order, listener) as stop:
        hands = PoolHands(workers, devices, order)
        given = order, workload, cluster, planner, hands, strikes, listener, respawn_s, stop
        coordinator = Coordinator(*given)
        story = coordinator.run()
    result = _result(plan, story, coordinator)
    if out is not None:
        write_text(out / "elastic.json", dump_json(result.to_json()), overwrite=overwrite)
        result.trace.write(out / LAST_TRACE, overwrite=overwrite)
        told = dump_json([chapter.to_json() for chapter in result.chapters])
        write_text(out / GENERATIONS, told, overwrite=overwrite)
    if story.checkpoints and story.checkpoints[-1]["error"] is not None:
        raise RunError(f"the last checkpoint could not be written: {story.checkpoints[-1]['error']}")
    return result


def _stopping(
    order: Order, listener: Callable[[dict[str, Any]], None]
) -> AbstractContextManager[threading.Event]:
    """Return what the first Ctrl-C sets, if there is a folder for the checkpoint it asks for."""

    def tell() -> None:
        listener({"ending": "after this step, with a checkpoint; interrupt once more to end at once"})

    return nullcontext(threading.Event()) if order.checkpoint is None else asked_to_stop(tell)


def _rehearse(planner: Planner, devices: Sequence[str], steps: int) -> None:
    """Find the plans for the loss of any one device beforehand: when it happens there is no time to lose."""
    if len(devices) > 1:
        for name in devices:
            context = context_of(planner.base, planner.workload, planner.cluster)
            planner.candidates({name}, Stock.of(context, ()), steps)


def _result(plan: Plan, story: Story, coordinator: Coordinator) -> ElasticResult:
    reports, now = coordinator.reports, coordinator.now
    first = reports[now.devices[0]]
    program = lower(now.plan, coordinator.workload, coordinator.cluster)
    begun = coordinator.order
    order = replace(
        begun,
        plan=now.plan.model_dump(mode="json", by_alias=True),
        earlier_losses=(*begun.earlier_losses, *story.losses[: now.first_step - begun.first_step]),
    )
    trace = trace_of(order, program, Outcome(reports))
    chapters = coordinator.account.close(coordinator.last_step_s, story.dilation)
    return ElasticResult(
        plan,
        story,
        coordinator.order.first_step,
        tuple(first.get("reference_losses", ()))[coordinator.order.first_step :],
        first.get("max_relative_weight_difference"),
        {name: report["snapshot_bytes"] for name, report in reports.items()},
        trace,
        trace_energy(trace, now.plan, coordinator.cluster, program),
        chapters,
        elastic_energy(chapters, coordinator.workload, coordinator.cluster),
    )


def _own_faults(plan: Plan, out: Path | None, *, overwrite: bool) -> Iterator[Fault]:
    """Yield what is wrong with the words of an elastic run, beside those of all runs."""
    if plan.sync.every > 1:
        yield Fault("plan.sync.every", "an elastic run synchronises in every step; make it 1")
    if out is not None and (out / "elastic.json").exists() and not overwrite:
        yield Fault("out", f"{out} holds a run; give another folder or allow overwriting")


def _ignore(event: dict[str, Any]) -> None:
    """Do nothing."""
