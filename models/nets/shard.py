"""Shards: the part of a block's weights that one device of a group holds, and layers computed in part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, runtime_checkable

from torch import Tensor, nn
from torch.nn import functional

from models.nets.lora import AdaptedLinear
from models.nets.traits import traits_of

Interval = tuple[int, int]


@dataclass(frozen=True)
class Shard:
    """Which part of a parameter a device holds.

    Parameters
    ----------
    axis
        Dimension along which it is cut.
    start, stop
        Interval of that dimension.
    size
        Length of that dimension of the whole parameter.
    """

    axis: int
    start: int
    stop: int
    size: int

    def of(self, whole: Tensor) -> Tensor:
        """Return the view of a whole tensor that this shard is."""
        return whole.narrow(self.axis, self.start, self.stop - self.start)

    @property
    def is_all(self) -> bool:
        """Whether it is the whole dimension."""
        return (self.start, self.stop) == (0, self.size)

    def within(self, other: Shard) -> Shard:
        """Return where this shard lies in another that has all of it."""
        return Shard(self.axis, self.start - other.start, self.stop - other.start, other.stop - other.start)


@runtime_checkable
class Partible(Protocol):
    """A block whose middle may be cut over heads or columns, so that what the parts add up to is summed."""

    def enter(self, x: Tensor) -> Tensor:
        """Return what the middle reads of the first input."""

    partial: Callable[..., Tensor]
    """Returns what a part of the heads or columns adds: of what was entered, and the other inputs."""

    def leave(self, x: Tensor, summed: Tensor) -> Tensor:
        """Return the output from the first input and the sum of all parts."""


@runtime_checkable
class Gathering(Protocol):
    """A block cut over tokens whose devices need keys and values of all tokens."""

    project: Callable[..., tuple[Tensor, Tensor]]
    """Returns queries, and keys and values packed [tokens, ...], of some tokens of its inputs."""

    attend: Callable[..., Tensor]
    """Returns the output of some tokens, of the first input, their queries and all keys and values."""


@runtime_checkable
class Positioned(Protocol):
    """A block that must know which tokens it computes."""

    def at(self, *inputs: Tensor, tokens: Interval) -> Tensor:
        """Return the output of some tokens."""


def exact(part: float) -> Fraction:
    """Return the fraction of a few units that a float stands for."""
    return Fraction(part).limit_denominator(10**6)


def shard_of(axis: int, size: int, interval: tuple[Fraction, Fraction]) -> Shard:
    """Return the shard that an interval, from 0 to 1, of a dimension is.

    Parameters
    ----------
    axis, size
        The dimension, and its length in the whole parameter.
    interval
        Where it begins and ends; on whole units.
    """
    start, stop = interval[0] * size, interval[1] * size
    assert start.denominator == stop.denominator == 1, f"{interval} of {size} is no whole number"
    return Shard(axis, int(start), int(stop), size)


def cut_block(module: nn.Module, interval: tuple[Fraction, Fraction]) -> dict[str, Shard]:
    """Leave a block only a part of its cut weights, with the values it has.

    Parameters
    ----------
    module
        A whole block.
    interval
        The part, from 0 to 1.

    Returns
    -------
    dict of str to Shard
        What it holds of every parameter that is not whole any longer.
    """
    shards = shards_of(module, interval)
    for name, shard in shards.items():
        layer, _, last = name.rpartition(".")
        owner = module.get_submodule(layer)
        if isinstance(owner, AdaptedLinear):
            owner.hold(traits_of(module).cut[f"{layer}.weight"], (shard.start, shard.stop))
        whole = getattr(owner, last)
        setattr(
            owner, last, nn.Parameter(shard.of(whole.detach()).clone(), requires_grad=whole.requires_grad)
        )
    return shards


def shards_of(module: nn.Module, interval: tuple[Fraction, Fraction]) -> dict[str, Shard]:
    """Return what a part of a whole block has of its cut parameters; nothing for the whole.

    Parameters
    ----------
    module
        A whole block.
    interval
        The part, from 0 to 1.
    """
    if interval[1] - interval[0] == 1:
        return {}
    weights = dict(module.named_parameters())
    cut = traits_of(module).cut
    return {name: shard_of(axis, weights[name].shape[axis], interval) for name, axis in cut.items()}


def rows_of(layer: nn.Linear, x: Tensor, part: Interval | None) -> Tensor:
    """Return some of the columns a linear layer makes.

    Parameters
    ----------
    layer, x
        The layer and its input.
    part
        Which columns of the output; all of them if ``None``.
    """
    if part is None:
        full: Tensor = layer(x)
        return full
    rows = slice(*part)
    made = functional.linear(x, layer.weight[rows], None if layer.bias is None else layer.bias[rows])
    return made + layer.adapter(x, rows=part) if isinstance(layer, AdaptedLinear) else made


def columns_of(layer: nn.Linear, x: Tensor, part: Interval | None) -> Tensor:
    """Return what some columns of the input add to a linear layer's output, without the bias.

    Parameters
    ----------
    layer, x
        The layer, and those columns of its input.
    part
        Which columns of the weight; all of them if ``None``.
    """
    made = functional.linear(x, layer.weight if part is None else layer.weight[:, slice(*part)])
    return made + layer.adapter(x, columns=part) if isinstance(layer, AdaptedLinear) else made


def with_bias(layer: nn.Linear, summed: Tensor) -> Tensor:
    """Return the output of a linear layer from the sum over all its columns."""
    return summed if layer.bias is None else summed + layer.bias
