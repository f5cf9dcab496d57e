"""A small GPT that writes letter by letter, trained from scratch; its head is tied to its embedding."""

from __future__ import annotations

from functools import partial

import torch

from models.nets.chain import half_layers
from models.nets.ends import LanguageHead, TokenEmbedding
from models.nets.letters import LENGTH, LETTERS, WINDOWS
from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec, NetSpec, TensorSpec
from models.nets.transformer import Attention, Mlp

WIDTH, HEADS, LAYERS = 96, 6, 3


def embedding() -> TokenEmbedding:
    """Return an embedding whose table is small enough to be a head's matrix too, as GPT-2's."""
    block = TokenEmbedding(LETTERS, WIDTH, LENGTH)
    with torch.no_grad():
        for weight in block.parameters():
            weight.mul_(0.02)
    return block


def spec() -> NetSpec:
    """Return the specification: 8 blocks, 351,072 weights."""
    attention, mlp = partial(Attention, WIDTH, HEADS, causal=True), partial(Mlp, WIDTH, 4 * WIDTH)
    layers = half_layers("embedding", "layer", LAYERS, attention, mlp)
    head = BlockSpec(
        "head",
        partial(LanguageHead, WIDTH, LETTERS),
        (layers[-1].name,),
        loss=cross_entropy("next_letter"),
        ties={"classify.weight": ("embedding", "word.weight")},
    )
    return NetSpec(
        name="gpt_letters",
        description=f"Causal transformer on windows of {LENGTH} letters of English text: {LAYERS} "
        f"pre-norm layers, {WIDTH} columns, {HEADS} heads, {LETTERS} letters. The head is tied to the "
        "embedding: its matrix is counted once, there. Attention keeps its probabilities for the "
        "backward pass.",
        source="own dimensions",
        blocks=(BlockSpec("embedding", embedding, modality="text"), *layers, head),
        inputs={"text": TensorSpec((LENGTH,), "int", LETTERS)},
        targets={"next_letter": TensorSpec((LENGTH,), "int", LETTERS)},
        dataset=WINDOWS,
    )
