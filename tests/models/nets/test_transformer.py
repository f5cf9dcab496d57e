"""Half layers against torch's own attention."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.nets.transformer import Attention, Mlp, QuickGELU, _rotate


def reference(layer: Attention, x: Tensor, memory: Tensor, *, causal: bool) -> Tensor:
    """Return the mixture by torch's fused attention."""

    def split(tensor: Tensor) -> Tensor:
        return tensor.unflatten(-1, (layer.heads, -1)).transpose(1, 2)

    query, key, value = split(layer.query(x)), split(layer.key(memory)), split(layer.value(memory))
    mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=causal)
    return layer.output(mixed.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("causal", [False, True])
def test_pre_norm_attention(causal: bool) -> None:
    layer = Attention(12, 3, causal=causal).double()
    x = torch.randn(2, 7, 12, dtype=torch.float64)
    normed = layer.norm(x)
    torch.testing.assert_close(layer(x), x + reference(layer, normed, normed, causal=causal))


def test_post_norm_attention() -> None:
    layer = Attention(12, 3, pre_norm=False).double()
    x = torch.randn(2, 7, 12, dtype=torch.float64)
    torch.testing.assert_close(layer(x), layer.norm(x + reference(layer, x, x, causal=False)))


def test_cross_attention_reads_the_memory_without_norm() -> None:
    layer = Attention(12, 3).double()
    x, memory = torch.randn(2, 7, 12).double(), torch.randn(2, 5, 12).double()
    expected = x + reference(layer, layer.norm(x), memory, causal=False)
    torch.testing.assert_close(layer(x, memory), expected)


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    query, key = torch.randn(2, 8, dtype=torch.float64)
    rotated = [_rotate(vector.expand(1, 1, 6, 8))[0, 0] for vector in (query, key)]
    scores = rotated[0] @ rotated[1].T
    torch.testing.assert_close(scores[1:, 1:], scores[:-1, :-1], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(scores[0, 0], scores[0, 1])
    torch.testing.assert_close(scores[0, 0], query @ key)


def test_relative_bias_shifts_scores() -> None:
    layer = Attention(8, 2, buckets=4)
    assert layer.relative is not None
    x = torch.randn(1, 6, 8)
    with torch.no_grad():
        before = layer(x)
        layer.relative.weight.fill_(3.0)  # The same for all distances: the softmax does not see it.
        same = layer(x)
        layer.relative.weight[0].fill_(50.0)
        assert not torch.allclose(layer(x), same)
    assert before.shape == same.shape


def test_gated_perceptron() -> None:
    layer = Mlp(6, 10, nn.RMSNorm, activation=nn.SiLU, bias=False, gated=True)
    assert layer.gate is not None
    x = torch.randn(2, 3, 6)
    normed = layer.norm(x)
    expected = x + layer.down(functional.silu(layer.gate(normed)) * layer.up(normed))
    torch.testing.assert_close(layer(x), expected)


def test_quick_gelu_is_close_to_gelu() -> None:
    x = torch.linspace(-4, 4, 33)
    torch.testing.assert_close(QuickGELU()(x), functional.gelu(x), atol=0.03, rtol=0)
