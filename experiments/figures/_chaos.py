"""A chaos run: faults of three kinds by a fixed seed strike four devices while they train."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from typing import Any

import psutil

from models import catalog
from models.cluster import Cluster
from solver.execution.elastic.run import ElasticResult, run_elastic
from solver.execution.elastic.strikes import Strike, schedule
from solver.lowering import lower
from solver.plan import Plan
from solver.repair.backups import protected
from solver.repair.policy import Repair
from solver.simulate import simulate

WORKLOAD = "vit_digits"
BACK_AFTER, SEED = 8, 7
RATES = {"kitchen": 1.7e9, "study": 1.1e9, "hall": 0.9e9, "garage": 1.5e9}
"""Flop per second of four slow, unequal boards: so slow that this machine emulates them in their own time."""


def cluster(speed: float) -> Cluster:
    """The boards on a switch of 100 Mbit/s.

    Parameters
    ----------
    speed
        How many times faster everything is than said above.
    """
    devices = [
        {
            "name": name,
            "flop_per_s": {"fp32": rate * speed},
            "memory_bytes": 1e9,
            "memory_bytes_per_s": 4e9 * speed,
            "overhead_s": 1e-3 / speed,
        }
        for name, rate in RATES.items()
    ]
    segment = {
        "name": "switch",
        "members": list(RATES),
        "bandwidth_bytes_per_s": 12.5e6 * speed,
        "latency_s": 0.0005 / speed,
    }
    return Cluster.model_validate({"name": "flat", "devices": devices, "segments": [segment]})


def plan() -> Plan:
    """Three stages, of which the middle one has two devices: replicas there, backups elsewhere."""
    names = [block.name for block in catalog.workload(WORKLOAD).blocks]
    stages = [
        (names[:5], {"kitchen": 4}),
        (names[5:10], {"study": 2, "hall": 2}),
        (names[10:], {"garage": 4}),
    ]
    return Plan.model_validate(
        {
            "workload": {"name": WORKLOAD},
            "cluster": {"name": "flat"},
            "job": {"batch": 16, "optimizer": "momentum", "precision": "fp32"},
            "pipelines": [
                {
                    "micro_batches": 4,
                    "samples": 4,
                    "stages": [{"blocks": blocks, "shares": shares} for blocks, shares in stages],
                }
            ],
        }
    )


def chaos(steps: int, every: int, speed: float = 1.0, policy: Any = "cheapest") -> dict[str, Any]:
    """Run it; return what became of it, as plain data.

    Parameters
    ----------
    steps, every
        Of the run, and between two faults.
    speed
        Of the boards.
    policy
        A name of :data:`solver.repair.policy.POLICIES`.
    """
    boards, workload = cluster(speed), catalog.workload(WORKLOAD)
    step_s = simulate(lower(protected(plan(), workload, boards), workload, boards)).makespan_s
    strikes = schedule(list(RATES), steps, every=every, back_after=BACK_AFTER, step_s=step_s, seed=SEED)
    own = psutil.Process()
    listening = _listening(own)
    seen: set[int] = set()
    began = time.monotonic()

    def watch(event: dict[str, Any]) -> None:
        seen.update(child.pid for child in own.children(recursive=True))
        print(f"{time.monotonic() - began:8.2f} s", event, file=sys.stderr, flush=True)

    result = run_elastic(
        plan(),
        workload,
        boards,
        steps=steps,
        mode="padded",
        dilation=1.0,
        strikes=strikes,
        repair=Repair(policy=policy),
        on_event=watch,
    )
    time.sleep(0.5)
    orphans = [pid for pid in seen if _lives(pid)]
    return {
        **_figures(result, strikes),
        "step_s": step_s,
        "orphans": len(orphans),
        "leaked_ports": len(_listening(own) - listening),
    }


def _lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _listening(process: psutil.Process) -> set[int]:
    return {c.laddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}


def _figures(result: ElasticResult, strikes: tuple[Strike, ...]) -> dict[str, Any]:
    story = result.story
    kinds = {(strike.device, strike.step): strike.kind for strike in strikes}
    lost = [(c, e) for c in story.changes for e in c.events if e.kind == "lost"]
    detect: dict[str, list[float]] = {}
    for _, event in lost:
        kind = kinds.get((event.device, event.step), "none on purpose")
        detect.setdefault(kind, []).append(event.detect_s or 0.0)
    last, reference = story.losses[-1], result.reference_losses[-1]
    thawed = {s.device for s in strikes if s.kind == "freeze"}
    return {
        "steps": len(story.losses),
        "faults": dict(Counter(strike.kind for strike in strikes)),
        "noticed": len(lost),
        "returned": sum(e.kind == "returned" for c in story.changes for e in c.events),
        "longest_detection_s": {kind: max(times) for kind, times in sorted(detect.items())},
        "throughput_kept": story.throughput_kept,
        "wall_s": story.wall_s,
        "predicted_s": sum(story.predicted_s),
        "detection_s": story.detect_s,
        "steps_lost": sum(c.steps_lost for c in story.changes),
        "steps_broken_off": sum(c.in_flight_lost for c in story.changes),
        "longest_s": {
            word: max(getattr(c, word) for c in story.changes)
            for word in ("stop_s", "replan_s", "move_s", "resume_s")
        },
        "policies": dict(Counter(change.how for change in story.changes)),
        "fenced_messages": story.fenced,
        "frozen_devices_fenced": thawed <= set(story.fenced),
        "final_loss": last,
        "reference_final_loss": reference,
        "final_loss_difference": abs(last - reference),
        "max_relative_loss_difference": result.max_relative_loss_difference,
        "max_relative_weight_difference": result.max_relative_weight_difference,
        "outline": json.loads(json.dumps(story.outline())),
    }
