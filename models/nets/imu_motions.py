"""Two modalities of a smart watch, accelerometer and gyroscope: two encoders, a fusion trunk, a head."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.nets.chain import half_layers
from models.nets.data import Arrays, Dataset
from models.nets.losses import cross_entropy
from models.nets.net import BlockSpec, NetSpec, TensorSpec
from models.nets.series import read_ts
from models.nets.shard import Interval
from models.nets.traits import Traits
from models.nets.transformer import Attention, Mlp
from models.nets.vit_digits import Head

FOLDER = Path(__file__).parent.parent / "data" / "basic_motions"
WIDTH, HEADS, CLASSES, LENGTH, PATCH = 128, 8, 4, 100, 5
MODALITIES = ("accelerometer", "gyroscope")


def basic_motions() -> Arrays:
    """Return all 80 recordings: each modality (80, 3, 100), standardised per axis; motion (80,)."""
    parts = [read_ts(FOLDER / f"BasicMotions_{part}.ts") for part in ("TRAIN", "TEST")]
    series = np.concatenate([part.series for part in parts])
    motions = sorted({label for part in parts for label in part.labels})
    target = np.array([motions.index(label) for part in parts for label in part.labels])
    mean, spread = series.mean(axis=(0, 2), keepdims=True), series.std(axis=(0, 2), keepdims=True)
    series = (series - mean) / spread
    return {"accelerometer": series[:, :3], "gyroscope": series[:, 3:]}, {"motion": target}


class SeriesEmbedding(nn.Module):
    """Cut a series of three axes into pieces of time, project them, add learned positions."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(3 * PATCH, WIDTH)
        self.position = nn.Parameter(0.02 * torch.randn(LENGTH // PATCH, WIDTH))
        self.traits = Traits(sequence="token")

    def forward(self, series: Tensor) -> Tensor:
        """Return tokens [samples, 20, width] of a series [samples, 3, 100]."""
        return self.at(series, tokens=(0, len(self.position)))

    def at(self, *inputs: Tensor, tokens: Interval) -> Tensor:
        """Return some of the tokens of a series."""
        pieces = inputs[0].unflatten(2, (-1, PATCH))[:, :, slice(*tokens)].transpose(1, 2).flatten(2)
        chosen: Tensor = self.project(pieces)
        return chosen + self.position[slice(*tokens)]


class Fusion(nn.Module):
    """Norm each modality, mark it, and lay the tokens one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in MODALITIES)
        self.marks = nn.Parameter(0.02 * torch.randn(len(MODALITIES), WIDTH))

    def forward(self, accelerometer: Tensor, gyroscope: Tensor) -> Tensor:
        """Return tokens [samples, 40, width]."""
        pairs = zip(self.norms, self.marks, (accelerometer, gyroscope), strict=True)
        return torch.cat([norm(tokens) + mark for norm, mark, tokens in pairs], dim=1)


def spec() -> NetSpec:
    """Return the specification: 16 blocks, 1.2 million weights."""
    attention, mlp = partial(Attention, WIDTH, HEADS), partial(Mlp, WIDTH, 4 * WIDTH)
    blocks: list[BlockSpec] = []
    ends: list[str] = []
    for modality in MODALITIES:
        blocks.append(BlockSpec(f"{modality}.embedding", SeriesEmbedding, modality=modality))
        blocks += half_layers(blocks[-1].name, f"{modality}.layer", 2, attention, mlp)
        ends.append(blocks[-1].name)
    blocks.append(BlockSpec("fusion", Fusion, tuple(ends)))
    blocks += half_layers("fusion", "trunk", 2, attention, mlp)
    head = partial(Head, 40, WIDTH, CLASSES)
    blocks.append(BlockSpec("head", head, (blocks[-1].name,), loss=cross_entropy("motion")))
    return NetSpec(
        name="imu_motions",
        description="Two-modality transformer on BasicMotions (smart watch, 3 axes each of "
        "accelerometer and gyroscope, 100 time steps): per modality 20 tokens and 2 layers, a fusion "
        "trunk of 2 layers over 40 tokens, 128 columns, 8 heads, 4 motions.",
        source="own dimensions",
        blocks=tuple(blocks),
        inputs={modality: TensorSpec((3, LENGTH)) for modality in MODALITIES},
        targets={"motion": TensorSpec((), "int", CLASSES)},
        dataset=Dataset("basic_motions", basic_motions),
        private=frozenset(MODALITIES),
    )
