"""T5-base: encoder and decoder."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from torch import nn

from models.nets.chain import decoder_layers, half_layers
from models.nets.ends import LanguageHead, TokenEmbedding, TokenNorm
from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec, NetSpec, TensorSpec
from models.nets.transformer import Attention, Mlp

LAYERS, WIDTH, HEADS, INNER, VOCABULARY, BUCKETS, TOKENS = 12, 768, 12, 3072, 32128, 32, 128


def spec() -> NetSpec:
    """Return the specification: 222,903,552 weights."""
    norm = partial(nn.RMSNorm, eps=1e-6)
    attention = partial(Attention, WIDTH, HEADS, norm, bias=False)
    causal = partial(attention, causal=True)
    mlp = partial(Mlp, WIDTH, INNER, norm, activation=nn.ReLU, bias=False)
    encoder = half_layers("encoder.embedding", "encoder.layer", LAYERS, attention, mlp)
    encoder[0] = replace(encoder[0], make=partial(attention, buckets=BUCKETS))
    decoder = decoder_layers(
        "decoder.embedding", "encoder.norm", "decoder.layer", LAYERS, causal, attention, mlp
    )
    decoder[0] = replace(decoder[0], make=partial(causal, buckets=BUCKETS))
    embedding = partial(TokenEmbedding, VOCABULARY, WIDTH)
    table = ("encoder.embedding", "word.weight")
    second = BlockSpec("decoder.embedding", embedding, modality="target_text", ties={"word.weight": table})
    head = BlockSpec(
        "head",
        partial(LanguageHead, WIDTH, VOCABULARY, norm),
        (decoder[-1].name,),
        loss=cross_entropy("next_token"),
        ties={"classify.weight": table},
    )
    return NetSpec(
        name="t5_base",
        description=f"T5-base, {TOKENS} tokens in, {TOKENS} tokens out. One table serves both "
        "embeddings and the head: its matrix is counted once, at the encoder's embedding. The relative "
        "position bias is that of the first layer of each half alone. Attention keeps its "
        "probabilities for the backward pass; no dropout.",
        source="dimensions: Raffel et al., JMLR 21(140), 2020, arXiv:1910.10683, section 3.1.1",
        blocks=(
            BlockSpec("encoder.embedding", embedding, modality="text"),
            *encoder,
            BlockSpec("encoder.norm", partial(TokenNorm, WIDTH, norm), (encoder[-1].name,)),
            second,
            *decoder,
            head,
        ),
        inputs={name: TensorSpec((TOKENS,), "int", VOCABULARY) for name in ("text", "target_text")},
        targets={"next_token": TensorSpec((TOKENS,), "int", VOCABULARY)},
    )
