"""Throughput of a raw pipeline, beside torch.distributed.pipelining's 1F1B: 20 interleaved pairs."""

from __future__ import annotations

import sys
from statistics import median
from typing import Any

import numpy as np

from experiments.figures import Figure
from experiments.figures._torch_pipelining import Job, Pipelining, stages_of
from models import catalog
from models.cluster import Cluster
from solver.execution.run import RunResult, run
from solver.execution.workers.pool import LocalPool
from solver.plan import Plan

PAIRS, STEPS, WARM_UP = 20, 10, 3
RESAMPLES = 10_000


def measure() -> Figure:
    return measured("vit_digits", (7,), 8, 4)


def measured(net: str, cuts: tuple[int, ...], micro_batches: int, samples: int) -> Figure:
    """The figure of one net, cut after some of its blocks."""
    found = compare(job(net, cuts, micro_batches, samples))
    low, high = found["interval_95"]
    case = f"{net}, {len(cuts) + 1} stages"
    print(f"{case}: {found['median_ratio']:.3f}, 95 % interval {low:.3f} to {high:.3f}", file=sys.stderr)
    return Figure(
        value=found["median_ratio"],
        unit="throughput ratio",
        baseline=1.0,
        baseline_is="torch.distributed.pipelining 1F1B; same caps in flight, threads, gloo setting",
        goal=1.0,
        details={"case": case, "pairs": PAIRS, "steps_of_each": STEPS, **found},
    )


def job(net: str, cuts: tuple[int, ...], micro_batches: int, samples: int) -> Job:
    blocks = [block.name for block in catalog.workload(net).blocks]
    return Job(net, stages_of(blocks, cuts), micro_batches, samples, "momentum", seed=0)


def plan_of(job: Job) -> tuple[Plan, Cluster]:
    """The same schedule: as many micro-batches in flight as stages lie from a stage to the end."""
    names = [f"device{i}" for i in range(len(job.stages))]
    devices = [{"name": n, "flop_per_s": {"fp32": 5e10}, "memory_bytes": 1e10} for n in names]
    wire = {
        "name": "wire",
        "kind": "switch",
        "members": names,
        "bandwidth_bytes_per_s": 1e9,
        "latency_s": 1e-4,
    }
    cluster = Cluster.model_validate(
        {"name": "host", "devices": devices, "segments": [wire] if len(names) > 1 else []}
    )
    stages = [
        {"blocks": blocks, "shares": {name: job.samples}, "in_flight": len(names) - i}
        for i, (blocks, name) in enumerate(zip(job.stages, names, strict=True))
    ]
    pipeline = {"micro_batches": job.micro_batches, "samples": job.samples, "stages": stages}
    plan = {
        "workload": {"name": job.net},
        "cluster": {"name": "host"},
        "job": {"batch": job.batch, "optimizer": job.optimizer, "precision": "fp32"},
        "pipelines": [pipeline],
    }
    return Plan.model_validate(plan), cluster


def compare(job: Job, pairs: int = PAIRS) -> dict[str, Any]:
    """Both do the same steps in turn; who begins alternates."""
    plan, cluster = plan_of(job)
    workload = catalog.workload(job.net)
    ours, theirs = [], []
    with LocalPool() as pool, Pipelining(job) as other:

        def executor(steps: int) -> RunResult:
            return run(
                plan, workload, cluster, steps=steps, mode="raw", seed=job.seed, reference=False, pool=pool
            )

        def elapsed_s() -> float:
            trace = executor(WARM_UP + STEPS).trace
            return trace.began_s[-1] + trace.step_times_s[-1] - trace.began_s[WARM_UP]

        _, losses = other.train(WARM_UP)
        same = executor(WARM_UP).trace.losses
        np.testing.assert_allclose(losses, same, rtol=1e-5)
        for pair in range(pairs):
            for mine in (True, False) if pair % 2 else (False, True):
                if mine:
                    ours.append(elapsed_s())
                else:
                    other.train(WARM_UP)
                    theirs.append(other.train(STEPS)[0])
    ratios = np.array(theirs) / np.array(ours)
    low, high = interval(ratios)
    return {
        "median_ratio": float(median(ratios)),
        "interval_95": [low, high],
        "ours_samples_per_s": STEPS * job.batch / median(ours),
        "theirs_samples_per_s": STEPS * job.batch / median(theirs),
        "ratios": ratios.tolist(),
    }


def interval(ratios: np.ndarray) -> tuple[float, float]:
    """95 % interval of the median, by resampling."""
    drawn = np.random.default_rng(0).choice(ratios, (RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return float(low), float(high)
