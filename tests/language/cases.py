"""Tiny workloads, clusters and plans of round numbers, and timelines as text.

Devices compute 1 flop/s and links carry 1 byte/s unless said, so flop and bytes read as seconds.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from models.cluster import Cluster
from models.document import validate
from models.workload import Workload
from solver.evaluate import evaluate
from solver.plan import Plan
from solver.program import Instruction, Kind
from solver.report import Report
from solver.settings import Settings


def block(name: str, forward: float = 1, backward: float = 2, **more: Any) -> dict[str, Any]:
    """A trained block of 4 bytes whose backward cost does not depend on what is trained before it."""
    own = {"forward_flop": forward, "backward_weight_flop": backward, "weight_bytes": 4}
    return {"name": name, **own, **more}


def workload(*blocks: dict[str, Any], edges: str = "", **more: Any) -> Workload:
    """A chain of the blocks, or the DAG of ``edges``, as ``"a b, a c"``; ``"a b 0.5"`` has a share."""
    names = [item["name"] for item in blocks]
    pairs = [pair.split() for pair in edges.split(",")] if edges else pairwise(names)
    found = [
        {"source": source, "target": target, **({"share": float(share[0])} if share else {})}
        for source, target, *share in pairs
    ]
    return validate(Workload, {"name": "tiny", "blocks": blocks, "edges": found, **more}, "workload")


def device(name: str, speed: float = 1, **more: Any) -> dict[str, Any]:
    """A device with room for everything."""
    return {"name": name, "flop_per_s": {"fp32": speed}, "memory_bytes": 1e9, **more}


def cluster(*devices: dict[str, Any] | str, rate: float = 1, kind: str = "switch", **more: Any) -> Cluster:
    """Devices in one segment, ``net``."""
    boards = [device(item) if isinstance(item, str) else item for item in devices]
    names = [board["name"] for board in boards]
    net = {"name": "net", "kind": kind, "members": names, "bandwidth_bytes_per_s": rate}
    network = {} if len(boards) == 1 else {"segments": [net]}
    return validate(Cluster, {"name": "boards", "devices": boards, **network, **more}, "cluster")


def plan(*pipelines: dict[str, Any], **more: Any) -> Plan:
    """A plan as a person writes it; ``job`` needs no batch where the pipelines tell it."""
    batch = 0
    for pipeline in pipelines:
        count = pipeline["micro_batches"]
        if isinstance(count, int):
            batch += count * pipeline["samples"]
        else:
            batch += sum(item["samples"] for item in count)
    document = {
        "version": 1,
        "workload": {"name": "tiny"},
        "cluster": {"name": "boards"},
        "pipelines": list(pipelines),
        **more,
        "job": {"batch": batch, **more.get("job", {})},
    }
    return validate(Plan, document, "plan")


def pipeline(micro_batches: Any, samples: int, *stages: dict[str, Any]) -> dict[str, Any]:
    """A pipeline as a person writes it."""
    return {"micro_batches": micro_batches, "samples": samples, "stages": list(stages)}


def stage(blocks: str, shares: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A stage as a person writes it; block names apart by spaces."""
    return {"blocks": blocks.split(), "shares": shares, **more}


def score(plan: Plan, workload: Workload, cluster: Cluster, **settings: Any) -> Report:
    """Evaluate under settings; of the settings only what differs is named."""
    return evaluate(plan, workload, cluster, Settings(**settings))


def instructions(report: Report, device: str) -> list[tuple[Instruction, float, float]]:
    """The list of a device with starts and ends."""
    start, end = report.timeline.start_s, report.timeline.end_s
    return [(item, start[item.index], end[item.index]) for item in report.program.of_device(device)]


def walk(report: Report, device: str) -> str:
    """The timeline of a device as ``F#0 0-1, send->b#0 1-2``; its receives are the senders' lines."""
    found = []
    for item, start, end in instructions(report, device):
        if item.row.kind == Kind.RECV or not (item.row.lanes or item.row.kind == Kind.HANDOVER):
            continue
        number = f"#{item.micro_batch}" if item.micro_batch >= 0 else ""
        found.append(f"{item.row.label}{number} {round(start, 6):g}-{round(end, 6):g}")
    return ", ".join(found)


def received(report: Report, device: str) -> str:
    """The receives of a device as ``<-a#0 1-2``."""
    return ", ".join(
        f"<-{item.row.peer}{f'#{item.micro_batch}' if item.micro_batch >= 0 else ''} "
        f"{round(start, 6):g}-{round(end, 6):g}"
        for item, start, end in instructions(report, device)
        if item.row.kind == Kind.RECV
    )
