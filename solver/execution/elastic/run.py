"""Run: training that goes on when devices leave and come back, with one process for each on this machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.cluster import Cluster
from models.document import dump_json, write_text
from models.errors import Fault, InputError
from models.workload import Workload
from solver.evaluate import evaluate
from solver.execution.elastic.coordinator import Coordinator
from solver.execution.elastic.hands import PoolHands
from solver.execution.elastic.story import Story
from solver.execution.elastic.strikes import Strike
from solver.execution.order import Order, RunMode
from solver.execution.passes.worklist import members
from solver.execution.run import LIMIT_S
from solver.execution.support import check_executable, check_room
from solver.execution.trace import finite
from solver.execution.workers.pool import LocalPool
from solver.lowering import lower
from solver.plan import Plan
from solver.repair.backups import protected
from solver.repair.policy import Planner, Repair
from solver.repair.stock import Stock, context_of


@dataclass(frozen=True)
class ElasticResult:
    """A finished elastic run.

    Parameters
    ----------
    plan
        That of all devices, with the backups it was run with.
    story
        What happened.
    reference_losses
        Of the undivided run without faults; empty without it.
    max_relative_weight_difference
        Norm of the difference to the undivided run's trained weights over their norm; ``None`` without it.
    snapshot_bytes
        Device to the memory, at the end, that keeps the step in flight undoable: a copy of weights and
        optimizer state, beside what the evaluator predicts, and one more version of each backup.
    """

    plan: Plan
    story: Story
    reference_losses: tuple[float, ...]
    max_relative_weight_difference: float | None
    snapshot_bytes: dict[str, int]

    @property
    def max_relative_loss_difference(self) -> float | None:
        """Largest relative difference of a step's loss to the undivided run's; ``None`` without it."""
        pairs = zip(self.story.losses, self.reference_losses, strict=False)
        differences = [abs(a - b) / max(abs(b), 1e-300) for a, b in pairs]
        return math.nan if any(map(math.isnan, differences)) else max(differences, default=None)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; what is no finite number becomes null."""
        plain: dict[str, Any] = finite(
            {
                **self.story.to_json(),
                "plan": self.plan.model_dump(mode="json", exclude_defaults=True),
                "reference_losses": list(self.reference_losses),
                "max_relative_loss_difference": self.max_relative_loss_difference,
                "max_relative_weight_difference": self.max_relative_weight_difference,
                "snapshot_bytes": self.snapshot_bytes,
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
    seed: int = 0,
    learning_rate: float | None = None,
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
    steps, mode, dilation, seed, learning_rate, reference, limit_s
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
        Folder for ``elastic.json``, and for what is saved if the run has to end.
    overwrite
        Whether a file there may be replaced.
    pool
        Processes to use; ``None``: some are started and ended again.
    on_event
        Called with every step, and with what happens to devices.

    Raises
    ------
    InputError
        If the plan is not sound or not executable.
    RunError
        If the run cannot go on.
    """
    repair = repair or Repair(seed=seed)
    _check_words(steps, mode, dilation, plan, out, overwrite)
    check_room(evaluate(plan, workload, cluster))
    check_executable(plan, workload, cluster)

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
        seed=seed,
        learning_rate=learning_rate,
        reference=reference,
        limit_s=limit_s,
        checkpoint=str((out / "checkpoints").resolve()) if out is not None else None,
    )
    planner = Planner(plan, workload, cluster, repair, accept)
    devices = members(lower(plan, workload, cluster))
    _rehearse(planner, devices, steps)
    with LocalPool() if pool is None else nullcontext(pool) as workers:
        hands = PoolHands(workers, devices, order)
        listener = on_event or _ignore
        coordinator = Coordinator(order, workload, cluster, planner, hands, strikes, listener, respawn_s)
        story = coordinator.run()
    result = _result(plan, story, coordinator)
    if out is not None:
        write_text(out / "elastic.json", dump_json(result.to_json()), overwrite=overwrite)
    return result


def _rehearse(planner: Planner, devices: Sequence[str], steps: int) -> None:
    """Find the plans for the loss of any one device beforehand: when it happens there is no time to lose."""
    if len(devices) > 1:
        for name in devices:
            context = context_of(planner.base, planner.workload, planner.cluster)
            planner.candidates({name}, Stock.of(context, ()), steps)


def _result(plan: Plan, story: Story, coordinator: Coordinator) -> ElasticResult:
    reports = coordinator.reports
    first = reports[coordinator.now.devices[0]]
    return ElasticResult(
        plan,
        story,
        tuple(first.get("reference_losses", ())),
        first.get("max_relative_weight_difference"),
        {name: report["snapshot_bytes"] for name, report in reports.items()},
    )


def _check_words(
    steps: int, mode: str, dilation: float | None, plan: Plan, out: Path | None, overwrite: bool
) -> None:
    faults = []
    if steps < 1:
        faults.append(Fault("steps", f"at least 1 is needed (given: {steps})"))
    if mode not in ("padded", "raw"):
        faults.append(Fault("mode", f"padded or raw is needed (given: {mode!r})"))
    if dilation is not None and not (math.isfinite(dilation) and dilation > 0):
        faults.append(Fault("dilation", f"a number above zero is needed (given: {dilation})"))
    if plan.sync.every > 1:
        faults.append(Fault("plan.sync.every", "an elastic run synchronises in every step; make it 1"))
    if out is not None and (out / "elastic.json").exists() and not overwrite:
        faults.append(Fault("out", f"{out} holds a run; give another folder or allow overwriting"))
    if faults:
        raise InputError(faults, "run")


def _ignore(event: dict[str, Any]) -> None:
    """Do nothing."""
