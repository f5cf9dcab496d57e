"""BERT as blocks: embedding, post-norm half layers; shared by the nets of this family."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from models.nets.chain import half_layers
from models.nets.net import BlockSpec, StateDict
from models.nets.shard import Interval
from models.nets.traits import Traits
from models.nets.transformer import Attention, Mlp

VOCABULARY, POSITIONS, SEGMENTS = 30522, 512, 2
_EPS = 1e-12


def norm(width: int) -> nn.LayerNorm:
    """Return BERT's layer norm."""
    return nn.LayerNorm(width, eps=_EPS)


class BertEmbedding(nn.Module):
    """Sum of word, position and first-segment embeddings, normed.

    Parameters
    ----------
    width
        Columns of the tokens.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.word = nn.Embedding(VOCABULARY, width)
        self.position = nn.Embedding(POSITIONS, width)
        self.segment = nn.Embedding(SEGMENTS, width)
        self.norm = norm(width)
        self.traits = Traits(sequence="token")

    def forward(self, tokens: Tensor) -> Tensor:
        """Return [samples, tokens, width] of token indices [samples, tokens]."""
        return self.at(tokens, tokens=(0, tokens.shape[1]))

    def at(self, *inputs: Tensor, tokens: Interval) -> Tensor:
        """Return the embedding of some tokens of [samples, tokens]."""
        words = self.word(inputs[0][:, slice(*tokens)])
        positions = torch.arange(*tokens, device=words.device)
        normed: Tensor = self.norm(words + self.position(positions) + self.segment.weight[0])
        return normed


class PoolerHead(nn.Module):
    """BERT's pooler (a dense layer over the first token) and a linear classifier.

    Parameters
    ----------
    width, classes
        Columns of the tokens, and number of classes.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.pool = nn.Linear(width, width)
        self.classify = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [samples, classes] of tokens [samples, tokens, width]."""
        logits: Tensor = self.classify(self.pool(x[:, 0]).tanh())
        return logits


def bert_blocks(layers: int, width: int, heads: int) -> list[BlockSpec]:
    """Return embedding and encoder, two blocks a layer; no padding, so no mask.

    Parameters
    ----------
    layers, width, heads
        Number of layers, columns of the tokens, heads; the perceptron is four times as wide.
    """
    embedding = BlockSpec("embedding", partial(BertEmbedding, width), modality="text")
    attention = partial(Attention, width, heads, norm, pre_norm=False)
    mlp = partial(Mlp, width, 4 * width, norm, pre_norm=False)
    return [embedding, *half_layers("embedding", "layer", layers, attention, mlp)]


_PARTS = {
    "embedding": {
        "word": "embeddings.word_embeddings",
        "position": "embeddings.position_embeddings",
        "segment": "embeddings.token_type_embeddings",
        "norm": "embeddings.LayerNorm",
    },
    "attention": {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "output": "attention.output.dense",
        "norm": "attention.output.LayerNorm",
    },
    "mlp": {"up": "intermediate.dense", "down": "output.dense", "norm": "output.LayerNorm"},
}


def weights_of(block: str, published: StateDict) -> dict[str, Tensor] | None:
    """Return the weights of a block out of a BERT checkpoint; ``None`` for a block it does not have.

    Parameters
    ----------
    block
        Name of the block, as ``layer3.mlp``.
    published
        Weights by the names of the published checkpoint.
    """
    layer, _, half = block.rpartition(".")
    parts = _PARTS.get(half)
    if parts is None:
        return None
    prefix = f"encoder.layer.{layer.removeprefix('layer')}." if layer else ""
    return {
        f"{own}.{kind}": published[f"{prefix}{theirs}.{kind}"]
        for own, theirs in parts.items()
        for kind in ("weight", "bias")
        if f"{prefix}{theirs}.{kind}" in published
    }
