"""A small residual convolutional net on handwritten digits, trained from scratch."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec, NetSpec, TensorSpec
from models.nets.vit_digits import CLASSES, DIGITS

GROUPS = 8
WIDTHS = (64, 64, 128, 128, 128, 256, 256, 256)


class Residual(nn.Module):
    """Pre-activation residual block with group norm.

    Parameters
    ----------
    width
        Channels of the input.
    wider
        Channels of the output.
    stride
        2 halves the image.
    """

    def __init__(self, width: int, wider: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.GroupNorm(GROUPS, width), nn.ReLU(), nn.Conv2d(width, wider, 3, stride, 1, bias=False)
        )
        self.second = nn.Sequential(
            nn.GroupNorm(GROUPS, wider), nn.ReLU(), nn.Conv2d(wider, wider, 3, 1, 1, bias=False)
        )
        same = width == wider
        self.shortcut = nn.Identity() if same else nn.Conv2d(width, wider, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return [samples, wider, height / stride, width / stride]."""
        mixed: Tensor = self.shortcut(x) + self.second(self.first(x))
        return mixed


class Head(nn.Module):
    """Norm, activation, linear classifier over all features."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, WIDTHS[-1])
        self.classify = nn.Linear(WIDTHS[-1] * 16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [samples, classes] of features [samples, channels, 4, 4]."""
        logits: Tensor = self.classify(self.norm(x).relu().flatten(1) / 4)
        return logits


def spec() -> NetSpec:
    """Return the specification: 10 blocks, 4.3 million weights."""
    blocks = [BlockSpec("stem", partial(nn.Conv2d, 1, WIDTHS[0], 3, 1, 1), modality="image")]
    for i, (width, wider) in enumerate(zip((WIDTHS[0], *WIDTHS), WIDTHS, strict=False)):
        stride = 2 if (width, wider) == (128, 256) else 1
        make = partial(Residual, width, wider, stride)
        blocks.append(BlockSpec(f"residual{i}", make, (blocks[-1].name,)))
    blocks.append(BlockSpec("head", Head, (blocks[-1].name,), loss=cross_entropy("digit")))
    return NetSpec(
        name="cnn_digits",
        description="Pre-activation residual net with group norm on the 8x8 digits of scikit-learn: "
        "eight residual blocks, of 64 and 128 channels at 8x8 and of 256 channels at 4x4.",
        source="own dimensions",
        blocks=tuple(blocks),
        inputs={"image": TensorSpec((1, 8, 8), owned_as="camera")},
        targets={"digit": TensorSpec((), "int", CLASSES)},
        dataset=DIGITS,
    )
