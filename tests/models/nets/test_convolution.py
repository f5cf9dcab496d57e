"""Parts of convolutional nets."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.nets.convolution import Excitation, ImageHead, InvertedResidual, image_chain


@pytest.mark.parametrize(("wider", "stride", "shape"), [(8, 1, (2, 8, 6, 6)), (12, 2, (2, 12, 3, 3))])
def test_inverted_residual_shapes(wider: int, stride: int, shape: tuple[int, ...]) -> None:
    block = InvertedResidual(8, wider, 3, 3, stride, nn.SiLU, excite=True)
    assert block(torch.randn(2, 8, 6, 6)).shape == shape
    assert block.residual == (stride == 1)


def test_an_inverted_residual_that_does_nothing_is_its_shortcut() -> None:
    block = InvertedResidual(8, 8, 1, 3, 1, nn.ReLU6)
    with torch.no_grad():
        block.layers[-1][-1].weight.zero_()
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(block(x), x)


def test_excitation_weights_whole_channels() -> None:
    x = torch.rand(2, 8, 3, 3) + 0.1
    ratio = (Excitation(8, 2, nn.SiLU)(x) / x).flatten(2)
    torch.testing.assert_close(ratio, ratio[..., :1].expand_as(ratio))


def test_image_chain_is_a_chain_from_the_camera_to_the_loss() -> None:
    chain = image_chain(nn.Identity, {"a": nn.Identity, "b": nn.Identity}, nn.Identity)
    assert [(block.name, block.inputs) for block in chain] == [
        ("stem", ()),
        ("a", ("stem",)),
        ("b", ("a",)),
        ("head", ("b",)),
    ]
    assert chain[0].modality == "image"
    assert chain[-1].loss is not None


def test_head_pools_the_image() -> None:
    assert ImageHead(nn.ReLU, 8)(torch.randn(2, 8, 3, 3)).shape == (2, 1000)
