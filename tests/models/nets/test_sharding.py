"""How blocks may be cut, on a layer small enough to count."""

from __future__ import annotations

import torch
from torch import nn

from models.nets.sharding import adapters, linears_of, sequence_sharding, tensor_sharding
from models.nets.traits import parameters_of, traits_of
from models.nets.transformer import Attention, Mlp


def test_a_block_that_says_nothing_is_indivisible() -> None:
    layer = nn.Linear(3, 3)
    assert tensor_sharding(layer, 12, 12, 0) is None
    assert sequence_sharding(layer, (), 18, 4) is None
    assert adapters(layer, linears_of(layer, [torch.empty(1, 3)])) == ()


def test_biases_of_what_is_summed_are_not_cut() -> None:
    layer = Attention(4, 2)
    found = tensor_sharding(layer, 80, 80, 0)
    assert found is not None
    assert found.weight_bytes == 4 * (4 * 16 + 3 * 4)
    assert [(c.phase, c.bytes_per_sample) for c in found.collectives] == [("forward", 80), ("backward", 80)]


def test_keys_and_values_are_gathered_after_the_projections() -> None:
    layer, x = Attention(4, 2), torch.empty(1, 5, 4)
    flop = 4 * 2 * 5 * 16 + 4 * 5 * 5 * 4
    found = sequence_sharding(layer, linears_of(layer, [x]), flop, 4)
    assert found is not None
    gather, scatter = found.collectives
    assert (gather.bytes_per_sample, gather.at) == (2 * 5 * 4 * 4, round(480 / 1040, 6))
    assert (scatter.phase, scatter.at) == ("backward", round(560 / 1040, 6))


def test_readers_of_one_tensor_share_its_name() -> None:
    layer = Mlp(4, 6, gated=True)
    found = adapters(layer, linears_of(layer, [torch.empty(2, 5, 4)]))
    assert [(a.name, a.in_features, a.out_features, a.tokens, a.input) for a in found] == [
        ("up", 4, 6, 5, "up_input"),
        ("gate", 4, 6, 5, "up_input"),
        ("down", 6, 4, 5, "down_input"),
    ]


def test_parameters_of_layers() -> None:
    layer = Attention(4, 2, key_bias=False)
    assert parameters_of(layer, ("query", "key")) == ("query.weight", "query.bias", "key.weight")
    assert traits_of(layer).heads == 2
