"""Exchanges: what a group does between the pieces of a pass, ready for a ring, and taken in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from solver.execution.network.ring import parts_of
from solver.execution.passes.memory import size_of
from solver.execution.passes.pieces import Graph
from solver.execution.passes.script import Exchange, crop
from solver.layout import Box


@dataclass(frozen=True)
class Work:
    """A collective inside a stage.

    Parameters
    ----------
    parts
        What each member brings, makes or gets, in ring order: runs of memory.
    scratch
        Room for a part that arrives to be added.
    num_bytes
        Memory it takes while it lasts.
    finish
        Takes the result in.
    """

    parts: list[Tensor]
    scratch: Tensor
    num_bytes: int
    finish: Callable[[], None]


def forward_work(graph: Graph, node: Exchange, ring: Sequence[str], device: str) -> Work:
    """Return the collective of an exchange in the forward pass.

    Parameters
    ----------
    graph
        Tensors of the pass.
    node
        The exchange.
    ring
        Its members in ring order.
    device
        The own one.
    """
    key, result = node.reads[0], node.writes[0]
    tensor = graph.values[key].tensor
    tensor = (tensor if node.samples is None else tensor[node.samples]).contiguous()
    if node.kind == "sum":
        wanted = graph.trains and key in graph.slots
        return _sum(tensor, ring, lambda: graph.put(result, tensor, wanted=wanted))
    wanted = graph.trains and (node.with_gradient if node.kind == "keys" else key in graph.slots)
    return _gather(node, tensor, ring, device, lambda whole: graph.put(result, whole, wanted=wanted))


def backward_work(graph: Graph, node: Exchange, ring: Sequence[str], device: str) -> Work:
    """Return the collective of an exchange in the backward pass; parameters as for :func:`forward_work`."""
    totals = [graph.slots[key].take_full() for key in node.writes]
    before = [graph.slots.get(key) for key in node.reads]
    slot = before[0]
    if node.kind == "copy":
        # Autograd may have given the same tensor to others, so the sum is made in a copy.
        flat = (
            torch.cat([total.flatten() for total in totals])
            if len(totals) > 1
            else totals[0].flatten().clone()
        )

        def finish() -> None:
            parts = flat.split([total.numel() for total in totals])
            for slot, total, part in zip(before, totals, parts, strict=True):
                if slot is not None:
                    slot.add(part.view_as(total))

        return _sum(flat, ring, finish)
    take = partial(slot.add, samples=node.samples) if slot is not None else _forget
    if node.kind == "keys":
        # Keys and values are read through views, so autograd has made this sum for nobody else.
        return _scatter(node, totals[0].contiguous(), ring, device, take)
    return _gather(node, totals[0].contiguous(), ring, device, take)


def pass_on(graph: Graph, node: Exchange, device: str) -> None:
    """Do what an exchange is in the forward pass where nothing is sent."""
    for key, result in zip(node.reads, node.writes, strict=True):
        tensor = graph.values[key].tensor
        if node.samples is not None:
            tensor = tensor[node.samples]
        if node.kind == "slice":
            assert node.span is not None
            tensor = tensor[crop(node.span, node.boxes[device])]
        graph.put(result, tensor, wanted=graph.trains and node.with_gradient)


def pass_back(graph: Graph, node: Exchange, device: str) -> None:
    """Do what an exchange is in the backward pass where nothing is sent."""
    slot, result = graph.slots.get(node.reads[0]), graph.slots.get(node.writes[0])
    total = result.take() if result is not None else None
    if slot is None or total is None:
        return
    if node.kind == "whole":
        assert node.span is not None
        total = total[crop(node.span, node.boxes[device])]
    slot.add(total, node.samples)


def _forget(total: Tensor) -> None:
    """Take nothing in: what the gradient is of needs none."""


def _sum(tensor: Tensor, ring: Sequence[str], finish: Callable[[], None]) -> Work:
    parts = parts_of(tensor.view(-1), len(ring))
    scratch = torch.empty(max(part.numel() for part in parts), dtype=tensor.dtype)
    return Work(parts, scratch, size_of(scratch), finish)


def _gather(
    node: Exchange, own: Tensor, ring: Sequence[str], device: str, take: Callable[[Tensor], None]
) -> Work:
    """Gather slices: keys and values lie token after token and arrive in place; others are put together."""
    span = node.span
    assert span is not None
    if node.kind == "keys":
        whole = own.new_empty((span.tokens[1] - span.tokens[0], *own.shape[1:]))
        parts = [_tokens(whole, span, node.boxes[name]) for name in ring]
        parts[list(ring).index(device)].copy_(own)
        return Work(parts, own.new_empty(0), size_of(whole), lambda: take(whole))
    parts = [own if name == device else own.new_empty(_shape(node.boxes[name], own)) for name in ring]
    whole = own.new_empty(_shape(span, own))

    def finish() -> None:
        for name, part in zip(ring, parts, strict=True):
            whole[crop(span, node.boxes[name])] = part
        take(whole)

    return Work(parts, own.new_empty(0), size_of(whole) + sum(map(size_of, parts)) - size_of(own), finish)


def _scatter(
    node: Exchange, whole: Tensor, ring: Sequence[str], device: str, take: Callable[[Tensor], None]
) -> Work:
    assert node.span is not None
    parts = [_tokens(whole, node.span, node.boxes[name]) for name in ring]
    scratch = whole.new_empty(max(part.numel() for part in parts))
    own = parts[list(ring).index(device)]
    return Work(parts, scratch, size_of(scratch), lambda: take(own))


def _tokens(whole: Tensor, span: Box, box: Box) -> Tensor:
    return whole[box.tokens[0] - span.tokens[0] : box.tokens[1] - span.tokens[0]]


def _shape(box: Box, like: Tensor) -> tuple[int, ...]:
    """Return the shape over a slice of what ``like`` is a slice of too."""
    samples, tokens, columns = (stop - start for start, stop in box)
    return (samples, tokens, columns) if like.dim() == 3 else (samples, *like.shape[1:])
