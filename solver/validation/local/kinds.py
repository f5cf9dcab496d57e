"""Kinds: how a plan of each kind is drawn at random; cuts, groups and shares are all uneven by chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from models.workload import Workload

Words = dict[str, Any]


@dataclass(frozen=True)
class Ground:
    """What plans are drawn for.

    Parameters
    ----------
    workload
        What is trained.
    devices
        Names to choose from.
    rng
        Source of randomness.
    samples
        Fewest and most samples of a micro-batch.
    """

    workload: Workload
    devices: tuple[str, ...]
    rng: np.random.Generator
    samples: tuple[int, int]

    def some(self, low: int, high: int) -> list[str]:
        """Draw so many devices, in any order."""
        count = int(self.rng.integers(low, high + 1))
        return [self.devices[i] for i in self.rng.permutation(len(self.devices))[:count]]

    def parts(self, total: int, count: int) -> list[int]:
        """Draw so many numbers above zero that add up to a total."""
        cuts = np.sort(self.rng.choice(np.arange(1, total), count - 1, replace=False))
        return [int(part) for part in np.diff([0, *cuts.tolist(), total])]

    def cut(self, items: Sequence[str], count: int, least: int = 1) -> list[list[str]]:
        """Cut a list at random into so many parts of so many items at least."""
        sizes = self.parts(len(items) - count * (least - 1), count)
        ends = np.cumsum([0, *(size + least - 1 for size in sizes)])
        return [list(items[a:b]) for a, b in pairwise(ends.tolist())]

    def size(self) -> int:
        """Draw the samples of a micro-batch."""
        return int(self.rng.integers(self.samples[0], self.samples[1] + 1))

    def shares(self, group: Sequence[str], total: int) -> dict[str, int]:
        """Draw shares of a group that add up to a total."""
        return dict(zip(group, self.parts(total, len(group)), strict=True))


def data(ground: Ground) -> Words:
    """One stage on two to four devices that share its samples."""
    return _pipelines(_stages(ground, ["data"], ground.some(2, 4)))


def pipeline(ground: Ground) -> Words:
    """Two to five stages of one device each."""
    devices = ground.some(2, 5)
    return _pipelines(_stages(ground, ["data"] * len(devices), devices))


def gpipe(ground: Ground) -> Words:
    """A pipeline that does all forward passes first."""
    return pipeline(ground) | {"schedule": "gpipe"}


def hybrid(ground: Ground) -> Words:
    """Two or three stages on groups that share samples."""
    return _pipelines(_stages(ground, ["data"] * int(ground.rng.integers(2, 4)), ground.some(4, 6)))


def buckets(ground: Ground) -> Words:
    """A hybrid that reduces gradients during the backward pass."""
    return hybrid(ground) | {"sync": {"buckets": int(ground.rng.integers(2, 5))}}


def star(ground: Ground) -> Words:
    """Samples shared, gradients summed at a server."""
    words = data(ground)
    server = next(iter(words["pipelines"][0]["stages"][0]["shares"]))
    return words | {"sync": {"topology": "star", "server": server}}


def tensor(ground: Ground) -> Words:
    """One or two stages whose groups share heads and columns."""
    return _pipelines(_stages(ground, ["tensor"] * int(ground.rng.integers(1, 3)), ground.some(4, 5), 2))


def sequence(ground: Ground) -> Words:
    """One or two stages whose groups share tokens."""
    return _pipelines(_stages(ground, ["sequence"] * int(ground.rng.integers(1, 3)), ground.some(4, 5), 2))


def mixed(ground: Ground) -> Words:
    """Three stages of two devices, one of each mode."""
    modes = ["data", "tensor", "sequence"]
    return _pipelines(_stages(ground, [modes[i] for i in ground.rng.permutation(3)], ground.some(6, 6), 2))


def nested(ground: Ground) -> Words:
    """Samples shared among devices, one of which is a group that shares heads."""
    devices = ground.some(3, 5)
    size = max(ground.size(), len(devices) - 1)
    outer = devices[: len(devices) - 2]
    *samples, last = ground.parts(size, len(outer) + 1)
    heads = ground.shares(devices[-2:], _units(ground.workload, "tensor"))
    shares: Words = dict(zip(outer, samples, strict=True))
    shares["inner"] = {"samples": last, "mode": "tensor", "shares": heads}
    blocks = list(ground.workload.order)
    return _pipelines([size, [{"blocks": blocks, "mode": "data", "shares": shares}]])


def replicas(ground: Ground) -> Words:
    """Two pipelines side by side, each with its own cut and its own part of the batch."""
    first, second = ground.cut(ground.some(3, 5), 2)
    found = [_pipelines(_stages(ground, ["data"] * len(group), group)) for group in (first, second)]
    return {"pipelines": [words["pipelines"][0] for words in found]}


def folded(ground: Ground) -> Words:
    """Three stages on two devices: the first holds the ends, the second the middle."""
    a, b = ground.some(2, 2)
    size, stages = _stages(ground, ["data"] * 3, [a, b, "again"])
    stages[2]["shares"] = {a: size}
    return _pipelines([size, stages])


def recompute(ground: Ground) -> Words:
    """A pipeline that computes about half of its activations again."""
    words = pipeline(ground)
    for stage in words["pipelines"][0]["stages"]:
        chosen = [name for name in stage["blocks"] if ground.rng.random() < 0.5]
        stage["recompute"] = chosen or stage["blocks"][:1]
    return words


def lora(ground: Ground) -> Words:
    """A hybrid that trains low-rank adapters and the head."""
    head = ground.workload.order[-1]
    rank = int(ground.rng.choice([4, 8, 16]))
    return hybrid(ground) | {"job": {"tune": "lora", "lora_rank": rank, "trained": [head]}}


def dag(ground: Ground) -> Words:
    """One stage for each modality's encoder, one or two for the trunk they lead to."""
    sources = [block.name for block in ground.workload.blocks if block.modality is not None]
    towers = [[name for name in ground.workload.order if _belongs(name, source)] for source in sources]
    inside = {name for tower in towers for name in tower}
    trunk = [name for name in ground.workload.order if name not in inside]
    parts = [*towers, *ground.cut(trunk, int(ground.rng.integers(1, 3)))]
    groups = ground.cut(ground.some(len(parts), 6), len(parts))
    size = max(ground.size(), max(map(len, groups)))
    stages = [
        _stage(ground, blocks, "data", group, size) for blocks, group in zip(parts, groups, strict=True)
    ]
    return _pipelines([size, stages])


def _belongs(name: str, source: str) -> bool:
    return name.partition(".")[0] == source.partition(".")[0]


def _stages(ground: Ground, modes: list[str], devices: list[str], least: int = 1) -> list[Any]:
    """Draw samples, cuts and shares of a chain of stages of so many devices at least."""
    blocks = ground.cut(ground.workload.order, len(modes))
    groups = ground.cut(devices, len(modes), least)
    size = max(ground.size(), max(map(len, groups)))
    words = zip(blocks, modes, groups, strict=True)
    return [size, [_stage(ground, part, mode, group, size) for part, mode, group in words]]


def _stage(ground: Ground, blocks: list[str], mode: str, group: list[str], size: int) -> Words:
    total = size if mode == "data" else _units(ground.workload, mode)
    return {"blocks": blocks, "mode": mode, "shares": ground.shares(group, total)}


def _units(workload: Workload, mode: str) -> int:
    """Return how many heads, or tokens, there are to share."""
    if mode == "tensor":
        return max(block.tensor.heads or 0 for block in workload.blocks if block.tensor is not None)
    return max(block.tokens for block in workload.blocks if block.sequence is not None)


def _pipelines(drawn: list[Any]) -> Words:
    size, stages = drawn
    return {"pipelines": [{"samples": size, "micro_batches": 0, "stages": stages}]}


Kind = Callable[[Ground], Words]
