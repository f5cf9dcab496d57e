"""Begin: the words of a run are checked, and where it begins is found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.errors import Fault, InputError
from models.workload import Workload
from solver.execution.state.deployment import deployed
from solver.execution.state.resume import resumed
from solver.plan import Plan


def word_faults(
    steps: int,
    mode: str,
    dilation: float | None,
    learning_rate: float | None,
    out: Path | None,
    checkpoint_every: int,
    keep_checkpoints: int,
    *,
    overwrite: bool,
) -> Iterator[Fault]:
    """Yield what is wrong with the words of a run; see :func:`solver.execution.run.run`.

    Parameters
    ----------
    steps, mode, dilation, learning_rate, out, checkpoint_every, keep_checkpoints, overwrite
        As there.
    """
    if steps < 1:
        yield Fault("steps", f"at least 1 is needed (given: {steps})")
    if mode not in ("padded", "raw"):
        yield Fault("mode", f"padded or raw is needed (given: {mode!r})")
    for word, value in (("dilation", dilation), ("learning_rate", learning_rate)):
        if value is not None and not (math.isfinite(value) and value > 0):
            yield Fault(word, f"a number above zero is needed (given: {value})")
    if dilation is not None and mode == "raw":
        yield Fault("dilation", "a raw run has none; leave it out or take mode padded")
    if out is not None and (out / "trace.json").exists() and not overwrite:
        yield Fault("out", f"{out} holds a trace; give another folder or allow overwriting")
    if checkpoint_every < 0:
        yield Fault("checkpoint_every", f"a number of steps is needed (given: {checkpoint_every})")
    if checkpoint_every and out is None:
        yield Fault("checkpoint_every", "there is no folder for checkpoints; give out")
    if keep_checkpoints < 1:
        yield Fault("keep_checkpoints", f"at least 1 is needed (given: {keep_checkpoints})")


def beginning(
    resume: Path | None,
    plan: Plan,
    workload: Workload,
    *,
    steps: int,
    seed: int | None,
    learning_rate: float | None,
    keeps: bool,
    deployment: Path | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    """Return the words of an order that say where a run begins.

    Parameters
    ----------
    resume
        Checkpoint or run to go on from; ``None``: it begins anew.
    plan, workload
        The run.
    steps, seed, learning_rate
        As in :func:`solver.execution.run.run`.
    keeps
        Whether it is to write checkpoints.
    deployment
        Weights to begin with; ``None``: they are made from the seed.
    device
        Whose weights this machine needs; ``None``: those of all.

    Raises
    ------
    InputError
        If the checkpoint or the deployment does not fit, or a round would be broken off.
    """
    begin: dict[str, Any] = {"seed": seed or 0, "learning_rate": learning_rate}
    if deployment is not None:
        if resume is not None:
            message = "a run that goes on from a checkpoint begins with its weights; give one of the two"
            raise InputError([Fault("deployment", message)], "run")
        placed = deployed(deployment, plan, workload, seed, device)
        begin |= {"seed": placed.manifest.seed, "deployment": str(placed.folder.resolve())}
    if resume is not None:
        found = resumed(resume, plan, workload, steps=steps, seed=seed, learning_rate=learning_rate)
        about = found.manifest.about
        begin = {
            "seed": about.seed,
            "learning_rate": about.learning_rate,
            "resume": str(found.folder.resolve()),
            "first_step": about.step,
            "earlier_losses": about.losses,
        }
    if (steps - begin.get("first_step", 0)) % plan.sync.every:
        message = f"rounds have {plan.sync.every} steps (sync.every): take a multiple (given: {steps})"
        raise InputError([Fault("steps", message)], "run")
    if plan.sync.every > 1 and (keeps or resume is not None):
        faults = list(_round_faults(plan))
        if faults:
            raise InputError(faults, "checkpoint of rounds")
    return begin


def _round_faults(plan: Plan) -> Iterator[Fault]:
    """A checkpoint holds one state of every block; yield what else the devices would have to keep."""
    if plan.job.optimizer != "sgd":
        message = f"in rounds every device keeps a {plan.job.optimizer} state of its own; only sgd keeps none"
        yield Fault("job.optimizer", message)
    for name, choice in plan.devices.items():
        if choice.rank not in (None, plan.job.lora_rank):
            message = f"its adapters have rank {choice.rank}, those of the checkpoint {plan.job.lora_rank}"
            yield Fault(f"devices.{name}.rank", message)
