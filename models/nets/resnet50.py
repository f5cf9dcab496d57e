"""ResNet-50, the stride of a bottleneck in its 3x3 convolution."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from models.nets.convolution import CLASSES, ImageHead, conv_norm, image_chain
from models.nets.net import NetSpec, TensorSpec

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
EXPANSION, SIZE = 4, 224


class Stem(nn.Module):
    """Convolution of 7x7 and pooling, each halving the image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv_norm(3, 64, 7, 2, activation=nn.ReLU)
        self.pool = nn.MaxPool2d(3, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return [samples, 64, 56, 56] of an image [samples, 3, 224, 224]."""
        pooled: Tensor = self.pool(self.conv(image))
        return pooled


class Bottleneck(nn.Module):
    """Three convolutions beside a shortcut; the activation after the sum is the next block's first step.

    So a cut sends what the published net computes before that activation, and its result is kept once.

    Parameters
    ----------
    channels, inner
        Channels of the input and between; the output has four times those between.
    stride
        2 halves the image.
    first
        Whether it follows the stem, whose output is activated already.
    """

    def __init__(self, channels: int, inner: int, stride: int, *, first: bool = False) -> None:
        super().__init__()
        wider = EXPANSION * inner
        self.activation = nn.Identity() if first else nn.ReLU()
        self.layers = nn.Sequential(
            conv_norm(channels, inner, activation=nn.ReLU),
            conv_norm(inner, inner, 3, stride, activation=nn.ReLU),
            conv_norm(inner, wider),
        )
        same = channels == wider and stride == 1
        self.shortcut = nn.Identity() if same else conv_norm(channels, wider, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return [samples, wider, height / stride, width / stride]."""
        activated = self.activation(x)
        mixed: Tensor = self.layers(activated) + self.shortcut(activated)
        return mixed


def spec() -> NetSpec:
    """Return the specification: 25,557,032 weights."""
    blocks: dict[str, Callable[[], nn.Module]] = {}
    channels = 64
    for stage, (inner, count, stride) in enumerate(STAGES, start=1):
        for i in range(count):
            step = stride if i == 0 else 1
            blocks[f"layer{stage}.{i}"] = partial(Bottleneck, channels, inner, step, first=not blocks)
            channels = EXPANSION * inner
    return NetSpec(
        name="resnet50",
        description=f"ResNet-50 on images of {SIZE}x{SIZE}, {CLASSES} classes; stride in the 3x3 "
        "convolution of a bottleneck. Blocks are cut before the activation that ends a bottleneck.",
        source="dimensions: He et al., CVPR 2016, arXiv:1512.03385, table 1",
        blocks=image_chain(Stem, blocks, partial(ImageHead, nn.ReLU, channels)),
        inputs={"image": TensorSpec((3, SIZE, SIZE), owned_as="camera")},
        targets={"image_class": TensorSpec((), "int", CLASSES)},
    )
