"""Random workloads, clusters and plans that several tests draw from, by seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

from models.cluster import Cluster
from models.workload import Workload
from solver.plan import Plan


def chain(rng: Generator, num_blocks: int, **extra: Any) -> Workload:
    """A chain of blocks whose costs differ by an order of magnitude."""
    blocks = [
        {
            "name": f"b{i}",
            "forward_flop": float(rng.uniform(1e8, 1e9)),
            "backward_input_flop": float(rng.uniform(1e8, 1e9)),
            "backward_weight_flop": float(rng.uniform(1e8, 1e9)),
            "weight_bytes": 4 * int(rng.integers(0, 200_000)),
            "kept_bytes": int(rng.integers(0, 300_000)),
            "kept_frozen_bytes": int(rng.integers(0, 100_000)),
            "output_bytes": int(rng.integers(1, 100_000)),
        }
        for i in range(num_blocks)
    ]
    edges = [{"source": f"b{i}", "target": f"b{i + 1}"} for i in range(num_blocks - 1)]
    return Workload.model_validate({"name": "chain", "blocks": blocks, "edges": edges, **extra})


def dag(rng: Generator, num_blocks: int) -> Workload:
    """Blocks that each read from one to three of the four before them."""
    plain = chain(rng, num_blocks).model_dump()
    plain["edges"] = [
        {"source": f"b{j}", "target": f"b{i}"}
        for i in range(1, num_blocks)
        for j in sorted(
            set(rng.integers(max(0, i - 4), i, size=rng.integers(1, min(3, i) + 1)).tolist()) | {i - 1}
            if rng.random() < 0.5
            else {int(rng.integers(max(0, i - 4), i))}
        )
    ]
    return Workload.model_validate(plain)


HEADS = 12


def with_heads(workload: Workload) -> Workload:
    """The same blocks, which may also be cut over heads, with an all-reduce within each pass."""
    plain = workload.model_dump()
    for block in plain["blocks"]:
        size = block["output_bytes"]
        whole = {"operation": "all_reduce", "bytes_per_sample": size}
        passes = [{**whole, "phase": "forward", "at": 0.5}, {**whole, "phase": "backward"}]
        block["tensor"] = {"heads": HEADS, "weight_bytes": block["weight_bytes"] // 2, "collectives": passes}
    return Workload.model_validate(plain)


def cluster(rng: Generator, num_devices: int) -> Cluster:
    """Unequal devices behind a switch, one or two shared media, and now and then a direct link."""
    names = [f"d{i}" for i in range(num_devices)]
    devices = [
        {
            "name": name,
            "kind": f"kind{rng.integers(3)}",
            "flop_per_s": {"fp32": float(rng.uniform(1e10, 1e12)), "bf16": 1e12},
            "memory_bytes": float(rng.uniform(1e6, 6e7)),
            "memory_bytes_per_s": float(rng.uniform(1e9, 1e10)) if rng.random() < 0.7 else None,
            "idle_w": float(rng.uniform(0, 3)),
            "busy_w": float(rng.uniform(3, 15)),
            "sleep_w": 0.4,
            "radio_w": float(rng.uniform(0, 2)),
            "overhead_s": float(rng.uniform(0, 1e-3)) if rng.random() < 0.5 else 0.0,
        }
        for name in names
    ]
    for i, device in enumerate(devices):  # no random number: other draws stay what they are
        device["trust"] = i * 7 % 3
        device["carbon_g_per_kwh"] = 100.0 * (i * 5 % 4)
    half = max(1, num_devices // 2)
    latency = float(rng.uniform(0, 2e-3)) if rng.random() < 0.5 else 0.0
    near = {"bandwidth_bytes_per_s": float(rng.uniform(1e7, 1e8)), "latency_s": latency}
    kinds = ["shared" if rng.random() < 0.5 else "switch" for _ in range(3)]
    if num_devices < 3 or rng.random() < 0.3:
        segments = [{"name": "net", "kind": kinds[0], "members": names, **near}] if num_devices > 1 else []
    else:
        rooms = [(f"room{i}", part) for i, part in enumerate((names[:half], names[half:]))]
        segments = [
            {"name": room, "kind": kind, "members": [*part, "bridge"], **near}
            for (room, part), kind in zip(rooms, kinds, strict=False)
        ]
        bridge = {"name": "bridge", "kind": kinds[2], "members": ["room0", "room1"], "latency_s": latency}
        segments.append({**bridge, "bandwidth_bytes_per_s": float(rng.uniform(5e6, 5e7))})
    links = []
    if num_devices > 2 and rng.random() < 0.5:
        pair = rng.choice(num_devices, 2, replace=False)
        rate = float(rng.uniform(1e6, 1e9))
        links.append({"between": [names[pair[0]], names[pair[1]]], "bandwidth_bytes_per_s": rate})
    return Cluster.model_validate(
        {"name": "random", "devices": devices, "segments": segments, "links": links}
    )


def cuts(rng: Generator, num_blocks: int, num_stages: int) -> list[tuple[int, int]]:
    """A random cut of blocks into contiguous stages."""
    inner = np.sort(rng.choice(np.arange(1, num_blocks), num_stages - 1, replace=False)).tolist()
    return list(zip([0, *inner], [*inner, num_blocks], strict=True))


def parts(rng: Generator, total: int, num: int) -> list[int]:
    """A random split of a number into positive parts."""
    inner = np.sort(rng.choice(np.arange(1, total), num - 1, replace=False)).tolist()
    return np.diff([0, *inner, total]).tolist()


def job(rng: Generator, batch: int, **extra: Any) -> dict[str, Any]:
    """A training job with a random optimizer."""
    return {"batch": batch, "optimizer": str(rng.choice(["sgd", "momentum", "adamw"])), **extra}


def pipeline(
    rng: Generator, num_blocks: int, names: list[str], micro_batches: int, samples: int, *, apart: bool = True
) -> dict[str, Any]:
    """A pipeline of random contiguous stages; `apart`: no device is in two of them."""
    most = min(num_blocks, len(names)) if apart else min(num_blocks, 6)
    num_stages = int(rng.integers(1, most + 1))
    if apart:
        chosen = rng.permutation(len(names))[: int(rng.integers(num_stages, len(names) + 1))]
        sizes = parts(rng, len(chosen), num_stages)
        groups = [sorted(group.tolist()) for group in np.split(chosen, np.cumsum(sizes)[:-1])]
    else:
        groups = [
            sorted(
                rng.choice(len(names), int(rng.integers(1, min(3, len(names)) + 1)), replace=False).tolist()
            )
            for _ in range(num_stages)
        ]
    stages = []
    for (start, end), group in zip(cuts(rng, num_blocks, num_stages), groups, strict=True):
        group = group[:samples]
        shares = {names[d]: n for d, n in zip(group, parts(rng, samples, len(group)), strict=True)}
        stages.append({"blocks": [f"b{i}" for i in range(start, end)], "shares": shares})
    if rng.random() < 0.4:
        for stage in stages:
            stage["in_flight"] = int(rng.integers(1, micro_batches + 2))
    return {"micro_batches": micro_batches, "samples": samples, "stages": stages}


def plan(pipelines: list[dict[str, Any]], job: dict[str, Any], **extra: Any) -> Plan:
    """A plan around pipelines."""
    base = {"workload": {"name": "chain"}, "cluster": {"name": "random"}}
    return Plan.model_validate({**base, "job": job, "pipelines": pipelines, **extra})


def any_case(seed: int) -> tuple[Plan, Workload, Cluster]:
    """A case of any kind: chains, DAGs, shared devices, several pipelines, unlike micro-batches, serving."""
    rng = np.random.default_rng(seed)
    num_blocks, num_devices = int(rng.integers(2, 10)), int(rng.integers(1, 7))
    net = dag(rng, num_blocks) if rng.random() < 0.4 else chain(rng, num_blocks)
    boards = cluster(rng, num_devices)
    if rng.random() < 0.5:
        net = with_heads(net)
    names = [device.name for device in boards.devices]
    samples, count = int(rng.integers(6, 13)), int(rng.integers(1, 9))
    lines = [
        pipeline(rng, num_blocks, names, count, samples, apart=rng.random() < 0.5)
        for _ in range(int(rng.integers(1, 3)))
    ]
    asked = job(rng, samples * count * len(lines))
    if rng.random() < 0.2:
        asked["frozen"] = [f"b{i}" for i in range(int(rng.integers(1, num_blocks)))]
    serving = rng.random() < 0.2
    for line in lines:
        if serving:
            asked |= {"kind": "serve", "arrival_interval_s": float(rng.uniform(0, 0.01))}
            for stage in line["stages"]:
                stage.pop("in_flight", None)
                stage["instances"] = {next(iter(stage["shares"])): 2}
                stage["routing"] = {name: float(rng.uniform(0.1, 1)) for name in stage["shares"]}
            continue
        for stage in line["stages"]:
            if len(stage["shares"]) > 1 and rng.random() < 0.3:
                heads = parts(rng, HEADS, len(stage["shares"]))
                stage |= {"mode": "tensor", "shares": dict(zip(stage["shares"], heads, strict=True))}
        if rng.random() < 0.3:
            line["micro_batches"] = [{"samples": int(n)} for n in rng.integers(1, samples + 1, count)]
    schedule = str(rng.choice(["1f1b", "gpipe"]))
    return plan(lines, asked, schedule=schedule), net, boards
