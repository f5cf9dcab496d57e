"""The same pipeline by torch.distributed.pipelining's 1F1B: what the executor's raw mode is compared with."""

from __future__ import annotations

import gc
import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
COLLECT_EVERY = 50


@dataclass(frozen=True)
class Job:
    """Blocks of every stage; micro-batches and samples of each; the optimizer and its seed."""

    net: str
    stages: tuple[tuple[str, ...], ...]
    micro_batches: int
    samples: int
    optimizer: str
    seed: int

    @property
    def batch(self) -> int:
        return self.micro_batches * self.samples


class Pipelining:
    """One process per stage; trains when told to."""

    def __init__(self, job: Job) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="partage-pipelining-")
        context = multiprocessing.get_context("spawn")
        before = {key: os.environ.get(key) for key in ENVIRONMENT}
        os.environ.update(ENVIRONMENT)
        self.workers: list[tuple[Any, Connection]] = []
        for rank in range(len(job.stages)):
            ours, theirs = context.Pipe()
            store = str(Path(self.folder.name) / "store")
            process = context.Process(target=_serve, args=(job, rank, store, theirs), daemon=True)
            process.start()
            theirs.close()
            self.workers.append((process, ours))
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process, connection in self.workers:
            connection.close()
            process.join(10.0)
            process.kill()
        self.folder.cleanup()

    def train(self, steps: int) -> tuple[float, list[float]]:
        """Do some steps; return the seconds from the first start to the last end, and the losses."""
        for _, connection in self.workers:
            connection.send(steps)
        told = [connection.recv() for _, connection in self.workers]
        starts, ends, losses = zip(*told, strict=True)
        return (max(ends) - min(starts)) * 1e-9, losses[-1]


def _serve(job: Job, rank: int, store: str, connection: Connection) -> None:
    """Play one stage until the other end hangs up."""
    import torch
    import torch.distributed as dist

    from solver.execution.clock import sharpen
    from solver.execution.machine import mend_gloo_threads

    torch.set_num_threads(1)
    group = dist.FileStore(store, len(job.stages))  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=group, rank=rank, world_size=len(job.stages))
    sharpen()
    mend_gloo_threads()
    trainer = _Trainer(job, rank)
    gc.collect()
    gc.freeze()
    gc.disable()
    while (steps := _heard(connection)) is not None:
        dist.barrier()
        start = time.monotonic_ns()
        losses = [trainer.step() for _ in range(steps)]
        connection.send((start, time.monotonic_ns(), losses))


class _Trainer:
    """One stage of the baseline, and its optimizer."""

    def __init__(self, job: Job, rank: int) -> None:
        import torch
        from torch.distributed.pipelining import PipelineStage, Schedule1F1B

        from models import catalog
        from models.nets.catalog import build
        from solver.execution.passes.replica import make_optimizer
        from solver.job import Job as Training

        class Stage(torch.nn.Sequential):
            def forward(self, given: torch.Tensor) -> torch.Tensor:
                made: torch.Tensor = super().forward(given)
                return made.contiguous()  # gloo asks for it, and so does the executor

        self.job, self.rank, self.done = job, rank, 0
        name = catalog.workload(job.net).net
        assert name is not None
        net = build(name, job.seed, torch.float32, only=job.stages[rank])
        loss = net.losses[job.stages[-1][-1]]
        self.task, self.dataset = loss.task, net.dataset
        module = Stage(*net.blocks.values())
        self.schedule = Schedule1F1B(
            PipelineStage(module, rank, len(job.stages), torch.device("cpu")),
            job.micro_batches,
            loss_fn=lambda output, target: loss(output, target) / job.batch,
            scale_grads=False,
        )
        training = Training.model_validate({"batch": job.batch, "optimizer": job.optimizer})
        self.optimizer = make_optimizer(training, list(module.parameters()), None)

    def step(self) -> float:
        """Do a step; the last stage returns its loss."""
        assert self.dataset is not None
        batch = self.dataset.batch(self.done, self.job.batch, self.job.seed)
        self.optimizer.zero_grad()
        losses: list[Any] = []
        if self.rank == 0:
            self.schedule.step(next(iter(batch.inputs.values())), return_outputs=False)
        elif self.rank == len(self.job.stages) - 1:
            self.schedule.step(target=batch.targets[self.task], losses=losses, return_outputs=False)
        else:
            self.schedule.step(return_outputs=False)
        self.optimizer.step()
        self.done += 1
        if self.done % COLLECT_EVERY == 0:
            gc.collect()
        return sum(loss.item() for loss in losses)


def _heard(connection: Connection) -> int | None:
    try:
        return int(connection.recv())
    except EOFError:
        return None


def stages_of(blocks: Sequence[str], cuts: Sequence[int]) -> tuple[tuple[str, ...], ...]:
    """The blocks between the cuts."""
    ends = [0, *cuts, len(blocks)]
    return tuple(tuple(blocks[a:b]) for a, b in pairwise(ends))
