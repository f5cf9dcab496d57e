"""Low-rank adapters (LoRA): linear layers whose frozen weights get a trained product of two thin factors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.nets.net import seed_of
from models.nets.traits import traits_of

Interval = tuple[int, int]


@dataclass(frozen=True)
class LowRank:
    """How the layers of a net are adapted.

    Parameters
    ----------
    rank
        Columns of the factors.
    scale
        What their product is multiplied by: alpha / rank in PEFT's words.
    trains_a
        Whether A is trained beside B.
    """

    rank: int
    scale: float = 1.0
    trains_a: bool = True


class AdaptedLinear(nn.Linear):
    """A linear layer W x + b with an adapter: W x + b + scale B (A x).

    Parameters
    ----------
    layer
        The layer, whose weights it takes over and freezes.
    how
        Rank and scale.
    seed
        Of A, which starts uniform in +-1 / sqrt(in_features) as in PEFT; B starts at zero.

    Notes
    -----
    A of a smaller rank is the first rows of A of a larger one, so devices of unequal ranks start alike.

    References
    ----------
    Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021, arXiv:2106.09685.
    """

    def __init__(self, layer: nn.Linear, how: LowRank, seed: int) -> None:
        weight = layer.weight
        super().__init__(layer.in_features, layer.out_features, bias=False, device="meta")
        self.weight = nn.Parameter(weight.detach(), requires_grad=False)
        if layer.bias is not None:
            self.bias = nn.Parameter(layer.bias.detach(), requires_grad=False)
        self.scale = how.scale
        self._rows: Interval | None = None
        self._columns: Interval | None = None
        self.lora_a = nn.Parameter(weight.new_empty(how.rank, layer.in_features), requires_grad=how.trains_a)
        self.lora_b = nn.Parameter(weight.new_zeros(layer.out_features, how.rank))
        self.restart(seed)

    def restart(self, seed: int) -> None:
        """Set the factors to what they begin with; ``seed`` is A's."""
        drawn = torch.empty(self.lora_a.shape)
        drawn.uniform_(-1.0, 1.0, generator=torch.Generator().manual_seed(seed))
        drawn *= self.in_features**-0.5
        self.lora_a.detach().copy_(drawn)
        self.lora_b.detach().zero_()

    def merge(self, a: Tensor, b: Tensor) -> None:
        """Add an adapter to the frozen weights.

        Parameters
        ----------
        a, b
            [rank, in_features] and [out_features, rank].
        """
        self.weight.detach().addmm_(b, a, alpha=self.scale)

    def hold(self, axis: int, part: Interval) -> None:
        """Note that only some rows (axis 0) or columns (1) of the weight are here; the factors are whole."""
        if axis == 0:
            self._rows = part
        else:
            self._columns = part

    def forward(self, x: Tensor) -> Tensor:
        """Return [..., out_features] of [..., in_features]."""
        return functional.linear(x, self.weight, self.bias) + self.adapter(x)

    def adapter(self, x: Tensor, rows: Interval | None = None, columns: Interval | None = None) -> Tensor:
        """Return what the adapter adds.

        Parameters
        ----------
        x
            [..., columns].
        rows, columns
            Those of the weight that take part, out of those that are here; all of them if ``None``.

        Notes
        -----
        Parts of a layer cut along its columns add up: B (A x) is linear in the columns of A.
        """
        a, b = self.lora_a[:, _within(self._columns, columns)], self.lora_b[_within(self._rows, rows)]
        return functional.linear(functional.linear(x, a) * self.scale, b)


def _within(held: Interval | None, part: Interval | None) -> slice:
    """Return where a part of what is held lies in the whole."""
    start, stop = held or (0, None)
    return slice(start, stop) if part is None else slice(start + part[0], start + part[1])


def adapt(block: nn.Module, name: str, how: LowRank, seed: int) -> None:
    """Freeze a block and give the layers that its traits name their adapters.

    Parameters
    ----------
    block, name
        The block, and its name in the net.
    how
        Rank and scale.
    seed
        Of the whole net; a factor depends on it and on the names of block and layer alone.
    """
    block.requires_grad_(False)
    for path in traits_of(block).adapted:
        layer = block.get_submodule(path)
        assert isinstance(layer, nn.Linear), f"{name}: {path} is no linear layer"
        block.set_submodule(path, AdaptedLinear(layer, how, adapter_seed(seed, name, path)))


def adapter_seed(seed: int, block: str, path: str) -> int:
    """Return the seed of the A factor of one layer.

    Parameters
    ----------
    seed
        Of the whole net.
    block, path
        The block, and the layer's name in it.
    """
    return seed_of(seed, f"{block}/{path}/lora")
