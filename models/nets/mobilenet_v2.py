"""MobileNetV2 at width 1."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from models.nets.convolution import CLASSES, ImageHead, InvertedResidual, conv_norm, image_chain
from models.nets.net import NetSpec, TensorSpec

# Expansion, channels, repetitions, stride.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
SIZE, FIRST, LAST = 224, 32, 1280


def spec() -> NetSpec:
    """Return the specification: 3,504,872 weights."""
    activation = partial(nn.ReLU6, inplace=True)
    blocks: dict[str, Callable[[], nn.Module]] = {}
    channels = FIRST
    for stage, (expand, wider, count, stride) in enumerate(STAGES, start=1):
        for i in range(count):
            step = stride if i == 0 else 1
            make = partial(InvertedResidual, channels, wider, expand, 3, step, activation)
            blocks[f"stage{stage}.{i}"] = make
            channels = wider
    last = partial(conv_norm, channels, LAST, activation=activation)
    return NetSpec(
        name="mobilenet_v2",
        description=f"MobileNetV2 of width 1 on images of {SIZE}x{SIZE}, {CLASSES} classes; no dropout.",
        source="dimensions: Sandler et al., CVPR 2018, arXiv:1801.04381, table 2",
        blocks=image_chain(
            partial(conv_norm, 3, FIRST, 3, 2, activation=activation), blocks, partial(ImageHead, last, LAST)
        ),
        inputs={"image": TensorSpec((3, SIZE, SIZE), owned_as="camera")},
        targets={"image_class": TensorSpec((), "int", CLASSES)},
    )
