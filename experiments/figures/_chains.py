"""Random chains on unequal boards, and exhaustive search by the batch scorer, which knows no solver."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations

import numpy as np

from models.cluster import Cluster
from models.workload import Workload
from solver.batch import PackedPlans
from solver.job import Job
from solver.problem import Problem
from solver.search.batch_figures import scorer_of

NUM_MICRO_BATCHES = 4


def random_problem(seed: int) -> Problem:
    """Up to 6 blocks on up to 4 unequal boards; equal, unequal or shared links; memory loose or tight."""
    rng = np.random.default_rng(seed)
    num_blocks, num_devices = int(rng.integers(1, 7)), int(rng.integers(1, 5))
    blocks = [
        {
            "name": f"b{i}",
            "forward_flop": float(rng.integers(1, 100)) * 1e6,
            "backward_input_flop": float(rng.integers(1, 100)) * 1e6,
            "backward_weight_flop": float(rng.integers(1, 100)) * 1e6,
            "weight_bytes": int(rng.integers(1, 50)) * 100_000,
            "kept_bytes": int(rng.integers(1, 50)) * 10_000,
            "kept_frozen_bytes": int(rng.integers(0, 10)) * 10_000,
            "output_bytes": int(rng.integers(1, 50)) * 10_000,
        }
        for i in range(num_blocks)
    ]
    edges = [{"source": f"b{i}", "target": f"b{i + 1}"} for i in range(num_blocks - 1)]
    total = sum(2 * b["weight_bytes"] + 8 * b["kept_bytes"] for b in blocks)
    room = total * float(rng.choice([2.0, 0.8, 0.5]))
    devices = [
        {
            "name": f"d{i}",
            "flop_per_s": {"fp32": float(rng.integers(5, 100)) * 1e8},
            "memory_bytes": room * float(rng.uniform(0.6, 1.4)),
            "overhead_s": float(rng.choice([0.0, 1e-3])),
        }
        for i in range(num_devices)
    ]
    cluster = Cluster.model_validate({"name": "c", "devices": devices, **network(rng, num_devices)})
    frozen = ("b0",) if num_blocks > 1 and rng.random() < 0.2 else ()
    return Problem(
        Workload.model_validate({"name": "w", "blocks": blocks, "edges": edges}),
        cluster,
        Job(batch=8, frozen=frozen),
        objective="bottleneck",
        num_micro_batches=NUM_MICRO_BATCHES,
    )


def network(rng: np.random.Generator, num_devices: int) -> dict[str, object]:
    names = [f"d{i}" for i in range(num_devices)]
    if num_devices == 1:
        return {}
    kind = str(rng.choice(["switch", "shared", "pairs"]))
    if kind == "pairs":
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        rates = [float(rng.integers(1, 100)) * 1e6 for _ in pairs]
        return {
            "links": [{"between": p, "bandwidth_bytes_per_s": r} for p, r in zip(pairs, rates, strict=True)]
        }
    rate = float(rng.integers(1, 100)) * 1e6
    segment = {
        "name": "net",
        "kind": kind,
        "members": names,
        "bandwidth_bytes_per_s": rate,
        "latency_s": 1e-3,
    }
    return {"segments": [segment]}


def exhaustive(problem: Problem) -> tuple[float, float]:
    """Return (least bottleneck, least step time) of all chains of one device a stage that keep the limits."""
    num_blocks, num_devices = len(problem.workload.order), len(problem.cluster.devices)
    plans = [
        (cuts, devices)
        for num in range(1, min(num_blocks, num_devices) + 1)
        for cuts in combinations(range(1, num_blocks), num - 1)
        for devices in permutations(range(num_devices), num)
    ]
    most = min(num_blocks, num_devices)
    ends = np.zeros((len(plans), most), np.int64)
    shares = np.zeros((len(plans), most, num_devices), np.int64)
    samples = problem.job.batch // NUM_MICRO_BATCHES
    for i, (cuts, devices) in enumerate(plans):
        ends[i, : len(devices)] = [*cuts, num_blocks]
        shares[i, range(len(devices)), devices] = samples
    packed = PackedPlans(np.array([len(devices) for _, devices in plans]), ends, shares)
    scores = scorer_of(problem, NUM_MICRO_BATCHES).score(packed)
    if not scores.memory_ok.any():
        return np.inf, np.inf
    return float(scores.bottleneck_s[scores.memory_ok].min()), float(
        scores.step_time_s[scores.memory_ok].min()
    )


def timed(problem: Problem) -> Problem:
    """The same problem under the objective time."""
    return replace(problem, objective="time")
