"""Reference of rounds: the same local training done copy after copy in one process, averaged by plain torch.

It knows nothing of Programs and messages: the samples of a step are sorted by the copies they pass through;
each copy of a block has an optimizer of its own and trains on the mean over its samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.nets.lora import AdaptedLinear, adapter_seed
from models.nets.net import Net
from models.workload import Workload
from solver.execution.passes.replica import DTYPES, build, make_optimizer
from solver.execution.passes.tuning import Tuning
from solver.execution.reference import Weights
from solver.layout import holdings
from solver.plan import Plan, share_devices

Progress = Callable[[int], None]


class Way(NamedTuple):
    """Samples of a step that pass through the same copies: by block, the device."""

    start: int
    stop: int
    through: dict[str, str]


class Copy:
    """One device's copy of a block.

    Parameters
    ----------
    module
        The block.
    trained
        Its trained weights.
    optimizer
        Its own; ``None`` if nothing in it is trained.
    samples
        How many samples of a step it computes.
    """

    def __init__(
        self,
        module: nn.Module,
        trained: dict[str, nn.Parameter],
        optimizer: torch.optim.Optimizer | None,
        samples: int,
    ) -> None:
        self.module, self.trained, self.optimizer, self.samples = module, trained, optimizer, samples

    def update(self) -> None:
        """Do one step on the mean over its samples."""
        if self.optimizer is not None and self.samples:
            for weight in self.trained.values():
                if weight.grad is not None:
                    weight.grad /= self.samples
            self.optimizer.step()
            self.optimizer.zero_grad()


def local_rounds(
    plan: Plan,
    workload: Workload,
    steps: int,
    seed: int,
    learning_rate: float | None,
    progress: Progress | None = None,
) -> tuple[list[float], Weights]:
    """Train by rounds of local steps.

    Parameters
    ----------
    plan, workload
        What is trained; ``plan.sync`` says after how many steps copies are averaged, and how.
    steps, seed, learning_rate
        As in the divided run.
    progress
        Called with the number of every step that is done.

    Returns
    -------
    losses, weights
        Mean loss of every step's samples before its updates; the trained weights afterwards (under the rule
        ``stack``, which changes frozen weights, all weights), by block and name, of the first device that
        holds the block.
    """
    ways = _ways(plan, workload)
    copies = _copies(plan, workload, ways, seed, learning_rate)
    net = build(workload, DTYPES[plan.job.precision], seed)
    assert net.dataset is not None
    losses = []
    for step in range(steps):
        batch = net.dataset.batch(step, plan.job.batch, seed, DTYPES[plan.job.precision])
        total = 0.0
        for way in ways:
            chosen = slice(way.start, way.stop)
            blocks = {name: copies[name][device].module for name, device in way.through.items()}
            part: Net = replace(net, blocks={name: blocks[name] for name in net.blocks})
            inputs = {name: tensor[chosen] for name, tensor in batch.inputs.items()}
            loss = part.loss_sum(part.forward(inputs), {k: t[chosen] for k, t in batch.targets.items()})
            loss.backward()
            total += loss.item()
        for copy in (copy for own in copies.values() for copy in own.values()):
            copy.update()
        if (step + 1) % plan.sync.every == 0:
            for block, own in copies.items():
                if len(own) > 1:
                    _average(plan.sync.rule, block, list(own.values()), seed)
        losses.append(total / plan.job.batch)
        if progress is not None:
            progress(step)
    found: dict[str, dict[str, Tensor]] = {}
    for block, own in copies.items():
        first = next(iter(own.values()))
        weights = dict(first.module.named_parameters()) if plan.sync.rule == "stack" else first.trained
        found[block] = {name: weight.detach() for name, weight in weights.items()}
    return losses, found


def _ways(plan: Plan, workload: Workload) -> list[Way]:
    """Sort the samples of a step by the devices they pass through."""
    ways: list[Way] = []
    offset = 0
    for pipeline in plan.pipelines:
        for batch in pipeline.batches:
            held = [holdings(stage, batch.samples, pipeline.samples) for stage in pipeline.stages]
            ends = sorted({end for stage in held for one in stage.values() for end in one.samples})
            for start, stop in pairwise(ends):
                through: dict[str, str] = {}
                for stage, owners in zip(pipeline.stages, held, strict=True):
                    (device,) = (
                        d for d, one in owners.items() if one.samples[0] <= start and stop <= one.samples[1]
                    )
                    through |= dict.fromkeys(stage.blocks, device)
                ways.append(Way(offset + start, offset + stop, through))
            offset += batch.samples
    return ways


def _copies(
    plan: Plan, workload: Workload, ways: list[Way], seed: int, learning_rate: float | None
) -> dict[str, dict[str, Copy]]:
    """Return all copies of every block, by device in the order of the plan."""
    samples: dict[tuple[str, str], int] = {}
    for way in ways:
        for block, device in way.through.items():
            samples[block, device] = samples.get((block, device), 0) + way.stop - way.start
    copies: dict[str, dict[str, Copy]] = {name: {} for name in workload.order}
    stages = [stage for pipeline in plan.pipelines for stage in pipeline.stages]
    for device in dict.fromkeys(name for stage in stages for name in share_devices(stage.shares)):
        held = {name for stage in stages if device in share_devices(stage.shares) for name in stage.blocks}
        net = build(workload, DTYPES[plan.job.precision], seed, tuple(held))
        Tuning.of(plan, workload, device).apply(net, seed)
        for block in net.blocks:
            weights = {name: p for name, p in net.weights(block).items() if p.requires_grad}
            optimizer = make_optimizer(plan.job, [*weights.values()], learning_rate) if weights else None
            count = samples.get((block, device), 0)
            copies[block][device] = Copy(net.blocks[block], weights, optimizer, count)
    return copies


@torch.no_grad()
def _average(rule: str, block: str, copies: list[Copy], seed: int) -> None:
    """Average the copies of a block, each weighted by its samples."""
    total = sum(copy.samples for copy in copies)
    parts = [copy.samples / total for copy in copies]
    if rule == "stack":
        _merge(block, copies, parts, seed)
    for name in copies[0].trained:
        if rule == "stack" and name.endswith((".lora_a", ".lora_b")):
            continue
        weights = [copy.trained[name] for copy in copies]
        mean = torch.zeros_like(max(weights, key=torch.numel))
        for part, weight in zip(parts, weights, strict=True):
            mean[tuple(map(slice, weight.shape))] += part * weight
        for weight in weights:
            weight.copy_(mean[tuple(map(slice, weight.shape))])


def _merge(block: str, copies: list[Copy], parts: list[float], seed: int) -> None:
    """Add the weighted sum of all adapters' products to the frozen weights, and begin anew."""
    for path, _ in [*copies[0].module.named_modules()]:
        layers = [copy.module.get_submodule(path) for copy in copies]
        adapted = [layer for layer in layers if isinstance(layer, AdaptedLinear)]
        products = [
            part * layer.scale * layer.lora_b @ layer.lora_a
            for part, layer in zip(parts, adapted, strict=False)
        ]
        for copy, layer in zip(copies, adapted, strict=False):
            layer.weight += torch.stack(products).sum(0)
            layer.restart(adapter_seed(seed, block, path))
            for weight in (layer.lora_a, layer.lora_b):
                if copy.optimizer is not None:
                    copy.optimizer.state.pop(weight, None)
