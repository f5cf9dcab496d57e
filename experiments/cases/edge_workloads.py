"""Workloads of the suite `edge`: cards of the catalogue, and chains drawn in three shapes."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from models import catalog
from models.workload import Block, Edge, Workload
from solver.job import Job

CARDS = (
    *("bert_base", "efficientnet_b1", "gpt2", "llama2_7b"),
    *("minilm", "mobilenet_v2", "resnet50", "vit_b16"),
)
"""Chains of at least 12 blocks; vit_digits is left out: any board trains it in milliseconds."""
SHAPES = ("transformer", "pyramid", "uneven")
LENGTHS = (12, 16, 24, 32, 40, 48, 64, 80, 96)


class Asked(NamedTuple):
    """A workload and what is asked of it."""

    workload: Workload
    job: Job
    num_micro_batches: int


def rounded(value: float, digits: int = 3) -> float:
    """Round to significant digits, so that the last bit of exp() on a machine does not show."""
    return float(f"{value:.{digits - 1}e}")


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform, 3 significant digits."""
    return rounded(float(np.exp(rng.uniform(np.log(low), np.log(high)))))


def real(rng: np.random.Generator, name: str) -> Asked:
    """Draw a job for a card. Llama 2 is tuned by adapters in fp16: in full it fits no such cluster."""
    card = catalog.workload(name)
    count = int(rng.choice([4, 6, 8, 12, 16]))
    if card.name == "llama2_7b":
        samples = int(rng.choice([2, 4]))
        words = {"optimizer": "adamw", "precision": "fp16", "tune": "lora", "lora_rank": 8}
        return Asked(card, Job.model_validate({"batch": count * samples, **words}), count)
    return Asked(card, _full(rng, count), count)


def synthetic(rng: np.random.Generator, num_blocks: int) -> Asked:
    """Draw a chain of a length in one of the shapes, and a job that trains it in full."""
    shape = str(rng.choice(SHAPES))
    draw = {"transformer": _transformer, "pyramid": _pyramid, "uneven": _uneven}[shape]
    blocks = draw(rng, num_blocks)
    edges = tuple(Edge(source=a.name, target=b.name) for a, b in pairwise(blocks))
    workload = Workload(
        name=f"{shape}{num_blocks}",
        description=f"Drawn chain of {num_blocks} blocks, shape {shape}",
        source="drawn by experiments/edge_suite.py; not a net anybody trains",
        blocks=tuple(blocks),
        edges=edges,
    )
    count = int(rng.choice([4, 6, 8, 12, 16]))
    return Asked(workload, _full(rng, count), count)


def _full(rng: np.random.Generator, count: int) -> Job:
    samples = int(rng.integers(4, 17))
    optimizer = str(rng.choice(["sgd", "momentum", "adamw"]))
    return Job.model_validate({"batch": count * samples, "optimizer": optimizer})


def _block(index: int, flop: float, weight: float, kept: float, output: float) -> Block:
    """Build a block: gradients of input and of weights cost as much as the forward pass each."""
    return Block(
        name=f"block{index}",
        forward_flop=rounded(flop),
        backward_input_flop=rounded(flop) if index else 0.0,
        backward_weight_flop=rounded(flop) if weight else 0.0,
        weight_bytes=4 * int(rounded(weight / 4)),
        kept_bytes=4 * int(rounded(kept / 4)),
        kept_frozen_bytes=4 * int(rounded(0.4 * kept / 4)),
        output_bytes=4 * max(1, int(rounded(output / 4))),
    )


def _transformer(rng: np.random.Generator, num_blocks: int) -> list[Block]:
    """Half layers in turn (attention, MLP) of one width, an embedding first and a head last."""
    width, tokens = int(rng.choice([256, 384, 512, 768, 1024])), int(rng.choice([64, 128, 256, 512]))
    words = int(rng.choice([1000, 8000, 30000]))
    item, blocks = 4.0, []
    for i in range(num_blocks):
        output = item * tokens * width
        if i == 0:
            flop, weight, kept = 2.0 * tokens * width, item * words * width, item * tokens
        elif i == num_blocks - 1:
            flop, weight = 2.0 * width * words, item * words * width
            kept, output = item * (width + words), item * words
        elif i % 2:
            flop = 8.0 * tokens * width**2 + 4.0 * tokens**2 * width
            weight, kept = item * 4 * width**2, item * (6.0 * tokens * width + 12.0 * tokens**2)
        else:
            flop, weight = 16.0 * tokens * width**2, item * 8 * width**2
            kept = item * 10.0 * tokens * width
        size = float(rng.uniform(0.9, 1.1))
        blocks.append(_block(i, flop * size, weight, kept * size, output))
    return blocks


def _pyramid(rng: np.random.Generator, num_blocks: int) -> list[Block]:
    """A convolutional net: big activations and few weights first, the opposite last."""
    levels = int(rng.integers(3, 6))
    side, channels = float(rng.choice([56, 112, 160])), float(rng.choice([24, 32, 64]))
    blocks = []
    for i in range(num_blocks):
        level = min(levels - 1, i * levels // num_blocks)
        area, wide = (side / 2**level) ** 2, channels * 2**level
        size = float(rng.uniform(0.6, 1.4))
        flop, weight = 2 * 9 * area * wide**2 * size, 4 * 9 * wide**2 * size
        blocks.append(_block(i, flop, weight, 4 * 3 * area * wide * size, 4 * area * wide))
    return blocks


def _uneven(rng: np.random.Generator, num_blocks: int) -> list[Block]:
    """Blocks that differ in everything by a factor of ten or more."""
    scale = between(rng, 0.5, 3)
    return [
        _block(
            i,
            between(rng, 0.2e9, 5e9) * scale,
            between(rng, 1e6, 60e6) * scale,
            between(rng, 1e6, 20e6) * scale,
            between(rng, 0.05e6, 2e6),
        )
        for i in range(num_blocks)
    ]
