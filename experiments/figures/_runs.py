"""Three plans of four processes, run for real once and read by several figures."""

from __future__ import annotations

from functools import cache
from typing import Any

from models import catalog
from models.cluster import Cluster
from models.workload import Workload
from solver.evaluate import evaluate
from solver.execution.order import RunMode
from solver.execution.run import RunResult, run
from solver.execution.workers.pool import LocalPool
from solver.plan import Plan

STEPS, ATTEMPTS = 20, 2
WORKLOAD, CLUSTER = "vit_digits", "four_boards"


def plans(optimizer: str, precision: str) -> dict[str, Plan]:
    """Data, pipeline and hybrid over the four boards, in uneven shares."""
    names = [block.name for block in catalog.workload(WORKLOAD).blocks]
    stages = {
        "data": [(names, {"nano0": 3, "nano1": 2, "tx2": 5, "nx": 6})],
        "pipeline": [
            (names[:2], {"nano0": 8}),
            (names[2:4], {"nano1": 8}),
            (names[4:9], {"tx2": 8}),
            (names[9:], {"nx": 8}),
        ],
        "hybrid": [(names[:4], {"nano0": 5, "nano1": 3}), (names[4:], {"tx2": 3, "nx": 5})],
    }
    return {kind: _plan(parts, optimizer, precision) for kind, parts in stages.items()}


def _plan(stages: list[tuple[list[str], dict[str, int]]], optimizer: str, precision: str) -> Plan:
    samples = sum(stages[0][1].values())
    return Plan.model_validate(
        {
            "workload": {"name": WORKLOAD},
            "cluster": {"name": CLUSTER},
            "job": {"batch": 32, "optimizer": optimizer, "precision": precision},
            "pipelines": [
                {
                    "micro_batches": 32 // samples,
                    "samples": samples,
                    "stages": [{"blocks": blocks, "shares": shares} for blocks, shares in stages],
                }
            ],
        }
    )


@cache
def runs(optimizer: str, precision: str, mode: str) -> dict[str, RunResult]:
    """Every plan run for `STEPS` steps, beside the undivided run."""
    workload, cluster = catalog.workload(WORKLOAD), catalog.cluster(CLUSTER)
    with LocalPool() as pool:
        return {
            kind: _sound(plan, workload, cluster, "raw" if mode == "raw" else "padded", pool)
            for kind, plan in plans(optimizer, precision).items()
        }


def _sound(plan: Plan, workload: Workload, cluster: Cluster, mode: RunMode, pool: LocalPool) -> RunResult:
    """Run a plan; again with a slower clock where the host was too busy, since overruns prove nothing."""
    result = run(plan, workload, cluster, steps=STEPS, mode=mode, pool=pool)
    for _ in range(ATTEMPTS if mode == "padded" else 0):
        if not result.num_overruns:
            break
        slower = 1.7 * result.trace.dilation
        result = run(plan, workload, cluster, steps=STEPS, mode=mode, dilation=slower, pool=pool)
    return result


def padded() -> dict[str, RunResult]:
    """The runs on emulated boards: fp32, SGD with momentum."""
    return runs("momentum", "fp32", "padded")


def links_free_s(kind: str) -> float:
    """Step time of a plan if links cost nothing: what a model of computation alone would say."""
    cluster = catalog.cluster(CLUSTER)
    fast = [replace_rate(segment) for segment in cluster.segments]
    free = Cluster.model_validate({**cluster.model_dump(), "segments": fast})
    return evaluate(plans("momentum", "fp32")[kind], catalog.workload(WORKLOAD), free).step_time_s


def replace_rate(segment: Any) -> dict[str, Any]:
    return {**segment.model_dump(), "bandwidth_bytes_per_s": 1e15, "latency_s": 0.0}
