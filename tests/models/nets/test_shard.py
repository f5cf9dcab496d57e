"""Blocks computed in parts add up to the whole block."""

from __future__ import annotations

import copy
from fractions import Fraction
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

from models.nets.shard import Shard, cut_block, exact, shard_of
from models.nets.transformer import Attention, Mlp

BLOCKS = {
    "attention": partial(Attention, 12, 6),
    "causal rotary": partial(Attention, 12, 6, causal=True, rotary=True, bias=False),
    "relative, norm last": partial(Attention, 12, 6, buckets=4, pre_norm=False),
    "perceptron": partial(Mlp, 12, 24),
    "gated, norm last": partial(Mlp, 12, 24, gated=True, pre_norm=False),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_parts_of_heads_and_columns_add_up(name: str) -> None:
    torch.manual_seed(0)
    block, x = BLOCKS[name](), torch.randn(2, 5, 12)
    total = torch.zeros(2, 5, 12)
    ends = [Fraction(0), Fraction(1, 6), Fraction(4, 6), Fraction(1)]
    for interval in pairwise(ends):
        part = copy.deepcopy(block)
        shards = cut_block(part, interval)
        assert {key: dict(part.named_parameters())[key].shape[s.axis] for key, s in shards.items()} == {
            key: s.stop - s.start for key, s in shards.items()
        }
        total = total + part.partial(part.enter(x))
    assert torch.allclose(block.leave(x, total), block(x), atol=1e-5)


def test_a_part_out_of_what_is_held() -> None:
    torch.manual_seed(0)
    block, x = Attention(12, 6, buckets=4), torch.randn(2, 5, 12)
    normed = block.enter(x)
    total = block.partial(normed, part=(0, 2)) + block.partial(normed, part=(2, 6))
    assert torch.allclose(block.leave(x, total), block(x), atol=1e-5)


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("name", ["attention", "causal rotary", "relative, norm last"])
def test_parts_of_tokens_lie_side_by_side(name: str, memory: bool) -> None:
    torch.manual_seed(0)
    block, x = BLOCKS[name](), torch.randn(2, 5, 12)
    other = torch.randn(2, 5, 12) if memory else None
    spans = [(0, 3), (3, 5)]
    cut = [(x[:, a:b], *([other[:, a:b]] if other is not None else [])) for a, b in spans]
    made = [
        block.project(*inputs, first=a, first_memory=a) for inputs, (a, _) in zip(cut, spans, strict=True)
    ]
    packed = torch.cat([keys for _, keys in made])
    outputs = [
        block.attend(inputs[0], query, packed, first=a)
        for inputs, (query, _), (a, _) in zip(cut, made, spans, strict=True)
    ]
    assert torch.allclose(torch.cat(outputs, dim=1), block(x, other), atol=1e-5)


def test_shards() -> None:
    whole = torch.arange(12).view(3, 4)
    assert shard_of(1, 4, (Fraction(1, 2), Fraction(1))) == Shard(1, 2, 4, 4)
    assert torch.equal(Shard(1, 2, 4, 4).of(whole), whole[:, 2:])
    assert Shard(0, 4, 6, 12).within(Shard(0, 3, 9, 12)) == Shard(0, 1, 3, 6)
    assert Shard(0, 0, 3, 3).is_all and not Shard(0, 0, 2, 3).is_all
    assert exact(5 / 12) == Fraction(5, 12)
    assert cut_block(nn.Linear(2, 2), (Fraction(0), Fraction(1))) == {}
