"""What a block's module says about itself: how it may be cut and adapted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import nn


@dataclass(frozen=True)
class Traits:
    """How a block may be cut inside a group of devices.

    Parameters
    ----------
    heads
        Attention heads that may be shared out; ``None`` if it is not cut by heads.
    columns
        Inner columns that may be shared out; ``None`` if it is not cut by columns.
    cut
        Parameters of which every device of a group holds its part only, as ``query.weight``, and the
        dimension along which they are cut.
    sequence
        ``token``: every token by itself; ``attention``: keys and values are gathered; ``None``: not cut.
    key_value
        Names of the linear layers whose outputs are gathered.
    before_gather
        Names of the linear layers computed before the gathering.
    adapted
        Names of the linear layers that may carry low-rank adapters.
    """

    heads: int | None = None
    columns: int | None = None
    cut: Mapping[str, int] = field(default_factory=dict)
    sequence: Literal["token", "attention"] | None = None
    key_value: tuple[str, ...] = ()
    before_gather: tuple[str, ...] = ()
    adapted: tuple[str, ...] = ()


def traits_of(module: nn.Module) -> Traits:
    """Return a module's traits; a module that says nothing is indivisible."""
    found = getattr(module, "traits", None)
    return found if isinstance(found, Traits) else Traits()


def parameters_of(module: nn.Module, layers: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of all parameters of the named layers of a module."""
    return tuple(
        f"{layer}.{name}" for layer in layers for name, _ in module.get_submodule(layer).named_parameters()
    )
