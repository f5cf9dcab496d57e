from __future__ import annotations

import torch
from torch import nn

from models.nets.lora import AdaptedLinear, LowRank, adapt
from models.nets.transformer import Attention


def layer(rank: int, scale: float = 1.0) -> AdaptedLinear:
    base = nn.Linear(2, 3)
    with torch.no_grad():
        base.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
        base.bias.zero_()
    return AdaptedLinear(base, LowRank(rank, scale), 7)


def test_the_product_of_the_factors_is_added_to_the_layer() -> None:
    adapted = layer(1, scale=2.0)
    x = torch.tensor([[3.0, 5.0]])
    assert torch.equal(adapted(x), torch.tensor([[3.0, 5.0, 8.0]]))
    with torch.no_grad():
        adapted.lora_a.copy_(torch.tensor([[1.0, -1.0]]))
        adapted.lora_b.copy_(torch.tensor([[1.0], [0.0], [10.0]]))
    # A x = -2, times the scale -4, times B.
    assert torch.equal(adapted(x), torch.tensor([[3.0 - 4, 5.0, 8.0 - 40]]))


def test_only_the_factors_are_trained_and_a_smaller_rank_is_a_part_of_a_larger() -> None:
    adapted = layer(4)
    trained = {name for name, weight in adapted.named_parameters() if weight.requires_grad}
    assert trained == {"lora_a", "lora_b"}
    assert torch.equal(layer(2).lora_a, adapted.lora_a[:2])
    assert adapted.lora_a.abs().max() <= 2**-0.5
    assert not adapted.lora_b.any()


def test_a_block_is_frozen_and_the_layers_its_traits_name_are_adapted() -> None:
    block, x = Attention(8, 2), torch.randn(1, 3, 8)
    before = block(x)
    adapt(block, "attention", LowRank(2, trains_a=False), 0)
    assert torch.equal(block(x), before)
    trained = {name for name, weight in block.named_parameters() if weight.requires_grad}
    assert trained == {f"{name}.lora_b" for name in ("query", "key", "value", "output")}
    assert not torch.equal(block.query.lora_a, block.key.lora_a)
