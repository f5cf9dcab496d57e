"""CLIP ViT-B/32: an image tower and a text tower that meet in a contrastive loss."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.nets.chain import half_layers
from models.nets.ends import PatchEmbedding, TokenEmbedding, TokenHead
from models.nets.losses import contrastive
from models.nets.net import BlockSpec, NetSpec, TensorSpec
from models.nets.transformer import Attention, Mlp, QuickGELU

LAYERS, SIZE, PATCH, VOCABULARY, TOKENS, JOINT = 12, 224, 32, 49408, 77, 512
IMAGE_WIDTH, IMAGE_HEADS, TEXT_WIDTH, TEXT_HEADS = 768, 12, 512, 8


class Pair(nn.Module):
    """Both embeddings at length one, the image's scaled by the learned temperature."""

    def __init__(self) -> None:
        super().__init__()
        self.logit_scale = nn.Parameter(torch.zeros(()))

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        """Return [samples, 2, columns] of two embeddings [samples, columns]."""
        scaled = functional.normalize(image, dim=-1) * self.logit_scale.exp()
        return torch.stack([scaled, functional.normalize(text, dim=-1)], dim=1)


def _layers(tower: str, width: int, heads: int, *, causal: bool) -> list[BlockSpec]:
    attention = partial(Attention, width, heads, causal=causal)
    mlp = partial(Mlp, width, 4 * width, activation=QuickGELU)
    return half_layers(f"{tower}.embedding", f"{tower}.layer", LAYERS, attention, mlp)


def spec() -> NetSpec:
    """Return the specification: 151,277,313 weights."""
    image = _layers("image", IMAGE_WIDTH, IMAGE_HEADS, causal=False)
    text = _layers("text", TEXT_WIDTH, TEXT_HEADS, causal=True)
    patches = partial(PatchEmbedding, SIZE, PATCH, IMAGE_WIDTH, bias=False, norm=nn.LayerNorm)
    words = partial(TokenEmbedding, VOCABULARY, TEXT_WIDTH, TOKENS)
    image_head = partial(TokenHead, IMAGE_WIDTH, JOINT, bias=False)
    text_head = partial(TokenHead, TEXT_WIDTH, JOINT, token=-1, bias=False)
    return NetSpec(
        name="clip_b32",
        description=f"CLIP ViT-B/32: images of {SIZE}x{SIZE} as 50 tokens, captions of {TOKENS} tokens "
        "read at the last; the similarity of all pairs of a micro-batch is in the loss, whose "
        "operations are not counted. Attention keeps its probabilities for the backward pass.",
        source="dimensions: Radford et al., Learning transferable visual models, 2021, "
        "arXiv:2103.00020, table 19",
        blocks=(
            BlockSpec("image.embedding", patches, modality="image"),
            *image,
            BlockSpec("image.projection", image_head, (image[-1].name,)),
            BlockSpec("text.embedding", words, modality="text"),
            *text,
            BlockSpec("text.projection", text_head, (text[-1].name,)),
            BlockSpec("pair", Pair, ("image.projection", "text.projection"), loss=contrastive("match")),
        ),
        inputs={
            "image": TensorSpec((3, SIZE, SIZE), owned_as="camera"),
            "text": TensorSpec((TOKENS,), "int", VOCABULARY),
        },
        targets={"match": TensorSpec((), "int")},
    )
