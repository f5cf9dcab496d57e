"""Half layers of transformers, pre- or post-norm, with their residual: attention and perceptron."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.nets.traits import Traits, parameters_of

Norm = Callable[[int], nn.Module]


class Attention(nn.Module):
    """Multi-head attention with norm and residual; attends to a second input if there is one.

    Parameters
    ----------
    width
        Columns of input and output.
    heads
        Number of heads.
    norm
        Makes the norm.
    pre_norm
        Whether the norm comes before attention, or after the residual.
    causal
        Whether a token sees only itself and those before it.
    bias
        Whether query, value and output have biases.
    key_bias
        Whether the key has one; as ``bias`` if ``None``.
    rotary
        Whether positions are rotated into queries and keys.
    buckets
        Number of learned relative-position biases per head; 0 for none.

    Notes
    -----
    The product of queries and keys is written out, so its probabilities are kept for the backward pass as on
    boards without fused kernels: forward 4 T T_kv h floating-point operations, backward twice that. A
    relative bias is that of the token distance, cut off at half the number of buckets.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        norm: Norm = nn.LayerNorm,
        *,
        pre_norm: bool = True,
        causal: bool = False,
        bias: bool = True,
        key_bias: bool | None = None,
        rotary: bool = False,
        buckets: int = 0,
    ) -> None:
        super().__init__()
        self.heads, self.pre_norm, self.causal, self.rotary = heads, pre_norm, causal, rotary
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(width, width, bias=bias if key_bias is None else key_bias)
        self.value = nn.Linear(width, width, bias=bias)
        self.output = nn.Linear(width, width, bias=bias)
        self.norm = norm(width)
        self.relative = nn.Embedding(buckets, heads) if buckets else None
        inner = ("query", "key", "value")
        self.traits = Traits(
            heads=heads,
            cut=(*parameters_of(self, inner), "output.weight"),
            sequence="attention",
            key_value=("key", "value"),
            before_gather=inner,
            adapted=(*inner, "output"),
        )

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """Return the half layer's output.

        Parameters
        ----------
        x
            [samples, tokens, width].
        memory
            What keys and values are made from, [samples, memory tokens, width]; ``x`` itself if ``None``.
        """
        normed = self.norm(x) if self.pre_norm else x
        mixed = x + self._attend(normed, normed if memory is None else memory)
        return mixed if self.pre_norm else self.norm(mixed)

    def _attend(self, x: Tensor, memory: Tensor) -> Tensor:
        query, key = self._split(self.query(x)), self._split(self.key(memory))
        value = self._split(self.value(memory))
        if self.rotary:
            query, key = _rotate(query), _rotate(key)
        scores: Tensor = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
        if self.relative is not None:
            scores = scores + self._relative_bias(*scores.shape[-2:])
        if self.causal:
            scores = scores + _causal_mask(scores)
        mixed = scores.softmax(dim=-1) @ value
        projected: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return projected

    def _split(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return heads

    def _relative_bias(self, tokens: int, memory_tokens: int) -> Tensor:
        assert self.relative is not None
        half = self.relative.num_embeddings // 2
        device = self.relative.weight.device
        distance = torch.arange(memory_tokens, device=device) - torch.arange(tokens, device=device)[:, None]
        bias: Tensor = self.relative(distance.clamp(-half, half - 1) + half)
        return bias.permute(2, 0, 1)


def _causal_mask(scores: Tensor) -> Tensor:
    """Return zeros at and before the token itself, minus infinity after it; [tokens, tokens]."""
    tokens = scores.shape[-1]
    return torch.full((tokens, tokens), -math.inf, dtype=scores.dtype, device=scores.device).triu(1)


def _rotate(x: Tensor) -> Tensor:
    """Rotate pairs of columns by angles that grow with the position; [samples, heads, tokens, columns]."""
    tokens, half = x.shape[-2], x.shape[-1] // 2
    frequency = 10000.0 ** (-torch.arange(half, device=x.device) / half)
    angle = torch.arange(tokens, device=x.device)[:, None] * frequency
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class Mlp(nn.Module):
    """Two-layer perceptron per token, with norm and residual.

    Parameters
    ----------
    width
        Columns of input and output.
    inner
        Columns between the two layers.
    norm
        Makes the norm.
    activation
        Between the two layers.
    pre_norm
        Whether the norm comes first, or after the residual.
    bias
        Whether the layers have biases.
    gated
        Whether a second projection is multiplied in (as in SwiGLU).
    """

    def __init__(
        self,
        width: int,
        inner: int,
        norm: Norm = nn.LayerNorm,
        *,
        activation: Callable[[], nn.Module] = nn.GELU,
        pre_norm: bool = True,
        bias: bool = True,
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.pre_norm = pre_norm
        self.up = nn.Linear(width, inner, bias=bias)
        self.gate = nn.Linear(width, inner, bias=bias) if gated else None
        self.down = nn.Linear(inner, width, bias=bias)
        self.activation = activation()
        self.norm = norm(width)
        first = ("up", "gate") if gated else ("up",)
        self.traits = Traits(
            columns=inner,
            cut=(*parameters_of(self, first), "down.weight"),
            sequence="token",
            adapted=(*first, "down"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the half layer's output, [samples, tokens, width]."""
        normed = self.norm(x) if self.pre_norm else x
        inner = self.up(normed)
        inner = self.activation(inner) if self.gate is None else self.activation(self.gate(normed)) * inner
        mixed: Tensor = x + self.down(inner)
        return mixed if self.pre_norm else self.norm(mixed)


class QuickGELU(nn.Module):
    """The sigmoid approximation of GELU that CLIP was trained with."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x * sigmoid(1.702 x)."""
        return x * torch.sigmoid(1.702 * x)
