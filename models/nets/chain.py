"""Chains of half layers: what encoders and decoders are made of."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from models.nets.net import BlockSpec

Make = Callable[[], nn.Module]


def half_layers(first: str, prefix: str, layers: int, attention: Make, mlp: Make) -> list[BlockSpec]:
    """Return attention and perceptron, alternating, after a block.

    Parameters
    ----------
    first
        Name of the block before the chain.
    prefix
        What the names begin with, as ``layer`` for ``layer0.attention``.
    layers
        Number of layers, two blocks each.
    attention, mlp
        Make the two halves.
    """
    blocks: list[BlockSpec] = []
    for i in range(layers):
        before = blocks[-1].name if blocks else first
        blocks.append(BlockSpec(f"{prefix}{i}.attention", attention, (before,)))
        blocks.append(BlockSpec(f"{prefix}{i}.mlp", mlp, (blocks[-1].name,)))
    return blocks


def decoder_layers(
    first: str, memory: str, prefix: str, layers: int, attention: Make, cross: Make, mlp: Make
) -> list[BlockSpec]:
    """Return attention, attention to an encoder's output, and perceptron, in turn, after a block.

    Parameters
    ----------
    first
        Name of the block before the chain.
    memory
        Name of the block whose output every layer attends to.
    prefix
        What the names begin with.
    layers
        Number of layers, three blocks each.
    attention, cross, mlp
        Make the three parts.
    """
    blocks: list[BlockSpec] = []
    for i in range(layers):
        before = blocks[-1].name if blocks else first
        blocks.append(BlockSpec(f"{prefix}{i}.attention", attention, (before,)))
        blocks.append(BlockSpec(f"{prefix}{i}.cross", cross, (blocks[-1].name, memory)))
        blocks.append(BlockSpec(f"{prefix}{i}.mlp", mlp, (blocks[-1].name,)))
    return blocks
