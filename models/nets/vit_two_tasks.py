"""A small vision transformer with one trunk and two heads: which digit, and whether it is even or odd."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from models.nets.chain import half_layers
from models.nets.data import Arrays, Dataset
from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec, NetSpec, TensorSpec
from models.nets.shard import Interval
from models.nets.traits import Traits
from models.nets.transformer import Attention, Mlp
from models.nets.vit_digits import CLASSES, Head, digits

WIDTH, HEADS, LAYERS, TOKENS = 64, 4, 2, 16


def two_tasks() -> Arrays:
    """Return scikit-learn's digits: image (num_samples, 1, 8, 8), digit and parity (num_samples,)."""
    images, targets = digits()
    return images, {**targets, "parity": targets["digit"] % 2}


class PatchEmbedding(nn.Module):
    """One token for every 2x2 pixels, projected, plus learned positions."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Conv2d(1, WIDTH, 2, 2)
        self.position = nn.Parameter(0.02 * torch.randn(TOKENS, WIDTH))
        self.traits = Traits(sequence="token")

    def forward(self, image: Tensor) -> Tensor:
        """Return tokens [samples, 16, width] of an image [samples, 1, 8, 8]."""
        return self.at(image, tokens=(0, TOKENS))

    def at(self, *inputs: Tensor, tokens: Interval) -> Tensor:
        """Return some of the tokens of an image; the whole image is projected."""
        chosen: Tensor = self.project(inputs[0]).flatten(2)[..., slice(*tokens)].transpose(1, 2)
        return chosen + self.position[slice(*tokens)]


def spec() -> NetSpec:
    """Return the specification: 8 blocks, 147,084 weights."""
    attention, mlp = partial(Attention, WIDTH, HEADS), partial(Mlp, WIDTH, 4 * WIDTH)
    trunk = half_layers("embedding", "layer", LAYERS, attention, mlp)
    blocks = [BlockSpec("embedding", PatchEmbedding, modality="image"), *trunk]
    head = partial(Head, TOKENS, WIDTH)
    blocks.append(BlockSpec("digit.mlp", mlp, (trunk[-1].name,)))
    blocks.append(
        BlockSpec("digit.head", partial(head, CLASSES), ("digit.mlp",), loss=cross_entropy("digit"))
    )
    blocks.append(
        BlockSpec("parity.head", partial(head, 2), (trunk[-1].name,), loss=cross_entropy("parity", 0.5))
    )
    return NetSpec(
        name="vit_two_tasks",
        description="Vision transformer on the 8x8 digits of scikit-learn with two tasks, the digit and "
        f"its parity at half the weight: 16 patches of 2x2, a trunk of {LAYERS} pre-norm layers, {WIDTH} "
        f"columns, {HEADS} heads, then a perceptron and a classifier for the digit and a classifier for "
        "the parity. Attention keeps its probabilities for the backward pass.",
        source="own dimensions",
        blocks=tuple(blocks),
        inputs={"image": TensorSpec((1, 8, 8), owned_as="camera")},
        targets={"digit": TensorSpec((), "int", CLASSES), "parity": TensorSpec((), "int", 2)},
        dataset=Dataset("digits_and_parities", two_tasks),
    )
