"""BERT-base with its pooler and a head for two classes."""

from __future__ import annotations

from functools import partial

from models.nets.bert import VOCABULARY, PoolerHead, bert_blocks
from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec, NetSpec, TensorSpec

LAYERS, WIDTH, HEADS, TOKENS, CLASSES = 12, 768, 12, 128, 2


def spec() -> NetSpec:
    """Return the specification: 109,482,240 weights with the pooler, and 1,538 of the head."""
    blocks = bert_blocks(LAYERS, WIDTH, HEADS)
    head = BlockSpec(
        "head", partial(PoolerHead, WIDTH, CLASSES), (blocks[-1].name,), loss=cross_entropy("sentence")
    )
    return NetSpec(
        name="bert_base",
        description=f"BERT-base (uncased), {TOKENS} tokens: 109,482,240 weights with the pooler, and a "
        f"head of {CLASSES} classes. Attention keeps its probabilities for the backward pass; no "
        "dropout.",
        source="dimensions: Devlin et al., BERT, NAACL 2019, arXiv:1810.04805, section 3",
        blocks=(*blocks, head),
        inputs={"text": TensorSpec((TOKENS,), "int", VOCABULARY)},
        targets={"sentence": TensorSpec((), "int", CLASSES)},
    )
