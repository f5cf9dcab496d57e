"""Random small hybrid problems, and all their plans one by one, by code that knows no solver."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

import numpy as np

from experiments.figures._chains import network
from models.cluster import Cluster
from models.workload import Workload
from solver.batch import PackedPlans
from solver.job import Job
from solver.problem import Problem
from solver.search.batch_figures import scorer_of

NUM_BLOCKS, NUM_DEVICES, NUM_MICRO_BATCHES = 6, 4, 4


def random_problem(seed: int, batch: int) -> Problem:
    """6 blocks on 4 unequal boards; equal, unequal or shared links; memory loose or tight."""
    rng = np.random.default_rng(seed)
    blocks = [
        {
            "name": f"b{i}",
            "forward_flop": float(rng.integers(1, 100)) * 1e6,
            "backward_input_flop": float(rng.integers(1, 100)) * 1e6,
            "backward_weight_flop": float(rng.integers(1, 100)) * 1e6,
            "weight_bytes": int(rng.integers(1, 50)) * int(rng.choice([1_000, 100_000])),
            "kept_bytes": int(rng.integers(1, 50)) * 10_000,
            "output_bytes": int(rng.integers(1, 50)) * 10_000,
        }
        for i in range(NUM_BLOCKS)
    ]
    edges = [{"source": f"b{i}", "target": f"b{i + 1}"} for i in range(NUM_BLOCKS - 1)]
    total = sum(2 * b["weight_bytes"] + batch * b["kept_bytes"] for b in blocks)
    room = total * float(rng.choice([2.0, 0.8, 0.5]))
    devices = [
        {
            "name": f"d{i}",
            "flop_per_s": {"fp32": float(rng.integers(5, 100)) * 1e8},
            "memory_bytes": room * float(rng.uniform(0.6, 1.4)),
            "memory_bytes_per_s": 1e10,
            "overhead_s": float(rng.choice([0.0, 1e-3])),
        }
        for i in range(NUM_DEVICES)
    ]
    cluster = Cluster.model_validate({"name": "c", "devices": devices, **network(rng, NUM_DEVICES)})
    workload = Workload.model_validate({"name": "w", "blocks": blocks, "edges": edges})
    return Problem(workload, cluster, Job(batch=batch), num_micro_batches=NUM_MICRO_BATCHES)


def assignments(samples: int) -> Iterator[tuple[int, list[list[int]]]]:
    """Yield (number of stages, shares by stage and device): each device is in one stage or in none."""
    for place in product(range(-1, NUM_DEVICES), repeat=NUM_DEVICES):
        num = max(place) + 1
        if num < 1 or set(range(num)) - {*place}:
            continue
        for given in product(range(1, samples + 1), repeat=sum(s >= 0 for s in place)):
            shares = [[0] * NUM_DEVICES for _ in range(num)]
            left = iter(given)
            for d, s in enumerate(place):
                if s >= 0:
                    shares[s][d] = next(left)
            if all(sum(row) == samples for row in shares):
                yield num, shares


def exhaustive_s(problem: Problem) -> float:
    """Return the least step time of all hybrid plans that fit; infinite if none does."""
    samples = problem.job.batch // NUM_MICRO_BATCHES
    found = [
        (num, [*cuts, NUM_BLOCKS], shares)
        for num, shares in assignments(samples)
        for cuts in combinations(range(1, NUM_BLOCKS), num - 1)
    ]
    packed = PackedPlans(
        np.array([num for num, _, _ in found]),
        np.zeros((len(found), NUM_DEVICES), np.int64),
        np.zeros((len(found), NUM_DEVICES, NUM_DEVICES), np.int64),
    )
    for i, (num, ends, shares) in enumerate(found):
        packed.ends[i, :num], packed.shares[i, :num] = ends, shares
    scores = scorer_of(problem, NUM_MICRO_BATCHES).score(packed)
    return float(np.where(scores.memory_ok, scores.step_time_s, np.inf).min())
