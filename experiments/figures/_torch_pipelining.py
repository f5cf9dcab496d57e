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
    import torch
    import torch.distributed as dist
    from torch.distributed.pipelining import PipelineStage, Schedule1F1B

    from models import catalog
    from models.nets.catalog import build
    from solver.execution.clock import sharpen
    from solver.execution.machine import mend_gloo_threads
    from solver.execution.replica import make_optimizer
    from solver.job import Job as Training

    torch.set_num_threads(1)
    num_stages = len(job.stages)
    dist.init_process_group(
        "gloo",
        store=dist.FileStore(store, num_stages),  # type: ignore[attr-defined]
        rank=rank,
        world_size=num_stages,
    )
    sharpen()
    mend_gloo_threads()
    net_name = catalog.workload(job.net).net
    assert net_name is not None
    net = build(net_name, job.seed, torch.float32, only=job.stages[rank])
    assert net.dataset is not None
    loss = net.losses.get(job.stages[-1][-1])
    assert loss is not None

    class Stage(torch.nn.Sequential):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = super().forward(given)
            return made.contiguous()  # gloo asks for it, and so does the executor

    module = Stage(*net.blocks.values())
    stage = PipelineStage(module, rank, num_stages, torch.device("cpu"))
    schedule = Schedule1F1B(
        stage,
        job.micro_batches,
        loss_fn=lambda output, target: loss(output, target) / job.batch,
        scale_grads=False,
    )
    training = Training(batch=job.batch, optimizer=job.optimizer, precision="fp32")  # type: ignore[arg-type]
    optimizer = make_optimizer(training, list(module.parameters()), None)
    step = 0
    gc.collect()
    gc.freeze()
    gc.disable()
    while (steps := _heard(connection)) is not None:
        losses: list[float] = []
        dist.barrier()
        start = time.monotonic_ns()
        for _ in range(steps):
            batch = net.dataset.batch(step, job.batch, job.seed)
            optimizer.zero_grad()
            parts: list[torch.Tensor] = []
            if rank == 0:
                schedule.step(next(iter(batch.inputs.values())), return_outputs=False)
            elif rank == num_stages - 1:
                schedule.step(target=batch.targets[loss.task], losses=parts, return_outputs=False)
                losses.append(sum(part.item() for part in parts))
            else:
                schedule.step(return_outputs=False)
            optimizer.step()
            step += 1
            if step % COLLECT_EVERY == 0:
                gc.collect()
        connection.send((start, time.monotonic_ns(), losses))


def _heard(connection: Connection) -> int | None:
    try:
        return int(connection.recv())
    except EOFError:
        return None


def stages_of(blocks: Sequence[str], cuts: Sequence[int]) -> tuple[tuple[str, ...], ...]:
    """The blocks between the cuts."""
    ends = [0, *cuts, len(blocks)]
    return tuple(tuple(blocks[a:b]) for a, b in pairwise(ends))
