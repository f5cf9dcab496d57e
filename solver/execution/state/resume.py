"""Resume: whether a run can go on from a checkpoint; every fault is listed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from models.errors import Fault, InputError
from models.nets import catalog
from models.workload import Workload
from solver.execution.passes.replica import DTYPES
from solver.execution.passes.tuning import Tuning
from solver.execution.state.block_state import layout_of
from solver.execution.state.checkpoint import FOLDER, Checkpoint
from solver.execution.state.remains import put_together
from solver.plan import Plan

JOB_WORDS = (
    "kind",
    "batch",
    "optimizer",
    "precision",
    "tune",
    "lora_rank",
    "lora_alpha",
    "frozen",
    "trained",
)
"""What of a job decides the course of the training."""

_FORMATS = {"torch.float32": "F32", "torch.float64": "F64", "torch.bfloat16": "BF16", "torch.int64": "I64"}


def resumed(
    path: Path, plan: Plan, workload: Workload, *, steps: int, seed: int | None, learning_rate: float | None
) -> Checkpoint:
    """Return the checkpoint a run goes on from.

    Parameters
    ----------
    path
        Folder of a checkpoint, or of a run, of which the newest whole one counts.
    plan, workload
        The run; its devices may be others than those of the checkpoint.
    steps
        Training steps in all.
    seed, learning_rate
        Of the run; ``None``: those of the checkpoint.

    Raises
    ------
    InputError
        If there is none, or it does not fit, with every fault.
    """
    for folder in (path, path / FOLDER):
        try:
            put_together(folder, workload.order)
        except OSError as error:
            message = f"what workers left in {folder} cannot be put together: {error}"
            raise InputError([Fault("resume", message)], "checkpoint") from None
    found = Checkpoint.open(path)
    faults = [
        *found.faults(),
        *_word_faults(found, plan, workload, steps, seed, learning_rate),
        *_block_faults(found, plan, workload),
    ]
    if faults:
        raise InputError(faults, f"checkpoint {found.folder}")
    return found


def _word_faults(
    found: Checkpoint, plan: Plan, workload: Workload, steps: int, seed: int | None, rate: float | None
) -> Iterator[Fault]:
    about = found.manifest.about
    if about.workload_sha256 != workload.digest:
        message = f"it is of {about.workload}, the plan is for {workload.name}; their digests differ"
        yield Fault("about.workload_sha256", message)
    for word in JOB_WORDS:
        saved, wanted = getattr(about.job, word), getattr(plan.job, word)
        if saved != wanted:
            yield Fault(f"about.job.{word}", f"it was trained with {saved}, the plan says {wanted}")
    if seed is not None and seed != about.seed:
        message = (
            f"it was trained with seed {about.seed}, given is {seed}; leave the seed out to go on with it"
        )
        yield Fault("about.seed", message)
    if rate is not None and rate != about.learning_rate:
        saved = "the optimizer's default" if about.learning_rate is None else about.learning_rate
        yield Fault("about.learning_rate", f"it was trained with {saved}, given is {rate}; leave it out")
    if about.step >= steps:
        message = f"{about.step} steps are done, the run is to have {steps} in all; give more steps"
        yield Fault("about.step", message)


def _block_faults(found: Checkpoint, plan: Plan, workload: Workload) -> Iterator[Fault]:
    blocks = found.manifest.blocks
    for name in workload.order:
        if name not in blocks and name not in found.manifest.missing:
            yield Fault(f"blocks.{name}", "the checkpoint does not have this block")
    for name in blocks:
        if name not in workload.by_name:
            yield Fault(f"blocks.{name}", f"workload {workload.name} has no such block")
    if workload.net is None:
        return
    known = [name for name in blocks if name in workload.by_name]
    net = catalog.build(workload.net, 0, DTYPES[plan.job.precision], "meta", known)
    Tuning.of(plan, workload).apply(net, 0)
    for name in net.blocks:
        wanted = {
            key: (shape, _FORMATS.get(str(dtype), str(dtype)))
            for key, (shape, dtype) in layout_of(net, name).items()
        }
        try:
            saved = found.shapes(name)
        except (SafetensorError, OSError):
            continue  # its digest is wrong too, which is told
        for key in sorted({*saved, *wanted}):
            if saved.get(key) != wanted.get(key):
                message = f"it has {_words(saved.get(key))}, the net needs {_words(wanted.get(key))}"
                yield Fault(f"blocks.{name}.{key}", message)


def _words(tensor: tuple[tuple[int, ...], str] | None) -> str:
    return "no such tensor" if tensor is None else f"{tensor[1]} {list(tensor[0])}"
