"""GPT-2, the smallest of the four published sizes."""

from __future__ import annotations

from functools import partial

from torch import nn

from models.nets.chain import half_layers
from models.nets.ends import LanguageHead, TokenEmbedding
from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec, NetSpec, TensorSpec
from models.nets.transformer import Attention, Mlp

LAYERS, WIDTH, HEADS, VOCABULARY, POSITIONS, TOKENS = 12, 768, 12, 50257, 1024, 512


def spec() -> NetSpec:
    """Return the specification: 124,439,808 weights."""
    attention = partial(Attention, WIDTH, HEADS, causal=True)
    mlp = partial(Mlp, WIDTH, 4 * WIDTH, activation=partial(nn.GELU, approximate="tanh"))
    layers = half_layers("embedding", "layer", LAYERS, attention, mlp)
    head = BlockSpec(
        "head",
        partial(LanguageHead, WIDTH, VOCABULARY),
        (layers[-1].name,),
        loss=cross_entropy("next_token"),
        ties={"classify.weight": ("embedding", "word.weight")},
    )
    return NetSpec(
        name="gpt2",
        description=f"GPT-2 (small), {TOKENS} tokens, predicting the next one. The head is tied to the "
        "embedding: its matrix is counted once, there; its operations are the head's. Query, key and "
        "value are three matrices. Attention keeps its probabilities for the backward pass; no "
        "dropout.",
        source="dimensions: Radford et al., Language models are unsupervised multitask learners, 2019, "
        "table 2",
        blocks=(
            BlockSpec("embedding", partial(TokenEmbedding, VOCABULARY, WIDTH, POSITIONS), modality="text"),
            *layers,
            head,
        ),
        inputs={"text": TensorSpec((TOKENS,), "int", VOCABULARY)},
        targets={"next_token": TensorSpec((TOKENS,), "int", VOCABULARY)},
    )
