"""Costs of single layers, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.catalog import workload
from models.nets import catalog
from models.nets.measure import kept_bytes, kept_whole_bytes, measure
from models.nets.transformer import Mlp


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_linear(device: str) -> None:
    cost = measure(nn.Linear(3, 5, device=device), [torch.empty(2, 3, device=device)], is_source=False)
    assert (cost.forward_flop, cost.backward_input_flop, cost.backward_weight_flop) == (60, 60, 60)
    # The gradient of the weights needs the input; that of the input needs the weights alone.
    assert (cost.kept_bytes, cost.kept_frozen_bytes, cost.output_bytes) == (24, 0, 40)


def test_source_needs_no_gradient_of_its_input() -> None:
    cost = measure(nn.Linear(3, 5), [torch.empty(2, 3)], is_source=True)
    assert (cost.backward_input_flop, cost.backward_weight_flop) == (0, 60)


def test_grouped_convolution() -> None:
    """4 channels each by itself: 2 x 9 multiply-adds an output, the same for each gradient."""
    layer = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
    cost = measure(layer, [torch.empty(2, 4, 5, 5)], is_source=False)
    flop = 2 * 2 * 4 * 25 * 9
    assert (cost.forward_flop, cost.backward_input_flop, cost.backward_weight_flop) == (flop, flop, flop)


def test_a_storage_counts_once_and_weights_do_not() -> None:
    layer = nn.Linear(4, 4, bias=False)
    x = torch.empty(2, 4, requires_grad=True)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = layer, nn.Linear(4, 4, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.one(x) + self.two(x.view(2, 4))

    assert kept_bytes(Twice(), [x]) == 32


def test_what_the_loss_keeps_belongs_to_the_sink() -> None:
    x = torch.empty(2, 3, requires_grad=True)
    layer = nn.Linear(3, 5)
    assert kept_bytes(layer, [x], lambda output: output.softmax(1).sum()) == 24 + 40


@pytest.mark.parametrize("name", ["vit_digits", "cnn_digits", "imu_motions"])
def test_kept_bytes_of_the_card_are_those_of_the_running_net(name: str) -> None:
    net, card = catalog.build(name), workload(name).by_name
    assert net.dataset is not None
    batch = net.dataset.batch(0, 3)
    outputs: dict[str, torch.Tensor] = {}
    for block, module in net.blocks.items():
        raw = [batch.inputs[net.sources[block]]] if block in net.sources else []
        inputs = raw or [outputs[source].detach().requires_grad_() for source in net.inputs[block]]
        outputs[block] = module(*inputs)
        if block not in net.losses:
            assert kept_bytes(module, inputs) == pytest.approx(3 * card[block].kept_bytes, abs=64)


def test_a_cut_leaves_the_input_and_what_the_norm_keeps_whole() -> None:
    """Pre-norm, 4 columns, 2 samples of 3 tokens: input 96 B, norm output 96 B, two statistics of 24 B."""
    module = Mlp(4, 8)
    inputs = [torch.randn(2, 3, 4, requires_grad=True)]
    assert kept_whole_bytes(module, inputs) == 96 + 96 + 24 + 24
