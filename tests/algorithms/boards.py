"""A chain of four equal blocks on boards of round speed, for plans that can be worked out by hand."""

from __future__ import annotations

from typing import Any

from models.cluster import Cluster
from models.workload import Workload
from solver.job import Job
from solver.problem import Problem

GFLOP = 1e9


def chain(num_blocks: int = 4, **words: Any) -> Workload:
    """Blocks of 1 Gflop forward and 1 Gflop for the gradients of their weights; no gradient of the input."""
    blocks = [
        {
            "name": f"b{i}",
            "forward_flop": GFLOP,
            "backward_weight_flop": GFLOP,
            "weight_bytes": 1000,
            "output_bytes": 100,
            **words,
        }
        for i in range(num_blocks)
    ]
    edges = [{"source": f"b{i}", "target": f"b{i + 1}"} for i in range(num_blocks - 1)]
    return Workload.model_validate({"name": "chain", "blocks": blocks, "edges": edges})


def boards(*gflop_per_s: float, memory_bytes: float = 1e9) -> Cluster:
    """Boards x0, x1, ... on a switch so fast that links hardly count."""
    names = [f"x{i}" for i in range(len(gflop_per_s))]
    devices = [
        {"name": name, "flop_per_s": {"fp32": speed * GFLOP}, "memory_bytes": memory_bytes}
        for name, speed in zip(names, gflop_per_s, strict=True)
    ]
    net = {"name": "net", "members": names, "bandwidth_bytes_per_s": 1e15}
    return Cluster.model_validate(
        {"name": "boards", "devices": devices, "segments": [net] if len(names) > 1 else []}
    )


def problem(
    cluster: Cluster, objective: str = "time", workload: Workload | None = None, **words: Any
) -> Problem:
    """A batch of 8 samples."""
    words = {"num_micro_batches": 1, **words}
    return Problem(workload or chain(), cluster, Job(batch=8), objective, **words)
