"""Chains and clusters small enough to plan by hand: seconds and bytes are whole numbers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from models.cluster import Cluster
from models.synthetic import random_chain, random_cluster
from models.workload import Workload
from solver.job import Job
from solver.plan import Plan
from solver.problem import Problem
from solver.settings import Settings


def chain(num_blocks: int, **words: Any) -> Workload:
    """Blocks that compute 2 flop forward and 2 backward and send 1 byte; words go to every block."""
    block = {"forward_flop": 2.0, "backward_weight_flop": 2.0, "weight_bytes": 1, "output_bytes": 1, **words}
    names = "abcdefgh"[:num_blocks]
    edges = [{"source": a, "target": b} for a, b in pairwise(names)]
    blocks = [{"name": name, **block} for name in names]
    return Workload.model_validate({"name": "chain", "blocks": blocks, "edges": edges})


def cluster(
    speeds: dict[str, float], kind: str = "switch", rate: float = 1e9, memory: dict[str, float] | None = None
) -> Cluster:
    """Devices of so many flop/s on one network of ``rate`` bytes/s; memory 1e9 bytes unless given."""
    devices = [
        {"name": name, "flop_per_s": {"fp32": speed}, "memory_bytes": (memory or {}).get(name, 1e9)}
        for name, speed in speeds.items()
    ]
    net = {"name": "net", "kind": kind, "members": list(speeds), "bandwidth_bytes_per_s": rate}
    segments = [net] if len(speeds) > 1 else []
    return Cluster.model_validate({"name": "cluster", "devices": devices, "segments": segments})


def problem(workload: Workload, boards: Cluster, batch: int = 4, **words: Any) -> Problem:
    """Micro-batches of one sample, unless said otherwise."""
    words.setdefault("num_micro_batches", batch)
    return Problem(workload, boards, Job(batch=batch), **words)


def placed(plan: Plan | None) -> list[tuple[str, str]]:
    """Return (blocks, devices) of every stage, as ``[("ab", "fast"), ("c", "slow")]``."""
    assert plan is not None
    return [("".join(s.blocks), "+".join(s.shares)) for s in plan.pipelines[0].stages]


def random_problem(seed: int, objective: str = "bottleneck") -> Problem:
    """A small chain on few devices, over any network and under any rule."""
    rng = np.random.default_rng(seed)
    workload = random_chain(rng, int(rng.integers(1, 7)))
    links = str(rng.choice(["switch", "shared", "pairs", "rooms"]))
    boards = random_cluster(rng, int(rng.integers(1, 5)), links)
    count = int(rng.choice([1, 2, 3, 4, 6, 12]))
    return Problem(
        workload,
        boards,
        Job(batch=count * int(rng.integers(1, 4)), optimizer="adamw" if rng.random() < 0.5 else "sgd"),
        objective=objective,
        num_micro_batches=count,
        schedule="gpipe" if rng.random() < 0.3 else "1f1b",
        settings=Settings(overlap=bool(rng.random() < 0.8), prefetch=int(rng.choice([1, 2, 4]))),
    )
