"""Reference: the undivided run of the same net, seed, data and optimizer in one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from models.nets.data import Batch
from models.nets.net import Net
from models.workload import Workload
from solver.execution.passes.portions import Portion, portions, task_samples
from solver.execution.passes.replica import DTYPES, build, make_optimizer
from solver.execution.passes.shapes import output_shapes
from solver.execution.passes.tuning import Tuning
from solver.plan import Plan

Weights = Mapping[str, Mapping[str, Tensor]]


def undivided(
    plan: Plan,
    workload: Workload,
    steps: int,
    seed: int,
    learning_rate: float | None,
    progress: Callable[[int], None] | None = None,
) -> tuple[list[float], Weights]:
    """Train the whole net on whole batches.

    Parameters
    ----------
    plan, workload
        What is trained, how, and on how many samples of which kinds; how it is divided does not matter.
    steps, seed, learning_rate
        As in the divided run.
    progress
        Called with the number of every step that is done.

    Returns
    -------
    losses, weights
        Loss of every step before its update; the trained weights afterwards, by block and name.
    """
    dtype = DTYPES[plan.job.precision]
    net = build(workload, dtype, seed)
    assert net.dataset is not None
    Tuning.of(plan, workload).apply(net, seed)
    trained = {
        name: {key: weight for key, weight in net.weights(name).items() if weight.requires_grad}
        for name in net.blocks
    }
    weights = [weight for block in trained.values() for weight in block.values()]
    optimizer = make_optimizer(plan.job, weights, learning_rate)
    parts, counts = portions(plan, workload), task_samples(plan, workload)
    shapes = output_shapes(workload) if len(parts) > 1 else {}
    losses = []
    for step in range(steps):
        batch = net.dataset.batch(step, plan.job.batch, seed, dtype)
        optimizer.zero_grad()
        loss = torch.stack([_loss(net, batch, part, counts, shapes) for part in parts]).sum()
        loss.backward()
        for weight in weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)  # no sample of the step leads to it
        optimizer.step()
        losses.append(loss.item())
        if progress is not None:
            progress(step)
    return losses, {name: {key: w.detach() for key, w in block.items()} for name, block in trained.items()}


def _loss(
    net: Net, batch: Batch, part: Portion, counts: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]
) -> Tensor:
    """Return what a portion of a batch adds to the loss."""
    here = slice(*part.samples)
    present = batch.inputs if part.modalities is None else part.modalities
    outputs = net.forward({name: batch.inputs[name][here] for name in present}, shapes)
    counted = {name: out for name, out in outputs.items() if part.task in (None, net.losses[name].task)}
    return net.loss_sum(counted, {task: target[here] for task, target in batch.targets.items()}, counts)


def relative_difference(found: Weights, reference: Weights) -> float:
    """Return norm(found - reference) / norm(reference) over all trained weights together.

    Parameters
    ----------
    found, reference
        Weights by block and name; ``found`` has all of the reference's.
    """
    difference = total = 0.0
    for block, weights in reference.items():
        for name, weight in weights.items():
            difference += float((found[block][name].double() - weight.double()).square().sum())
            total += float(weight.double().square().sum())
    return (difference / total) ** 0.5 if total else 0.0
