"""Memory that the executor's bookkeeping takes for 900 steps more, counted by Python; and workers' own."""

from __future__ import annotations

import threading
import tracemalloc
from typing import Any

import psutil

from experiments.figures import Figure
from models import catalog
from models.cluster import Cluster
from solver.execution.network.transport import Transport
from solver.execution.order import Order
from solver.execution.run import run
from solver.execution.workers.pool import LocalPool
from solver.execution.workers.session import Session
from solver.plan import Plan

WORKLOAD, STEPS, FIRST = "imu_motions", 1000, 100
GOAL_BYTES = 100_000
"""Four numbers of every step, and some room."""


def measure() -> Figure:
    traced = traced_growth()
    workers, trace = worker_growth()
    return Figure(
        value=traced,
        unit="bytes",
        baseline=trace["kept_whole_bytes"],
        baseline_is="the spans of all those steps, as they would be kept",
        lower_is_better=True,
        goal=GOAL_BYTES,
        details={"steps": STEPS, "from_step": FIRST, "workers": workers, **trace},
    )


def plan_of(num_devices: int) -> tuple[Plan, Cluster]:
    """A pipeline of small micro-batches over so many devices."""
    names = [f"device{i}" for i in range(num_devices)]
    devices = [{"name": n, "flop_per_s": {"fp32": 1e10}, "memory_bytes": 1e10} for n in names]
    wire = {"name": "wire", "kind": "switch", "members": names, "bandwidth_bytes_per_s": 1e9, "latency_s": 0}
    cluster = {"name": "host", "devices": devices, "segments": [wire] if num_devices > 1 else []}
    blocks = [block.name for block in catalog.workload(WORKLOAD).blocks]
    cut = len(blocks) // num_devices
    parts = [blocks[i * cut : (i + 1) * cut if i + 1 < num_devices else None] for i in range(num_devices)]
    stages = [{"blocks": part, "shares": {name: 1}} for part, name in zip(parts, names, strict=True)]
    plan = {
        "workload": {"name": WORKLOAD},
        "cluster": {"name": "host"},
        "job": {"batch": 3, "optimizer": "sgd"},
        "pipelines": [{"micro_batches": 3, "samples": 1, "stages": stages}],
    }
    return Plan.model_validate(plan), Cluster.model_validate(cluster)


class Sampler:
    """A channel that notes what Python has allocated after some steps."""

    def __init__(self) -> None:
        self.bytes: dict[int, int] = {}
        self.stopping = threading.Event()

    def beat(self, step: int, index: int) -> None:
        pass

    def report(self, event: dict[str, Any]) -> None:
        if event["step"] + 1 in (FIRST, STEPS):
            self.bytes[event["step"] + 1] = tracemalloc.get_traced_memory()[0]


def traced_growth() -> int:
    """Growth of Python's own memory between two steps of a session of one device in this process."""
    plan, cluster = plan_of(1)
    words = {"mode": "raw", "dilation": None, "seed": 0, "learning_rate": None, "reference": False}
    order = Order.of(plan, catalog.workload(WORKLOAD), cluster, steps=STEPS, limit_s=60.0, **words)
    sampler = Sampler()
    session = Session(
        order, 0, sampler, lambda members, device, limit_s: Transport(members, device, limit_s, None)
    )
    tracemalloc.start()
    try:
        session.run()
    finally:
        tracemalloc.stop()
    return sampler.bytes[STEPS] - sampler.bytes[FIRST]


def worker_growth() -> tuple[dict[str, list[dict[str, int]]], dict[str, Any]]:
    """Resident memory, open files and threads of two workers at some steps, and the size of the trace."""
    plan, cluster = plan_of(2)
    seen: dict[str, list[dict[str, int]]] = {}
    with LocalPool() as pool:

        def look(step: int, loss: float) -> None:
            if (step + 1) % FIRST:
                return
            for place, pid in pool.pids().items():
                process = psutil.Process(pid)
                noted = {
                    "step": step + 1,
                    "resident_bytes": process.memory_info().rss,
                    "open_files": process.num_fds(),
                    "threads": process.num_threads(),
                }
                seen.setdefault(f"device{place}", []).append(noted)

        words = {"mode": "raw", "reference": False, "pool": pool, "progress": look}
        trace = run(plan, catalog.workload(WORKLOAD), cluster, steps=STEPS, **words).trace
    for name, noted in seen.items():
        for word in ("open_files", "threads"):
            # After the last step a worker may already have closed what the run needed.
            assert len({one[word] for one in noted[:-1]}) == 1, f"{word} of {name} change: {noted}"
            assert noted[-1][word] <= noted[0][word], f"{word} of {name} grow: {noted}"
    # Two floats, their tuple and the place in a dict, for every instruction of a step.
    whole = (STEPS - FIRST) * len(trace.start_s[0]) * 200
    return seen, {"kept_steps": len(trace.kept), "kept_whole_bytes": whole}
