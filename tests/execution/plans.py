"""Small plans on real nets, with clusters whose numbers are round."""

from __future__ import annotations

from typing import Any

from models import catalog
from models.cluster import Cluster
from models.workload import Workload
from solver.plan import Plan

VIT = [block.name for block in catalog.workload("vit_digits").blocks]


def cluster(*names: str, shared: bool = False) -> Cluster:
    """Devices of 10 Gflop/s on a switch (or one shared medium) of 100 MB/s."""
    devices = [
        {
            "name": name,
            "flop_per_s": {"fp32": 1e10, "fp64": 1e10, "bf16": 1e10},
            "memory_bytes": 1e10,
            "memory_bytes_per_s": 1e10,
            "overhead_s": 1e-3,
        }
        for name in names
    ]
    segment = {
        "name": "net",
        "kind": "shared" if shared else "switch",
        "members": list(names),
        "bandwidth_bytes_per_s": 1e8,
        "latency_s": 1e-3,
    }
    segments = [segment] if len(names) > 1 else []
    return Cluster.model_validate({"name": "test", "devices": devices, "segments": segments})


def plan(pipelines: list[dict[str, Any]], workload: str = "vit_digits", **rest: Any) -> Plan:
    """A plan; words that belong to the job go there."""
    words = {"optimizer": "momentum", "precision": "fp32", "frozen": ()}
    job = {key: rest.pop(key, value) for key, value in words.items()}
    job |= {key: rest.pop(key) for key in ("tune", "lora_rank", "lora_alpha", "trained") if key in rest}
    samples = [_num_samples(p) for p in pipelines]
    return Plan.model_validate(
        {
            "workload": {"name": workload},
            "cluster": {"name": "test"},
            "job": {"batch": sum(samples), **job},
            "pipelines": pipelines,
            **rest,
        }
    )


def _num_samples(pipeline: dict[str, Any]) -> int:
    batches = pipeline["micro_batches"]
    return pipeline["samples"] * batches if isinstance(batches, int) else sum(b["samples"] for b in batches)


def pipeline(micro_batches: int, samples: int, *stages: tuple[list[str], dict[str, int]]) -> dict[str, Any]:
    """A pipeline of stages (blocks, shares)."""
    return {
        "micro_batches": micro_batches,
        "samples": samples,
        "stages": [{"blocks": blocks, "shares": shares} for blocks, shares in stages],
    }


def data_plan(**rest: Any) -> Plan:
    return plan([pipeline(2, 8, (VIT, {"a": 5, "b": 3}))], **rest)


def chain_plan(**rest: Any) -> Plan:
    return plan([pipeline(3, 4, (VIT[:5], {"a": 4}), (VIT[5:], {"b": 4}))], **rest)


def hybrid_plan(**rest: Any) -> Plan:
    """Two stages of two devices each; 5:3 before the boundary, 2:6 after it, and the first stage's first
    device keeps part of the work of the second."""
    first, second = {"a": 5, "b": 3}, {"c": 2, "d": 6}
    return plan([pipeline(2, 8, (VIT[:5], first), (VIT[5:], second))], **rest)


def dag(workload: str = "imu_motions") -> tuple[Workload, dict[str, list[str]]]:
    """The workload of two modalities, and its blocks by part."""
    card = catalog.workload(workload)
    names = [block.name for block in card.blocks]
    parts = {
        "accelerometer": [name for name in names if name.startswith("accelerometer")],
        "gyroscope": [name for name in names if name.startswith("gyroscope")],
    }
    parts["trunk"] = [name for name in names if name not in parts["accelerometer"] + parts["gyroscope"]]
    return card, parts
