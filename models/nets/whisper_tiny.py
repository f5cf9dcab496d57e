"""Whisper-tiny: an audio encoder and a text decoder."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.nets.chain import decoder_layers, half_layers
from models.nets.ends import LanguageHead, TokenEmbedding, TokenNorm
from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec, NetSpec, TensorSpec
from models.nets.transformer import Attention, Mlp

LAYERS, WIDTH, HEADS, VOCABULARY, TOKENS = 4, 384, 6, 51865, 448
MELS, FRAMES = 80, 3000


class AudioEmbedding(nn.Module):
    """Two convolutions over time, the second of which halves it, plus positions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(MELS, WIDTH, 3, padding=1)
        self.second = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.position = nn.Parameter(torch.zeros(FRAMES // 2, WIDTH))

    def forward(self, audio: Tensor) -> Tensor:
        """Return [samples, 1500, width] of a mel spectrogram [samples, 80, 3000]."""
        features = functional.gelu(self.second(functional.gelu(self.first(audio))))
        return features.transpose(1, 2) + self.position


def spec() -> NetSpec:
    """Return the specification: 37,760,640 weights."""
    attention = partial(Attention, WIDTH, HEADS, key_bias=False)
    mlp = partial(Mlp, WIDTH, 4 * WIDTH)
    encoder = half_layers("encoder.embedding", "encoder.layer", LAYERS, attention, mlp)
    causal = partial(attention, causal=True)
    decoder = decoder_layers(
        "decoder.embedding", "encoder.norm", "decoder.layer", LAYERS, causal, attention, mlp
    )
    words = partial(TokenEmbedding, VOCABULARY, WIDTH, TOKENS)
    head = BlockSpec(
        "head",
        partial(LanguageHead, WIDTH, VOCABULARY),
        (decoder[-1].name,),
        loss=cross_entropy("next_token"),
        ties={"classify.weight": ("decoder.embedding", "word.weight")},
    )
    return NetSpec(
        name="whisper_tiny",
        description=f"Whisper-tiny: 30 s of audio as 1500 tokens in, {TOKENS} tokens of text out. The "
        "head is tied to the decoder's embedding: its matrix is counted once, there. The encoder's "
        "positions (576,000, sinusoids at the start) count as weights. Attention keeps its "
        "probabilities for the backward pass.",
        source="dimensions: Radford et al., Robust speech recognition, ICML 2023, arXiv:2212.04356, table 1",
        blocks=(
            BlockSpec("encoder.embedding", AudioEmbedding, modality="audio"),
            *encoder,
            BlockSpec("encoder.norm", partial(TokenNorm, WIDTH), (encoder[-1].name,)),
            BlockSpec("decoder.embedding", words, modality="text"),
            *decoder,
            head,
        ),
        inputs={
            "audio": TensorSpec((MELS, FRAMES), owned_as="microphone"),
            "text": TensorSpec((TOKENS,), "int", VOCABULARY),
        },
        targets={"next_token": TensorSpec((TOKENS,), "int", VOCABULARY)},
    )
