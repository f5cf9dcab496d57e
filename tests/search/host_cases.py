"""Random problems of placement through the host, and their cost rule written a second time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from solver.problem import Problem
from solver.search.splits.first_splits import value_s
from solver.search.splits.host_graph import HostGraph
from solver.suites import dnn_partitioning
from solver.suites.case import Case


def random_file(
    rng: np.random.Generator,
    *,
    num_nodes: int,
    training: bool,
    accelerators: int,
    cpus: int,
    tight: bool = False,
) -> dict[str, Any]:
    """Return a file: a random DAG, with colours, nodes without support, and backward nodes if training."""
    nodes: list[dict[str, Any]] = []
    edges: list[dict[str, Any]] = []
    pairs = [(a, b) for a in range(num_nodes) for b in range(a + 1, num_nodes) if rng.random() < 0.35]
    copy_ms = rng.choice([0.0, 0.5, 1.25, 3.1], 2 * num_nodes)

    def node(number: int, backward: bool, colour: int | None) -> None:
        nodes.append(
            {
                "id": 10 * number + 3,
                "name": f"n{number}",
                "supportedOnFpga": int(rng.random() < 0.9),
                "cpuLatency": float(rng.integers(0, 60)),
                "fpgaLatency": float(rng.integers(0, 12)),
                "size": float(rng.integers(0, 5)),
                "isBackwardNode": backward,
                **({} if colour is None else {"colorClass": colour}),
            }
        )

    colours = [int(rng.integers(0, 2 * num_nodes)) for _ in range(num_nodes)]
    for v in range(num_nodes):
        node(v, False, colours[v] if training or rng.random() < 0.5 else None)
    if training:
        for v in range(num_nodes):
            if rng.random() < 0.85:
                node(num_nodes + v, True, colours[v])
        there = {n["id"] for n in nodes}
        back = [(num_nodes + b, num_nodes + a) for a, b in pairs] + [
            (a, num_nodes + a) for a in range(num_nodes) if rng.random() < 0.7
        ]
        pairs += [(a, b) for a, b in back if 10 * a + 3 in there and 10 * b + 3 in there]
    for a, b in pairs:
        edges.append({"sourceId": 10 * a + 3, "destId": 10 * b + 3, "cost": float(copy_ms[a]), "size": 7.0})
    total = sum(n["size"] for n in nodes)
    return {
        "maxFPGAs": accelerators,
        "maxCPUs": cpus,
        "maxSizePerFPGA": float(np.ceil(total * 0.6 / max(1, accelerators)) + 2) if tight else 1e9,
        "nodes": nodes,
        "edges": edges,
    }


def problem_of(data: Mapping[str, Any], folder: Path, variant: str) -> Problem:
    """Return the problem of a file's content."""
    path = folder / "random.json"
    path.write_text(json.dumps(data))
    return dnn_partitioning.problem(Case("dnn-partitioning", "layer/random", str(path), variant))


def loads_ms(data: Mapping[str, Any], placed: Mapping[str, str]) -> dict[str, float]:
    """Return the load of every device that has a node, by the rules of the format, straight from the file."""
    loads: dict[str, float] = dict.fromkeys(placed.values(), 0.0)
    for node in data["nodes"]:
        device = placed[str(node["id"])]
        loads[device] += node["fpgaLatency"] if device.startswith("acc") else node["cpuLatency"]
        out = [edge for edge in data["edges"] if edge["sourceId"] == node["id"]]
        others = {placed[str(edge["destId"])] for edge in out} - {device}
        for name in {device, *others} if others else ():
            loads[name] += out[0]["cost"] if name.startswith("acc") else 0.0
    return loads


def latency_ms(data: Mapping[str, Any], placed: Mapping[str, str]) -> float:
    """Return the finish time of a sample, by the rules of the format; infinite if calls form a cycle."""
    call = {n: n if device.startswith("cpu") else device for n, device in placed.items()}
    apart = {n: f"cpu-{n}" if device.startswith("cpu") else device for n, device in placed.items()}
    lasts = loads_ms(data, apart)
    needs: dict[str, set[str]] = {name: set() for name in call.values()}
    for edge in data["edges"]:
        a, b = call[str(edge["sourceId"])], call[str(edge["destId"])]
        if a != b:
            needs[b].add(a)
    done: dict[str, float] = {}
    while len(done) < len(needs):
        ready = [name for name in needs if name not in done and needs[name] <= done.keys()]
        if not ready:
            return float("inf")
        for name in ready:
            start = max((done[other] for other in needs[name]), default=0.0)
            done[name] = start + lasts[name if name.startswith("acc") else f"cpu-{name}"]
    return max(done.values())


def least_s(host: HostGraph) -> float:
    """Return the least value of all splits: every group on every device; infinite if none is feasible."""
    best = float("inf")
    for devices in itertools.product(range(len(host.kind)), repeat=int(host.group.max()) + 1):
        split = np.array(devices, np.int32)[host.group]
        if host.is_feasible(split):
            best = min(best, value_s(host, split))
    return best
