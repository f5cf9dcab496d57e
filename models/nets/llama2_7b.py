"""Llama-2-7B (and Vicuna-7B, which has the same dimensions)."""

from __future__ import annotations

from functools import partial

from torch import nn

from models.nets.chain import half_layers
from models.nets.ends import LanguageHead, TokenEmbedding
from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec, NetSpec, TensorSpec
from models.nets.transformer import Attention, Mlp

LAYERS, WIDTH, HEADS, INNER, VOCABULARY, TOKENS = 32, 4096, 32, 11008, 32000, 512


def spec() -> NetSpec:
    """Return the specification: 6,738,415,616 weights, 404,766,720 bytes a layer."""
    norm = partial(nn.RMSNorm, eps=1e-5)
    attention = partial(Attention, WIDTH, HEADS, norm, causal=True, bias=False, rotary=True)
    mlp = partial(Mlp, WIDTH, INNER, norm, activation=nn.SiLU, bias=False, gated=True)
    layers = half_layers("embedding", "layer", LAYERS, attention, mlp)
    head = partial(LanguageHead, WIDTH, VOCABULARY, norm)
    return NetSpec(
        name="llama2_7b",
        description=f"Llama-2-7B in bf16, {TOKENS} tokens, predicting the next one; Vicuna-7B has the "
        "same dimensions. Attention keeps its probabilities for the backward pass.",
        source="dimensions: Touvron et al., Llama 2, 2023, arXiv:2307.09288, table 1, and LLaMA, "
        "arXiv:2302.13971",
        blocks=(
            BlockSpec("embedding", partial(TokenEmbedding, VOCABULARY, WIDTH), modality="text"),
            *layers,
            BlockSpec("head", head, (layers[-1].name,), loss=cross_entropy("next_token")),
        ),
        inputs={"text": TensorSpec((TOKENS,), "int", VOCABULARY)},
        targets={"next_token": TensorSpec((TOKENS,), "int", VOCABULARY)},
        precision="bf16",
    )
