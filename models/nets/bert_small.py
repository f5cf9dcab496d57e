"""BERT-small: BERT of 4 layers and 512 columns, with its pooler and a head for two classes."""

from __future__ import annotations

from functools import partial

from models.nets.bert import VOCABULARY, PoolerHead, bert_blocks
from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec, NetSpec, TensorSpec

LAYERS, WIDTH, HEADS, TOKENS, CLASSES = 4, 512, 8, 128, 2


def spec() -> NetSpec:
    """Return the specification: 28,763,648 weights with the pooler, and 1,026 of the head."""
    blocks = bert_blocks(LAYERS, WIDTH, HEADS)
    head = BlockSpec(
        "head", partial(PoolerHead, WIDTH, CLASSES), (blocks[-1].name,), loss=cross_entropy("sentence")
    )
    return NetSpec(
        name="bert_small",
        description=f"BERT-small (uncased), {TOKENS} tokens: {LAYERS} layers, {WIDTH} columns, "
        f"{HEADS} heads, 28,763,648 weights with the pooler, and a head of {CLASSES} classes. Attention "
        "keeps its probabilities for the backward pass; no dropout.",
        source="dimensions: Turc et al., arXiv:1908.08962, BERT-Small (4 layers of 512)",
        blocks=(*blocks, head),
        inputs={"text": TensorSpec((TOKENS,), "int", VOCABULARY)},
        targets={"sentence": TensorSpec((), "int", CLASSES)},
    )
