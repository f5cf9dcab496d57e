"""ViT-B/16 with a head for 1000 classes."""

from __future__ import annotations

from functools import partial

from torch import nn

from models.nets.chain import half_layers
from models.nets.ends import PatchEmbedding, TokenHead
from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec, NetSpec, TensorSpec
from models.nets.transformer import Attention, Mlp

LAYERS, WIDTH, HEADS, SIZE, PATCH, CLASSES = 12, 768, 12, 224, 16, 1000


def spec() -> NetSpec:
    """Return the specification: 86,567,656 weights."""
    norm = partial(nn.LayerNorm, eps=1e-6)
    attention, mlp = partial(Attention, WIDTH, HEADS, norm), partial(Mlp, WIDTH, 4 * WIDTH, norm)
    layers = half_layers("embedding", "layer", LAYERS, attention, mlp)
    head = partial(TokenHead, WIDTH, CLASSES, norm=norm)
    return NetSpec(
        name="vit_b16",
        description=f"ViT-B/16 on images of {SIZE}x{SIZE}: 197 tokens, {CLASSES} classes. Attention "
        "keeps its probabilities for the backward pass; no dropout.",
        source="dimensions: Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021, "
        "arXiv:2010.11929, table 1",
        blocks=(
            BlockSpec("embedding", partial(PatchEmbedding, SIZE, PATCH, WIDTH), modality="image"),
            *layers,
            BlockSpec("head", head, (layers[-1].name,), loss=cross_entropy("image_class")),
        ),
        inputs={"image": TensorSpec((3, SIZE, SIZE), owned_as="camera")},
        targets={"image_class": TensorSpec((), "int", CLASSES)},
    )
