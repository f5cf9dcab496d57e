"""Beginnings and ends of transformers."""

from __future__ import annotations

import torch

from models.nets.ends import PatchEmbedding, TokenEmbedding, TokenHead, TokenNorm


def test_patches_after_a_class_token() -> None:
    layer = PatchEmbedding(8, 4, 6, norm=torch.nn.LayerNorm)
    assert layer(torch.randn(2, 3, 8, 8)).shape == (2, 5, 6)


def test_positions_are_added() -> None:
    layer = TokenEmbedding(10, 4, positions=3)
    assert layer.position is not None
    out = layer(torch.tensor([[7, 7, 7]]))[0]
    torch.testing.assert_close(out - layer.word.weight[7], layer.position.weight)


def test_token_head_reads_one_token() -> None:
    head, x = TokenHead(4, 3, token=-1), torch.randn(2, 5, 4)
    changed = x.clone()
    changed[:, :-1] = 0
    assert torch.equal(head(x), head(changed))


def test_norm_keeps_the_shape() -> None:
    assert TokenNorm(4)(torch.randn(2, 5, 4)).shape == (2, 5, 4)
