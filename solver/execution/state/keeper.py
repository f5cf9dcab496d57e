"""Keeper: writes checkpoints between the steps of a run, and begins a run from one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from models.workload import Workload
from solver.execution.order import Order
from solver.execution.state import adapter
from solver.execution.state.block_state import BlockState
from solver.execution.state.checkpoint import About, Checkpoint
from solver.execution.state.deployment import take_up
from solver.execution.state.gather import Gatherer
from solver.execution.state.writer import Writer, prune
from solver.execution.trace import finite
from solver.plan import Plan


class Keeper:
    """Keeps the checkpoints of one run; the first worker writes, all workers call it.

    Parameters
    ----------
    order, plan, workload
        The run.

    Notes
    -----
    A checkpoint that cannot be written, as on a full disk, is told and leaves no file; training goes on and
    the one before stays.
    """

    def __init__(self, order: Order, plan: Plan, workload: Workload) -> None:
        self.order, self.plan, self.workload = order, plan, workload

    def restore(self, gatherer: Gatherer) -> None:
        """Give all workers the state the run begins with: that of a checkpoint, or what was placed.

        Parameters
        ----------
        gatherer
            Between the workers.
        """
        if self.order.deployment is not None:
            take_up(Path(self.order.deployment), gatherer.device, gatherer.replica)
        if self.order.resume is None:
            return
        path = Path(self.order.resume)

        def load(block: str) -> BlockState:
            return Checkpoint.open(path).block(block)

        gatherer.spread(load)

    def is_due(self, step: int, num_steps: int, *, is_last: bool, stopped: bool) -> bool:
        """Return whether a checkpoint is written after some steps.

        Parameters
        ----------
        step
            Number of steps that are done.
        num_steps
            How many of them since the last time this was asked: those of a round.
        is_last
            Whether the run ends here.
        stopped
            Whether somebody ended it here.
        """
        order = self.order
        if order.checkpoint is None:
            return False
        every = order.checkpoint_every
        passed = every > 0 and step // every > (step - num_steps) // every
        return stopped or passed or (is_last and order.keep)

    def save(
        self, gatherer: Gatherer, step: int, losses: list[float], may_finish: Callable[[], None]
    ) -> dict[str, Any]:
        """Write a checkpoint; return what came of it, on the first worker.

        Parameters
        ----------
        gatherer
            Between the workers.
        step
            Number of steps that are done.
        losses
            Of those of this run.
        may_finish
            Called when all is written but the name: raises if the run has gone on without this worker.
        """
        if gatherer.device != gatherer.members[0]:
            assert not list(gatherer.collect())
            return {}
        assert self.order.checkpoint is not None
        folder, blocks = Path(self.order.checkpoint), gatherer.collect()
        writer = None
        try:
            writer = Writer(folder)
            factors: dict[str, Tensor] = {}
            for name, state in blocks:
                writer.add(name, state)
                factors |= adapter.tensors_of(name, state.weights, self.plan.job)
            if self.plan.job.tune == "lora":
                files = adapter.files_of(self.workload.net or "", factors, self.plan.job)
                writer.attach(adapter.FOLDER, files)
            may_finish()
            path = writer.finish(about(self.order, self.plan, self.workload, step, losses))
            prune(folder, self.order.keep_checkpoints, step)
            return {"checkpoint": str(path), "step": step, "error": None}
        except OSError as error:
            if writer is not None:
                writer.abandon()
            for _ in blocks:
                pass  # the others send on; what they send must be taken
            return {"checkpoint": None, "step": step, "error": f"{error.strerror or error} ({folder})"}
        except BaseException:
            if writer is not None:
                writer.abandon()
            raise


def about(order: Order, plan: Plan, workload: Workload, step: int, losses: list[float]) -> About:
    """Return what a checkpoint of a run says of itself.

    Parameters
    ----------
    order, plan, workload
        The run.
    step
        Number of steps that are done, those of earlier runs included.
    losses
        Of the steps of this run.
    """
    return About(
        step=step,
        seed=order.seed,
        samples=step * plan.job.batch,
        learning_rate=order.learning_rate,
        workload=workload.name,
        workload_sha256=workload.digest,
        job=plan.job,
        losses=(*order.earlier_losses, *finite(losses)),
    )
