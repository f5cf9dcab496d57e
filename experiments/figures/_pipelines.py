"""Chains, boards and pipelines of any size, for figures of speed."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.cluster import Cluster
from models.workload import Workload
from solver.plan import Plan

SAMPLES = 16

HYBRID = (
    {"d0": 6, "d1": 10},
    {"d2": 16},
    {"d3": 4, "d4": 4, "d5": 8},
    {"d6": 16},
    {"d7": 16},
)
"""Five stages over eight boards, two of them groups with uneven shares."""


def chain(num_blocks: int) -> Workload:
    """A chain of unequal blocks."""
    edges = [{"source": f"b{i}", "target": f"b{i + 1}"} for i in range(num_blocks - 1)]
    return Workload.model_validate({"name": "chain", "blocks": unequal_blocks(num_blocks), "edges": edges})


def unequal_blocks(num_blocks: int) -> list[dict[str, Any]]:
    """Blocks of unequal costs, the same at every call."""
    rng = np.random.default_rng(0)
    return [
        {
            "name": f"b{i}",
            "forward_flop": float(rng.uniform(1e8, 1e9)),
            "backward_input_flop": float(rng.uniform(1e8, 1e9)),
            "backward_weight_flop": float(rng.uniform(1e8, 1e9)),
            "weight_bytes": 4 * int(rng.integers(1e5, 1e6)),
            "kept_bytes": int(rng.integers(1e5, 1e6)),
            "output_bytes": 4 * int(rng.integers(1e3, 1e5)),
        }
        for i in range(num_blocks)
    ]


def boards(num_devices: int) -> Cluster:
    """Unequal boards behind one access point at 125 MB/s."""
    devices = [
        {
            "name": f"d{i}",
            "flop_per_s": {"fp32": 1e11 * (1 + i % 4)},
            "memory_bytes": 2e8 * (1 + i % 3),
            "memory_bytes_per_s": 2e10,
            "idle_w": 2,
            "busy_w": 8,
            "radio_w": 1,
            "overhead_s": 1e-4,
        }
        for i in range(num_devices)
    ]
    access_point = {
        "name": "wifi",
        "kind": "shared",
        "members": [device["name"] for device in devices],
        "bandwidth_bytes_per_s": 1.25e8,
        "latency_s": 1e-3,
    }
    return Cluster.model_validate({"name": "boards", "devices": devices, "segments": [access_point]})


def hybrid(num_micro_batches: int, num_blocks: int = 24) -> Plan:
    """The plan of HYBRID, blocks evenly cut."""
    ends = [round(num_blocks * (s + 1) / len(HYBRID)) for s in range(len(HYBRID))]
    stages = [
        {"blocks": [f"b{i}" for i in range(start, end)], "shares": shares}
        for start, end, shares in zip([0, *ends], ends, HYBRID, strict=False)
    ]
    pipeline = {"micro_batches": num_micro_batches, "samples": SAMPLES, "stages": stages}
    return Plan.model_validate(
        {
            "workload": {"name": "chain"},
            "cluster": {"name": "boards"},
            "job": {"batch": num_micro_batches * SAMPLES, "optimizer": "adamw"},
            "pipelines": [pipeline],
        }
    )
