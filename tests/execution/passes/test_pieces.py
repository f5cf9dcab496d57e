"""Graphs of several pieces give the gradients of one."""

from __future__ import annotations

import torch
from torch import nn

from solver.execution.passes.pieces import Graph, Slot


def test_gradients_go_from_piece_to_piece_by_hand() -> None:
    torch.manual_seed(0)
    first, second, x = nn.Linear(3, 3), nn.Linear(3, 3), torch.randn(2, 3)
    # y is read by the second piece twice: by the layer and by the residual.
    y = first(x)
    (y + second(y)).square().sum().backward()
    wanted = [weight.grad for layer in (first, second) for weight in layer.parameters()]
    for layer in (first, second):
        layer.zero_grad()
    graph = Graph(torch.empty(0, requires_grad=True), True)
    graph.put(("in", "output"), x, wanted=True)
    graph.enter(0)
    graph.write(("y", "output"), first(graph.read(("in", "output"))), crosses=True)
    graph.enter(1)
    read = graph.read(("y", "output"))
    graph.add_loss((read + second(read)).square().sum())
    graph.close()
    assert not graph.values
    graph.backward(1, None)
    graph.backward(0, None)
    found = [weight.grad for layer in (first, second) for weight in layer.parameters()]
    for one, other in zip(found, wanted, strict=True):
        assert one is not None and other is not None and torch.allclose(one, other, atol=1e-6)
    assert graph.slots["in", "output"].total is not None


def test_weights_that_do_not_count_get_no_gradient() -> None:
    layer, x = nn.Linear(3, 3), torch.randn(2, 3)
    graph = Graph(torch.empty(0, requires_grad=True), True)
    graph.put(("in", "output"), x, wanted=True)
    graph.enter(0)
    graph.add_loss(layer(graph.read(("in", "output"))).sum())
    graph.backward(0, [layer.bias])
    assert layer.weight.grad is None and layer.bias.grad is not None
    assert graph.slots["in", "output"].total is not None


def test_a_slot_never_writes_to_a_gradient_it_was_given() -> None:
    slot, given = Slot(torch.zeros(2)), torch.ones(2)
    assert torch.equal(slot.take_full(), torch.zeros(2))
    for _ in range(3):
        slot.add(given)
    assert torch.equal(given, torch.ones(2))
    assert torch.equal(slot.take_full(), torch.full((2,), 3.0))
    assert slot.take() is None
