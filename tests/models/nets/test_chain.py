"""Chains of half layers: names and what they read."""

from __future__ import annotations

from torch import nn

from models.nets.chain import decoder_layers, half_layers


def test_half_layers_alternate() -> None:
    blocks = half_layers("in", "layer", 2, nn.Identity, nn.Identity)
    assert [(block.name, block.inputs) for block in blocks] == [
        ("layer0.attention", ("in",)),
        ("layer0.mlp", ("layer0.attention",)),
        ("layer1.attention", ("layer0.mlp",)),
        ("layer1.mlp", ("layer1.attention",)),
    ]


def test_every_decoder_layer_reads_the_encoder() -> None:
    blocks = decoder_layers("in", "encoder", "layer", 2, nn.Identity, nn.Identity, nn.Identity)
    assert [(block.name, block.inputs) for block in blocks] == [
        ("layer0.attention", ("in",)),
        ("layer0.cross", ("layer0.attention", "encoder")),
        ("layer0.mlp", ("layer0.cross",)),
        ("layer1.attention", ("layer0.mlp",)),
        ("layer1.cross", ("layer1.attention", "encoder")),
        ("layer1.mlp", ("layer1.cross",)),
    ]
