"""Accelerometer and gyroscope of a smart watch, matched: two encoders that meet in a contrastive loss."""

from __future__ import annotations

from functools import partial

import numpy as np

from models.nets.chain import half_layers
from models.nets.clip_b32 import Pair
from models.nets.data import Arrays, Dataset
from models.nets.ends import TokenHead
from models.nets.imu_motions import HEADS, LENGTH, MODALITIES, WIDTH, SeriesEmbedding, basic_motions
from models.nets.losses import contrastive
from models.nets.net import BlockSpec, NetSpec, TensorSpec
from models.nets.transformer import Attention, Mlp

JOINT = 32


def recordings() -> Arrays:
    """Return all 80 recordings: each modality (80, 3, 100); match (80,), which recording it is."""
    series, targets = basic_motions()
    return series, {"match": np.arange(len(targets["motion"]))}


def spec() -> NetSpec:
    """Return the specification: 9 blocks, 0.4 million weights."""
    attention, mlp = partial(Attention, WIDTH, HEADS), partial(Mlp, WIDTH, 4 * WIDTH)
    blocks: list[BlockSpec] = []
    for modality in MODALITIES:
        blocks.append(BlockSpec(f"{modality}.embedding", SeriesEmbedding, modality=modality))
        blocks += half_layers(blocks[-1].name, f"{modality}.layer", 1, attention, mlp)
        projection = partial(TokenHead, WIDTH, JOINT, bias=False)
        blocks.append(BlockSpec(f"{modality}.projection", projection, (blocks[-1].name,)))
    ends = tuple(f"{modality}.projection" for modality in MODALITIES)
    return NetSpec(
        name="imu_pairs",
        description="Which gyroscope recording belongs to which of the accelerometer (BasicMotions): per "
        f"modality 20 tokens, 1 layer of {WIDTH} columns and {HEADS} heads, and a projection to {JOINT} "
        "columns; the similarity of all pairs of a batch is in the loss, whose operations are not counted. "
        "Attention keeps its probabilities for the backward pass.",
        source="own dimensions",
        blocks=(*blocks, BlockSpec("pair", Pair, ends, loss=contrastive("match"))),
        inputs={modality: TensorSpec((3, LENGTH)) for modality in MODALITIES},
        targets={"match": TensorSpec((), "int", 80)},
        dataset=Dataset("basic_motions_pairs", recordings),
        private=frozenset(MODALITIES),
    )
