"""Losses of sinks: each returns the sum over samples of the loss per sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Loss:
    """Loss of one sink.

    Parameters
    ----------
    task
        Name of the task; its targets carry it.
    kind
        Name of the loss.
    function
        (output, target) to the sum over samples of the loss per sample, a scalar.
    weight
        Weight of the task in the objective.
    """

    task: str
    kind: str
    function: Callable[[Tensor, Tensor], Tensor]
    weight: float = 1.0

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the sum over samples, unweighted."""
        return self.function(output, target)


def _cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Classes are the last dimension; with tokens, a sample's loss is the mean over its tokens."""
    total = functional.cross_entropy(output.flatten(0, -2), target.flatten(), reduction="sum")
    return total / target[0].numel() if target.dim() > 1 else total


def _contrastive(output: Tensor, target: Tensor) -> Tensor:
    """Symmetric contrastive loss of pairs [samples, 2, columns]; both towers list the samples alike."""
    logits = output[:, 0] @ output[:, 1].T
    own = torch.arange(len(output), device=output.device)
    rows = functional.cross_entropy(logits, own, reduction="sum")
    return (rows + functional.cross_entropy(logits.T, own, reduction="sum")) / 2


def cross_entropy(task: str, weight: float = 1.0) -> Loss:
    """Return the cross-entropy of a task whose targets are class indices, one per sample or per token."""
    return Loss(task, "cross_entropy", _cross_entropy, weight)


def contrastive(task: str, weight: float = 1.0) -> Loss:
    """Return the contrastive loss between two towers over the samples of a micro-batch."""
    return Loss(task, "contrastive", _contrastive, weight)
