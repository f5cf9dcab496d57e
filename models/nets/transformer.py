"""Half layers of transformers, pre- or post-norm, with their residual: attention and perceptron."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.nets.shard import Interval, columns_of, rows_of, with_bias
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
        self.head_columns = width // heads
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(width, width, bias=bias if key_bias is None else key_bias)
        self.value = nn.Linear(width, width, bias=bias)
        self.output = nn.Linear(width, width, bias=bias)
        self.norm = norm(width)
        self.relative = nn.Embedding(buckets, heads) if buckets else None
        inner = ("query", "key", "value")
        cut = dict.fromkeys(parameters_of(self, inner), 0) | {"output.weight": 1}
        if self.relative is not None:
            cut["relative.weight"] = 1
        self.traits = Traits(
            heads=heads,
            cut=cut,
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
        normed = self.enter(x)
        source = normed if memory is None else memory
        query, key = self._turned(self.query(normed), 0), self._turned(self.key(source), 0)
        mixed = self._mix(query, key, self._split(self.value(source)))
        return self._end(x + self.output(mixed))

    def enter(self, x: Tensor) -> Tensor:
        """Return what the projections read: all that comes before the part that is cut."""
        normed: Tensor = self.norm(x) if self.pre_norm else x
        return normed

    def partial(self, normed: Tensor, memory: Tensor | None = None, part: Interval | None = None) -> Tensor:
        """Return what some heads add to the output, without the bias.

        Parameters
        ----------
        normed, memory
            What :meth:`enter` returned, and the second input if there is one.
        part
            Heads out of those this module holds; all of them if ``None``.
        """
        source = normed if memory is None else memory
        columns = None if part is None else (part[0] * self.head_columns, part[1] * self.head_columns)
        query, key, value = (
            rows_of(layer, read, columns)
            for layer, read in ((self.query, normed), (self.key, source), (self.value, source))
        )
        mixed = self._mix(self._turned(query, 0), self._turned(key, 0), self._split(value), part=part)
        return columns_of(self.output, mixed, columns)

    def leave(self, x: Tensor, summed: Tensor) -> Tensor:
        """Return the output from the input and the sum over all heads."""
        return self._end(x + with_bias(self.output, summed))

    def project(
        self, x: Tensor, memory: Tensor | None = None, *, first: int, first_memory: int
    ) -> tuple[Tensor, Tensor]:
        """Return queries, keys and values of some tokens.

        Parameters
        ----------
        x, memory
            Inputs, some tokens of each.
        first, first_memory
            Places of their first tokens.

        Returns
        -------
        query, packed
            [samples, heads, tokens, columns]; keys and values as one tensor [tokens, 2, samples, width], so
            that tokens lie one after the other in memory.
        """
        normed = self.enter(x)
        source, start = (normed, first) if memory is None else (memory, first_memory)
        key = self._turned(self.key(source), start).transpose(1, 2).flatten(2)
        packed = torch.stack((key, self.value(source))).permute(2, 0, 1, 3).contiguous()
        return self._turned(self.query(normed), first), packed

    def attend(self, x: Tensor, query: Tensor, packed: Tensor, *, first: int) -> Tensor:
        """Return the output of some tokens.

        Parameters
        ----------
        x, query
            Their inputs, and their queries.
        packed
            Keys and values of all tokens, as :meth:`project` packs them.
        first
            Place of their first token.
        """
        key, value = (self._split(packed[:, i].transpose(0, 1)) for i in (0, 1))
        return self._end(x + self.output(self._mix(query, key, value, first)))

    def _mix(
        self, query: Tensor, key: Tensor, value: Tensor, first: int = 0, part: Interval | None = None
    ) -> Tensor:
        """Return the values mixed by attention, [samples, tokens, columns of the heads]."""
        scores: Tensor = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
        if self.relative is not None:
            scores = scores + self._relative_bias(scores.shape[-2], scores.shape[-1], first, part)
        if self.causal:
            scores = scores + _causal_mask(scores, first)
        return (scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)

    def _end(self, mixed: Tensor) -> Tensor:
        ended: Tensor = mixed if self.pre_norm else self.norm(mixed)
        return ended

    def _split(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(-1, (-1, self.head_columns)).transpose(1, 2)
        return heads

    def _turned(self, x: Tensor, first: int) -> Tensor:
        heads = self._split(x)
        return _rotate(heads, first) if self.rotary else heads

    def _relative_bias(self, tokens: int, memory_tokens: int, first: int, part: Interval | None) -> Tensor:
        assert self.relative is not None
        half = self.relative.num_embeddings // 2
        device = self.relative.weight.device
        own = torch.arange(first, first + tokens, device=device)[:, None]
        distance = torch.arange(memory_tokens, device=device) - own
        bias: Tensor = self.relative(distance.clamp(-half, half - 1) + half)
        return (bias if part is None else bias[..., part[0] : part[1]]).permute(2, 0, 1)


def _causal_mask(scores: Tensor, first: int) -> Tensor:
    """Return zeros at and before the token itself, minus infinity after it; [tokens, all tokens]."""
    shape = scores.shape[-2:]
    return torch.full(shape, -math.inf, dtype=scores.dtype, device=scores.device).triu(1 + first)


def _rotate(x: Tensor, first: int = 0) -> Tensor:
    """Rotate pairs of columns by angles that grow with the position; [samples, heads, tokens, columns]."""
    tokens, half = x.shape[-2], x.shape[-1] // 2
    # Angles of late positions need more digits than fp32 has, whatever x is kept in.
    frequency = 10000.0 ** (-torch.arange(half, dtype=torch.float64, device=x.device) / half)
    angle = torch.arange(first, first + tokens, device=x.device)[:, None] * frequency
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


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
            cut=dict.fromkeys(parameters_of(self, first), 0) | {"down.weight": 1},
            sequence="token",
            adapted=(*first, "down"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the half layer's output, [samples, tokens, width]."""
        return self._end(x + self.down(self._inner(self.enter(x), None)))

    def enter(self, x: Tensor) -> Tensor:
        """Return what the first layer reads: all that comes before the part that is cut."""
        normed: Tensor = self.norm(x) if self.pre_norm else x
        return normed

    def partial(self, normed: Tensor, part: Interval | None = None) -> Tensor:
        """Return what some inner columns add to the output, without the bias.

        Parameters
        ----------
        normed
            What :meth:`enter` returned.
        part
            Columns out of those this module holds; all of them if ``None``.
        """
        return columns_of(self.down, self._inner(normed, part), part)

    def leave(self, x: Tensor, summed: Tensor) -> Tensor:
        """Return the output from the input and the sum over all columns."""
        return self._end(x + with_bias(self.down, summed))

    def _inner(self, normed: Tensor, part: Interval | None) -> Tensor:
        inner = rows_of(self.up, normed, part)
        if self.gate is None:
            activated: Tensor = self.activation(inner)
            return activated
        gated: Tensor = self.activation(rows_of(self.gate, normed, part)) * inner
        return gated

    def _end(self, mixed: Tensor) -> Tensor:
        ended: Tensor = mixed if self.pre_norm else self.norm(mixed)
        return ended


class QuickGELU(nn.Module):
    """The sigmoid approximation of GELU that CLIP was trained with."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x * sigmoid(1.702 x)."""
        return x * torch.sigmoid(1.702 * x)
