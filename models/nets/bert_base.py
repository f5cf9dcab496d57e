"""BERT-base with its pooler and a head for two classes."""

from __future__ import annotations

from torch import Tensor, nn

from models.nets.bert import VOCABULARY, bert_blocks
from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec, NetSpec, TensorSpec

LAYERS, WIDTH, HEADS, TOKENS, CLASSES = 12, 768, 12, 128, 2


class PoolerHead(nn.Module):
    """BERT's pooler (a dense layer over the first token) and a linear classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.Linear(WIDTH, WIDTH)
        self.classify = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [samples, classes] of tokens [samples, tokens, width]."""
        logits: Tensor = self.classify(self.pool(x[:, 0]).tanh())
        return logits


def spec() -> NetSpec:
    """Return the specification: 109,482,240 weights with the pooler, and 1,538 of the head."""
    blocks = bert_blocks(LAYERS, WIDTH, HEADS)
    head = BlockSpec("head", PoolerHead, (blocks[-1].name,), loss=cross_entropy("sentence"))
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
