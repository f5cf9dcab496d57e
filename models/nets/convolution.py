"""Parts of published convolutional nets, with batch norm: for cards, not for training."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec

CLASSES = 1000
Make = Callable[[], nn.Module]


def conv_norm(
    channels: int,
    wider: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: Make | None = None,
    eps: float = 1e-5,
) -> nn.Sequential:
    """Return a convolution without bias, batch norm, and an activation if there is one.

    Parameters
    ----------
    channels, wider
        Channels of input and output.
    kernel, stride, groups
        Side of the kernel, step, groups of channels.
    activation
        Makes the activation.
    eps
        Of the batch norm.
    """
    padding = (kernel - 1) // 2
    layers: list[nn.Module] = [
        nn.Conv2d(channels, wider, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(wider, eps=eps),
    ]
    return nn.Sequential(*layers, *([activation()] if activation is not None else []))


class ImageHead(nn.Module):
    """What comes before pooling, mean over the image, linear classifier.

    Parameters
    ----------
    before
        Makes what comes before pooling.
    channels
        Channels that are pooled.
    """

    def __init__(self, before: Make, channels: int) -> None:
        super().__init__()
        self.before = before()
        self.classify = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [samples, classes] of features [samples, channels, height, width]."""
        logits: Tensor = self.classify(self.before(x).mean(dim=(2, 3)))
        return logits


def image_chain(stem: Make, blocks: dict[str, Make], head: Make) -> tuple[BlockSpec, ...]:
    """Return stem, blocks and head of a classifier of images as a chain.

    Parameters
    ----------
    stem, head
        Make the two ends.
    blocks
        What makes each block between, by name, in order.
    """
    chain = [BlockSpec("stem", stem, modality="image")]
    for name, make in blocks.items():
        chain.append(BlockSpec(name, make, (chain[-1].name,)))
    loss = cross_entropy("image_class")
    return (*chain, BlockSpec("head", head, (chain[-1].name,), loss=loss))


class InvertedResidual(nn.Module):
    """Expand, filter each channel by itself, squeeze and excite if asked for, project back.

    Parameters
    ----------
    channels, wider
        Channels of input and output.
    expand
        Channels between are this many times those of the input.
    kernel, stride
        Of the filter.
    activation
        Makes the activation.
    excite
        Whether channels are weighted by a gate of a quarter of the input's channels.
    eps
        Of the batch norms.
    """

    def __init__(
        self,
        channels: int,
        wider: int,
        expand: int,
        kernel: int,
        stride: int,
        activation: Make,
        *,
        excite: bool = False,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        inner = channels * expand
        norm = partial(conv_norm, eps=eps)
        layers: list[nn.Module] = []
        if expand > 1:
            layers.append(norm(channels, inner, activation=activation))
        layers.append(norm(inner, inner, kernel, stride, inner, activation=activation))
        if excite:
            layers.append(Excitation(inner, channels // 4, activation))
        layers.append(norm(inner, wider))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == wider

    def forward(self, x: Tensor) -> Tensor:
        """Return [samples, wider, height / stride, width / stride]."""
        mixed: Tensor = self.layers(x)
        return x + mixed if self.residual else mixed


class Excitation(nn.Module):
    """Weight channels by a gate computed from their means.

    Parameters
    ----------
    channels, squeezed
        Channels, and channels of the gate's inner layer.
    activation
        Makes the inner activation.
    """

    def __init__(self, channels: int, squeezed: int, activation: Make) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Conv2d(channels, squeezed, 1), activation(), nn.Conv2d(squeezed, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the weighted channels, same shape."""
        gate: Tensor = self.gate(x.mean(dim=(2, 3), keepdim=True))
        return gate * x
