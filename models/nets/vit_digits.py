"""A small vision transformer on handwritten digits, trained from scratch."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from models.nets.chain import half_layers
from models.nets.data import Arrays, Dataset
from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec, NetSpec, TensorSpec
from models.nets.shard import Interval
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
        return self.at(image, tokens=(0, len(self.position)))

    def at(self, *inputs: Tensor, tokens: Interval) -> Tensor:
        """Return some of the tokens of an image; the whole image is projected."""
        chosen: Tensor = self.project(inputs[0]).flatten(2)[..., slice(*tokens)].transpose(1, 2)
        return chosen + self.position[slice(*tokens)]


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


def spec() -> NetSpec:
    """Return the specification: 14 blocks, 1.6 million weights."""
    attention, mlp = partial(Attention, WIDTH, HEADS), partial(Mlp, WIDTH, 4 * WIDTH)
    layers = half_layers("embedding", "layer", LAYERS, attention, mlp)
    head = partial(Head, 64, WIDTH, CLASSES)
    return NetSpec(
        name="vit_digits",
        description="Vision transformer on the 8x8 digits of scikit-learn: 64 overlapping patches of "
        "3x3, 6 pre-norm layers, 144 columns, 12 heads, 10 classes. Attention keeps its probabilities "
        "for the backward pass.",
        source="own dimensions",
        blocks=(
            BlockSpec("embedding", PixelEmbedding, modality="image"),
            *layers,
            BlockSpec("head", head, (layers[-1].name,), loss=cross_entropy("digit")),
        ),
        inputs={"image": TensorSpec((1, 8, 8), owned_as="camera")},
        targets={"digit": TensorSpec((), "int", CLASSES)},
        dataset=DIGITS,
    )
