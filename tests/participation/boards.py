"""Small problems whose boards are partly equal."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.cluster import Cluster
from solver.job import Job
from solver.problem import Problem
from tests import random_plans


def board(name: str, gflop_per_s: float, **words: Any) -> dict[str, Any]:
    """A board of so many Gflop/s, 2 W idle and 6 W busy."""
    speed = {"fp32": gflop_per_s * 1e9}
    return {"name": name, "flop_per_s": speed, "memory_bytes": 1e9, "idle_w": 2, "busy_w": 6, **words}


def cluster(speeds: list[float], mbyte_per_s: float = 50.0, **words: Any) -> Cluster:
    """Boards d0, d1, ... of these speeds on one switch."""
    devices = [board(f"d{i}", speed) for i, speed in enumerate(speeds)]
    net = {"name": "net", "members": [d["name"] for d in devices], "bandwidth_bytes_per_s": mbyte_per_s * 1e6}
    return Cluster.model_validate({"name": "boards", "devices": devices, "segments": [net], **words})


def problem(speeds: list[float], mbyte_per_s: float = 50.0, seed: int = 0, **words: Any) -> Problem:
    """Three blocks of about 1 Gflop a sample, a batch of 4 in two micro-batches."""
    net = random_plans.chain(np.random.default_rng(seed), 3)
    return Problem(net, cluster(speeds, mbyte_per_s), Job(batch=4), num_micro_batches=2, **words)
