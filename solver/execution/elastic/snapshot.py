"""Snapshot: weights and optimizer state of a replica before a step, so that the step can be taken back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from solver.execution.passes.replica import Replica


class Snapshot:
    """What a replica held before its latest step; one copy of all that a step changes.

    Attributes
    ----------
    version
        Steps that are in it; -1 before the first.
    """

    def __init__(self) -> None:
        self.version = -1
        self._weights: list[Tensor] = []
        self._states: list[dict[str, Any]] = []

    @property
    def num_bytes(self) -> int:
        """Its size."""
        tensors = [*self._weights, *(v for s in self._states for v in s.values() if isinstance(v, Tensor))]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def take(self, replica: Replica, version: int) -> None:
        """Copy a replica's state; the memory of the copy before is used again.

        Parameters
        ----------
        replica
            Whose.
        version
            Steps that are in it.
        """
        own = _changing(replica)
        if [t.shape for t in own] != [t.shape for t in self._weights]:
            self._weights = [torch.empty_like(tensor) for tensor in own]
        with torch.no_grad():
            for copy, tensor in zip(self._weights, own, strict=True):
                copy.copy_(tensor)
        states = [_state(replica, weight) for weight in replica.trained_weights()]
        self._states = [
            {slot: _copied(value, old.get(slot)) for slot, value in state.items()}
            for state, old in zip(states, self._states or [{}] * len(states), strict=False)
        ]
        self.version = version

    def restore(self, replica: Replica) -> None:
        """Put a replica back to what it was when :meth:`take` was called."""
        with torch.no_grad():
            for copy, tensor in zip(self._weights, _changing(replica), strict=True):
                tensor.copy_(copy)
        if replica.optimizer is None:
            return
        for weight, state in zip(replica.trained_weights(), self._states, strict=True):
            replica.optimizer.state.pop(weight, None)
            if state:
                replica.optimizer.state[weight] = {slot: _copied(v, None) for slot, v in state.items()}


def _changing(replica: Replica) -> list[Tensor]:
    buffers = [tensor for block in replica.net.blocks.values() for tensor in block.buffers()]
    return [*(weight.detach() for weight in replica.trained_weights()), *buffers]


def _state(replica: Replica, weight: Tensor) -> dict[str, Any]:
    return dict(replica.optimizer.state.get(weight, {})) if replica.optimizer is not None else {}


def _copied(value: Any, into: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    if isinstance(into, Tensor) and into.shape == value.shape:
        return into.copy_(value)
    return value.detach().clone()
