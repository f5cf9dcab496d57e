"""Reference: the undivided run of the same net, seed, data and optimizer in one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from solver.execution.replica import DTYPES, build, make_optimizer
from solver.execution.tuning import Tuning

Weights = Mapping[str, Mapping[str, Tensor]]


def undivided(
    tuning: Tuning,
    num_samples: int,
    steps: int,
    seed: int,
    learning_rate: float | None,
    progress: Callable[[int], None] | None = None,
) -> tuple[list[float], Weights]:
    """Train the whole net on whole batches.

    Parameters
    ----------
    tuning
        What is trained.
    num_samples
        Samples of a mini-batch.
    steps, seed, learning_rate
        As in the divided run.
    progress
        Called with the number of every step that is done.

    Returns
    -------
    losses, weights
        Loss of every step before its update; the trained weights afterwards, by block and name.
    """
    dtype = DTYPES[tuning.job.precision]
    net = build(tuning.workload, dtype, seed)
    assert net.dataset is not None
    tuning.apply(net, seed)
    trained = {
        name: {key: weight for key, weight in net.weights(name).items() if weight.requires_grad}
        for name in net.blocks
    }
    optimizer = make_optimizer(
        tuning.job, [p for block in trained.values() for p in block.values()], learning_rate
    )
    losses = []
    for step in range(steps):
        batch = net.dataset.batch(step, num_samples, seed, dtype)
        optimizer.zero_grad()
        loss = net.loss_sum(net.forward(batch.inputs), batch.targets) / num_samples
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if progress is not None:
            progress(step)
    return losses, {name: {key: w.detach() for key, w in block.items()} for name, block in trained.items()}


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
