"""The published cost rules once more, from raw files and documents of solutions: nothing of the project.

Rules: READMEs of the instances, and the authors' programs (see `solver/lowering/stage_loads.py`).
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import numpy as np


def piper_value(data: dict[str, Any], document: dict[str, Any], bandwidth: int) -> tuple[float, float]:
    """Return (seconds per sample of the slowest stage, most memory of a device in bytes) of a solution."""
    nodes = {node["id"]: node["TMPCs"] for node in data["nodes"]}
    stages = document["stages"]
    stage_of = {node: s for s, stage in enumerate(stages) for node in stage["nodes"]}
    assert sorted(node for stage in stages for node in stage["nodes"]) == sorted(nodes)
    assert all(stage_of[edge["sourceId"]] <= stage_of[edge["destId"]] for edge in data["edges"])
    counts = [stage["data_parallel"] for stage in stages]
    assert all(document["batch"] % d == 0 for d in counts) and sum(counts) <= document["batch"]
    degrees = [stage["tensor_parallel"] for stage in stages]
    assert sum(d * t for d, t in zip(counts, degrees, strict=True)) <= document["max_devices"]
    loads, memory = [], []
    for s, stage in enumerate(stages):
        d, time, moved, parameters, held = counts[s], 0.0, 0.0, 0.0, 0.0
        in_flight = int(np.ceil(sum(counts[s:]) / d))
        for node in stage["nodes"]:
            variant = nodes[node][str(degrees[s])][stage["variants"][str(node)]]
            time += variant["timePerSample"]
            parameters += variant["parameterSize"]
            held += variant["memoryUsageA"] * in_flight + variant["memoryUsageB"]
            for edge in data["edges"]:
                if edge["sourceId"] == node and stage_of[edge["destId"]] != s:
                    moved += edge["communicationCost"] + variant["syncTimeBw"].get(str(edge["destId"]), 0)
                if edge["destId"] == node and stage_of[edge["sourceId"]] != s:
                    moved += edge["communicationCost"] + variant["syncTimeFw"].get(str(edge["sourceId"]), 0)
        sync = 4 * (d - 1) / d * parameters / document["batch"]
        loads.append(time / d + (2 * moved / d + sync) / bandwidth)
        memory.append(held)
    return max(loads), max(memory)


def pipedream_value(text: str, document: dict[str, Any]) -> float:
    """Return the seconds of the slowest stage of a solution."""
    figures: dict[str, tuple[float, float]] = {}
    what: dict[str, str] = {}
    edges = []
    for line in text.splitlines():
        if line.startswith("\t"):
            edges.append(tuple(line.strip().split(" -- ")))
        elif line:
            name, what[name], numbers = line.split(" -- ")[0], *line.split(" -- ")[1:]
            given = dict(re.findall(r"(\w+)=(\[.*?\]|[^,]*)", numbers))
            compute = float(given["forward_compute_time"]) + float(given["backward_compute_time"])
            figures[name] = compute / 1000, float(given["parameter_size"])
    inputs = {n for n in figures if what[n].startswith("Input") and n not in {target for _, target in edges}}
    unread = {n for n in figures if what[n].startswith("__getitem__") and n not in {s for s, _ in edges}}
    kept = figures.keys() - inputs - unread
    stages = document["stages"]
    stage_of = {node: s for s, stage in enumerate(stages) for node in stage["nodes"]}
    assert sorted(node for stage in stages for node in stage["nodes"]) == sorted(kept)
    assert all(stage_of[a] <= stage_of[b] for a, b in edges if a in kept and b in kept)
    assert sum(stage["replicas"] for stage in stages) <= document["num_devices"]
    loads = []
    for stage in stages:
        r = stage["replicas"]
        compute = sum(Fraction(figures[node][0]) for node in stage["nodes"])
        weights = sum(Fraction(figures[node][1]) for node in stage["nodes"])
        rate = Fraction(document["bandwidth_bytes_per_s"])
        loads.append(float((compute + 4 * (r - 1) * weights / (r * rate)) / r))
    return max(loads)


def random_piper(
    rng: np.random.Generator, num_nodes: int, degrees: tuple[int, ...] = (1, 2)
) -> dict[str, Any]:
    """Return a random DAG in Piper's format, ids not in order, variants that differ in everything."""
    ids = [int(i) for i in rng.permutation(num_nodes) * 3]
    pairs = [
        (ids[a], ids[b]) for a in range(num_nodes) for b in range(a + 1, num_nodes) if rng.random() < 0.6
    ]
    nodes = []
    are_same = rng.random() < 0.5  # as in real files: recomputation does not change the parameters
    for i in ids:
        into = {str(a): float(rng.integers(0, 50)) for a, b in pairs if b == i}
        out = {str(b): float(rng.integers(0, 50)) for a, b in pairs if a == i}
        table = {
            str(t): [
                {
                    "id": f"variant {v}",
                    "timePerSample": float(rng.integers(1, 100)) / (10 * t) * (1 + v * 0.3),
                    "parameterSize": 40.0 / t if are_same else float(rng.integers(0, 40)),
                    "memoryUsageA": float(rng.integers(1, 30) // (1 + v)),
                    "memoryUsageB": float(rng.integers(0, 40)),
                    "syncTimeFw": {name: value * t for name, value in into.items()},
                    "syncTimeBw": {name: value * (t + v) for name, value in out.items()},
                }
                for v in range(int(rng.integers(1, 4)))
            ]
            for t in degrees
        }
        nodes.append({"id": i, "name": "layer", "TMPCs": table})
    edges = [{"sourceId": a, "destId": b, "communicationCost": float(rng.integers(0, 60))} for a, b in pairs]
    return {
        "maxDevices": 4,
        "maxMemoryPerDevice": 100.0,
        "bandwidth": 10.0,
        "mbsInBatch": int(rng.choice([12, 24])),
        "nodes": nodes,
        "edges": edges,
    }


def random_pipedream(rng: np.random.Generator, num_nodes: int) -> str:
    """Return a random profile in PipeDream's format, with an input, an unread output and lists of sizes."""
    lines, edges = [], []
    for i in range(1, num_nodes + 1):
        sizes = "[5.0; 3.0]" if rng.random() < 0.3 else f"{rng.integers(0, 99)}.000"
        times = rng.integers(0, 90, 2) / 10
        figures = f"forward_compute_time={times[0]}, backward_compute_time={times[1]}, "
        figures += f"activation_size={sizes}, parameter_size={rng.integers(0, 8) * 1e6}"
        lines.append(f"node{i} -- Conv2d({i}, 3, size=(1, 1)) -- {figures}")
        edges += [f"\tnode{j} -- node{i}" for j in range(1, i) if rng.random() < 0.6]
    same = (
        "forward_compute_time=635.9, backward_compute_time=0.000, activation_size=7.0, parameter_size=0.000"
    )
    lines += [f"node{num_nodes + 1} -- Input0 -- {same}", f"node{num_nodes + 2} -- __getitem__(1) -- {same}"]
    edges += [f"\tnode{num_nodes + 1} -- node1", f"\tnode1 -- node{num_nodes + 2}"]
    order = rng.permutation(len(lines))
    return "\n".join([*(lines[i] for i in order), *edges]) + "\n"
