"""EfficientNet-B1: the net B0, 1.1 times as deep, on larger images."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from torch import nn

from models.nets.convolution import CLASSES, ImageHead, InvertedResidual, conv_norm, image_chain
from models.nets.net import NetSpec, TensorSpec

# Of B0: expansion, kernel, stride, channels, repetitions.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
DEPTH, SIZE, FIRST, LAST = 1.1, 240, 32, 1280


def spec() -> NetSpec:
    """Return the specification: 7,794,184 weights."""
    blocks: dict[str, Callable[[], nn.Module]] = {}
    channels = FIRST
    for stage, (expand, kernel, stride, wider, count) in enumerate(STAGES, start=1):
        for i in range(math.ceil(DEPTH * count)):
            step = stride if i == 0 else 1
            make = partial(InvertedResidual, channels, wider, expand, kernel, step, nn.SiLU, excite=True)
            blocks[f"stage{stage}.{i}"] = make
            channels = wider
    last = partial(conv_norm, channels, LAST, activation=nn.SiLU)
    return NetSpec(
        name="efficientnet_b1",
        description=f"EfficientNet-B1 on images of {SIZE}x{SIZE}, {CLASSES} classes; no dropout, all "
        "layers always on.",
        source="dimensions: Tan and Le, ICML 2019, arXiv:1905.11946, table 1 and section 5.2 (depth 1.1)",
        blocks=image_chain(
            partial(conv_norm, 3, FIRST, 3, 2, activation=nn.SiLU), blocks, partial(ImageHead, last, LAST)
        ),
        inputs={"image": TensorSpec((3, SIZE, SIZE), owned_as="camera")},
        targets={"image_class": TensorSpec((), "int", CLASSES)},
    )
