"""Recomputation: what a block keeps for its backward pass is dropped, and made again when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from solver.execution.passes.memory import Meter, size_of, storage_of

Compute = Callable[[list[Tensor]], tuple[Tensor, ...]]


class _Again(torch.autograd.Function):
    """Computation that keeps its inputs only."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, how: Recomputation, *reads: Tensor) -> tuple[Tensor, ...]:
        ctx.how = how
        ctx.save_for_backward(*reads)
        return how.compute(list(reads))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        wanted = ctx.needs_input_grad[2:]
        reads = [read.detach().requires_grad_(w) for read, w in zip(ctx.saved_tensors, wanted, strict=True)]
        ctx.how.backward(reads, gradients)
        return None, None, *(read.grad for read in reads)


@dataclass(frozen=True)
class Recomputation:
    """How something is computed a second time.

    Parameters
    ----------
    compute
        Results of some tensors; must not depend on anything that changes before the backward pass.
    weights
        Those whose gradients are wanted; ``None``: all.
    meter
        Counts what the second computation keeps while it lasts.
    held
        Storages of the weights, which are not counted.
    """

    compute: Compute
    weights: list[Tensor] | None
    meter: Meter
    held: set[int]

    def run(self, anchor: Tensor, reads: list[Tensor]) -> tuple[Tensor, ...]:
        """Return the results.

        Parameters
        ----------
        anchor
            A tensor that requires a gradient, so that the results do.
        reads
            What is computed with.
        """
        results: tuple[Tensor, ...] = _Again.apply(anchor, self, *reads)  # type: ignore[no-untyped-call]
        return results

    def backward(self, reads: list[Tensor], gradients: tuple[Tensor, ...]) -> None:
        """Compute again, and run the backward pass of that at once."""
        storages: dict[int, int] = {}
        counted = self.held | {storage_of(read) for read in reads}

        def note(tensor: Tensor) -> Tensor:
            if storage_of(tensor) not in counted:
                storages[storage_of(tensor)] = size_of(tensor)
            return tensor

        hooks = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
        with torch.enable_grad(), hooks:
            results = self.compute(reads)
        for storage, size in storages.items():
            self.meter.hold(storage, size)
        pairs = [(r, g) for r, g in zip(results, gradients, strict=True) if r.requires_grad]
        wanted = self.weights
        inputs = None if wanted is None else [*(read for read in reads if read.requires_grad), *wanted]
        if inputs is None or inputs:
            torch.autograd.backward([r for r, _ in pairs], [g for _, g in pairs], inputs=inputs)
        self.meter.release_all(storages)
