"""Pieces: a pass as several autograd graphs, with gradients handed from one to the next by hand.

A piece is computation without an exchange between: it reads tensors through *gates*, at which autograd ends,
and the gradients that arrive at a gate wait in its slot until the piece that made the tensor runs its
backward pass. So no communication happens inside autograd, and graphs keep no tensor that they do not need.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge

from solver.execution.passes.script import Key


class Slot:
    """Sum of the gradients of one tensor.

    Parameters
    ----------
    like
        The tensor.
    """

    def __init__(self, like: Tensor) -> None:
        self.shape, self.dtype = like.shape, like.dtype
        self.total: Tensor | None = None
        self._own = False

    def add(self, gradient: Tensor | None, samples: slice | None = None) -> None:
        """Add a gradient, of some of the samples only if so said; the first one is never written to."""
        if gradient is None:
            return
        if samples is not None:
            part = gradient
            gradient = part.new_zeros(self.shape)
            gradient[samples] = part
        if self.total is None:
            self.total = gradient
        elif self._own:
            self.total += gradient
        else:
            self.total, self._own = self.total + gradient, True

    def take(self) -> Tensor | None:
        """Return the sum and forget it; ``None`` if no gradient has come."""
        total, self.total, self._own = self.total, None, False
        return total

    def take_full(self) -> Tensor:
        """Return the sum and forget it; zeros if no gradient has come."""
        total = self.take()
        return torch.zeros(self.shape, dtype=self.dtype) if total is None else total


class _Gate(torch.autograd.Function):
    """A tensor enters a graph; its gradient leaves the graph into a slot."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, tensor: Tensor, slot: Slot) -> Tensor:
        ctx.slot = slot
        return tensor.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        ctx.slot.add(gradients[0])
        return None, None, None


@dataclass
class Value:
    """A tensor that goes from one piece to another, to an exchange or to another stage.

    Parameters
    ----------
    tensor
        The tensor, outside every graph.
    slot
        Its gradient; ``None`` if none is wanted.
    """

    tensor: Tensor
    slot: Slot | None = None


@dataclass
class Graph:
    """The graphs of one pass of a stage.

    Parameters
    ----------
    anchor
        An empty tensor that requires a gradient, so that what passes a gate does.
    trains
        Whether a backward pass follows.
    values
        Tensors by name, until the forward pass is over.
    ends
        By piece, the tensors it made for others, and their edges.
    losses
        By piece, the edges of its losses with the loss's gradient.
    storages
        Sizes of the storages that autograd keeps.
    slots
        Gradients by name.
    """

    anchor: Tensor
    trains: bool
    values: dict[Key, Value] = field(default_factory=dict)
    ends: dict[int, list[tuple[Key, GradientEdge, Slot]]] = field(default_factory=dict)
    losses: dict[int, list[tuple[GradientEdge, Tensor]]] = field(default_factory=dict)
    storages: dict[int, int] = field(default_factory=dict)
    slots: dict[Key, Slot] = field(default_factory=dict)
    _piece: int = -1
    _here: dict[Key, Tensor] = field(default_factory=dict)

    def enter(self, piece: int) -> None:
        """Begin a piece, or go on with it."""
        if piece != self._piece:
            self._here.clear()
            self._piece = piece

    def read(self, key: Key) -> Tensor:
        """Return a tensor: as this piece made it, or through a gate."""
        if key not in self._here:
            value = self.values[key]
            tensor = value.tensor
            if value.slot is not None and torch.is_grad_enabled():
                tensor = _Gate.apply(self.anchor, tensor, value.slot)  # type: ignore[no-untyped-call]
            self._here[key] = tensor
        return self._here[key]

    def write(self, key: Key, tensor: Tensor, *, crosses: bool) -> None:
        """Keep a tensor that this piece made.

        Parameters
        ----------
        key, tensor
            The tensor.
        crosses
            Whether anything but this piece needs it.
        """
        self._here[key] = tensor
        if not crosses:
            return
        edge = get_gradient_edge(tensor) if tensor.requires_grad else None
        self.put(key, tensor.detach(), wanted=edge is not None)
        if edge is not None:
            self.ends.setdefault(self._piece, []).append((key, edge, self.slots[key]))

    def put(self, key: Key, tensor: Tensor, *, wanted: bool) -> None:
        """Keep a tensor that no piece made, or that leaves the piece that made it.

        Parameters
        ----------
        key, tensor
            The tensor.
        wanted
            Whether its gradient is.
        """
        slot = Slot(tensor) if wanted else None
        self.values[key] = Value(tensor, slot)
        if slot is not None:
            self.slots[key] = slot

    def add_loss(self, loss: Tensor) -> None:
        """Keep a loss of this piece."""
        if loss.requires_grad:
            self.losses.setdefault(self._piece, []).append((get_gradient_edge(loss), torch.ones_like(loss)))

    def close(self) -> None:
        """Drop what only the forward pass needed."""
        self._here.clear()
        self.values.clear()

    def backward(self, piece: int, inputs: list[Tensor] | None) -> None:
        """Run the backward pass of a piece with the gradients that wait in its slots.

        Parameters
        ----------
        piece
            Which.
        inputs
            Weights whose gradients are wanted; all if ``None``.
        """
        edges, gradients = [], []
        for edge, gradient in self.losses.pop(piece, ()):
            edges.append(edge)
            gradients.append(gradient)
        for _, edge, slot in self.ends.pop(piece, ()):
            total = slot.take()
            if total is not None:
                edges.append(edge)
                gradients.append(total)
        if edges:
            chosen = None if inputs is None else [self.anchor, *inputs]
            torch.autograd.backward(edges, gradients, inputs=chosen)
