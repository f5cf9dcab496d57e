"""A small vision transformer on handwritten digits, trained from scratch."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from models.nets.data import Arrays, Dataset
from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec, NetSpec, TensorSpec
from models.nets.traits import Traits
from models.nets.transformer import Attention, Mlp

WIDTH, HEADS, LAYERS, CLASSES = 144, 12, 6, 10


def digits() -> Arrays:
    """Return scikit-learn's 1,797 digits: standardised image (num_samples, 1, 8, 8), digit (num_samples,)."""
    found = load_digits()
    image = found.images[:, None].astype(np.float64)
    return {"image": (image - image.mean()) / image.std()}, {"digit": found.target}


DIGITS = Dataset("digits", digits)


class PixelEmbedding(nn.Module):
    """One token a pixel, projected with its neighbours, plus learned positions."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Conv2d(1, WIDTH, 3, 1, 1)
        self.position = nn.Parameter(0.02 * torch.randn(64, WIDTH))
        self.traits = Traits(sequence="token")

    def forward(self, image: Tensor) -> Tensor:
        """Return tokens [samples, 64, width] of an image [samples, 1, 8, 8]."""
        tokens: Tensor = self.project(image).flatten(2).transpose(1, 2)
        return tokens + self.position


class Head(nn.Module):
    """Norm, linear classifier over all tokens, scaled so that its gradient does not grow with their number.

    Parameters
    ----------
    tokens, width
        Shape of a sample.
    classes
        Number of classes.
    """

    def __init__(self, tokens: int, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(tokens * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [samples, classes] of tokens [samples, tokens, width]."""
        logits: Tensor = self.classify(self.norm(x).flatten(1) * x.shape[1] ** -0.5)
        return logits


def transformer_layers(
    first: str, prefix: str, layers: int, width: int, heads: int, inner: int
) -> list[BlockSpec]:
    """Return a chain of pre-norm half layers that follows a block.

    Parameters
    ----------
    first
        Name of the block before the chain.
    prefix
        What the names begin with, as ``layer`` for ``layer0.attention``.
    layers
        Number of layers, two blocks each.
    width, heads, inner
        Columns of the tokens, heads of attention, columns inside the perceptron.
    """
    blocks: list[BlockSpec] = []
    for i in range(layers):
        before = blocks[-1].name if blocks else first
        attention = BlockSpec(f"{prefix}{i}.attention", partial(Attention, width, heads), (before,))
        blocks += [attention, BlockSpec(f"{prefix}{i}.mlp", partial(Mlp, width, inner), (attention.name,))]
    return blocks


def spec() -> NetSpec:
    """Return the specification: 14 blocks, 1.6 million weights."""
    layers = transformer_layers("embedding", "layer", LAYERS, WIDTH, HEADS, 4 * WIDTH)
    head = partial(Head, 64, WIDTH, CLASSES)
    return NetSpec(
        name="vit_digits",
        description="Vision transformer on the 8x8 digits of scikit-learn: 64 overlapping patches of 3x3, "
        "6 pre-norm layers, 144 columns, 12 heads, 10 classes. Attention keeps its probabilities for the "
        "backward pass.",
        source="own dimensions",
        blocks=(
            BlockSpec("embedding", PixelEmbedding, modality="image"),
            *layers,
            BlockSpec("head", head, (layers[-1].name,), loss=cross_entropy("digit")),
        ),
        inputs={"image": TensorSpec((1, 8, 8))},
        targets={"digit": TensorSpec((), "int", CLASSES)},
        dataset=DIGITS,
    )
