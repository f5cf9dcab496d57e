"""Peaks: how much of what a pipeline stage of one device holds at worst, counted in lowered pipelines.

What a stage holds at its peak depends on the order of its instructions, and that order depends on the rule
(caps, prefetch), on how deep the stage stands and on whether gradients pass, never on durations. So it is
counted once in a small pipeline of equal stages that the one lowering makes, and holds for all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from models.cluster import Cluster, Device, Segment
from models.workload import Block, Edge, Workload
from solver.job import Job
from solver.lowering import lower
from solver.plan import Pipeline, Plan, Reference, Stage
from solver.program import Kind, Longs, Program
from solver.settings import Settings


class Rule(NamedTuple):
    """What decides the order of a stage's instructions beside its place.

    Parameters
    ----------
    num_micro_batches
        Micro-batches of a step.
    schedule
        ``1f1b`` or ``gpipe``.
    prefetch
        Computations ahead of its use that a receive is posted.
    """

    num_micro_batches: int
    schedule: str
    prefetch: int


@lru_cache(maxsize=1024)
def peak_terms(rule: Rule, depth: int, passes_gradients: bool, input_trained: bool) -> Longs:
    """Return how often each part is held at the moments that can be the peak.

    Parameters
    ----------
    rule
        The schedule.
    depth
        Stages from this one to the last, itself included.
    passes_gradients
        Whether the stage has a backward pass.
    input_trained
        Whether the stage before it has one (as if, where there is none before it).

    Returns
    -------
    array
        (num_moments, 5): activations and outputs of micro-batches in flight; inputs received and not yet
        used; gradients received; gradients not yet sent; and inputs that do not stay, while they are used.
        Without backward pass the first column counts outputs not yet sent.
    """
    if not passes_gradients:
        program, place = _pipeline(rule, 3, 2), 1
    elif input_trained:
        program, place = _pipeline(rule, depth + 1, 0), 1
    else:
        program, place = _pipeline(rule, depth + 1, 1), 1
    count = _count_backward if passes_gradients else _count_forward
    return _undominated(count(program, f"d{place}", input_trained))


@lru_cache(maxsize=64)
def _pipeline(rule: Rule, num_stages: int, num_frozen: int) -> Program:
    """Lower a pipeline of equal stages, the first of which are frozen."""
    blocks = tuple(
        Block(
            name=f"b{i}",
            forward_flop=1,
            backward_weight_flop=1,
            weight_bytes=4,
            output_bytes=4,
            frozen=i < num_frozen,
        )
        for i in range(num_stages)
    )
    edges = tuple(Edge(source=f"b{i}", target=f"b{i + 1}") for i in range(num_stages - 1))
    devices = tuple(
        Device.model_validate({"name": f"d{i}", "flop_per_s": {"fp32": 1.0}, "memory_bytes": 1})
        for i in range(num_stages)
    )
    switch = Segment(name="s", members=tuple(d.name for d in devices), bandwidth_bytes_per_s=1.0)
    stages = tuple(Stage(blocks=(f"b{i}",), shares={f"d{i}": 1}) for i in range(num_stages))
    plan = Plan(
        workload=Reference(name="equal_stages"),
        cluster=Reference(name="equal_devices"),
        job=Job(batch=rule.num_micro_batches),
        schedule="gpipe" if rule.schedule == "gpipe" else "1f1b",
        pipelines=(Pipeline(micro_batches=rule.num_micro_batches, samples=1, stages=stages),),
    )
    workload = Workload(name="equal_stages", blocks=blocks, edges=edges)
    cluster = Cluster(name="equal_devices", devices=devices, segments=(switch,))
    return lower(plan, workload, cluster, Settings(prefetch=rule.prefetch))


def _count_backward(program: Program, device: str, input_trained: bool) -> list[tuple[int, ...]]:
    held = waiting = gradients = sending = 0
    moments: list[tuple[int, ...]] = []
    for instruction in program.of_device(device):
        row, entering = instruction.row, 0
        if row.kind == Kind.RECV and row.phase == "forward":
            waiting += 1
        elif row.kind == Kind.RECV:
            gradients += 1
        elif row.kind == Kind.FORWARD:
            held, waiting, entering = held + 1, waiting - 1, 1
        elif row.kind == Kind.BACKWARD:
            sending += input_trained
        moments.append((held, waiting, gradients, sending, entering))
        if row.kind == Kind.BACKWARD:
            held, gradients = held - 1, max(gradients - 1, 0)
        elif row.kind == Kind.SEND and row.phase == "backward":
            sending -= 1
    return moments


def _count_forward(program: Program, device: str, input_trained: bool) -> list[tuple[int, ...]]:
    outputs = waiting = 0
    moments: list[tuple[int, ...]] = []
    for instruction in program.of_device(device):
        row = instruction.row
        waiting += row.kind == Kind.RECV
        outputs += row.kind == Kind.FORWARD
        moments.append((outputs, waiting, 0, 0, 0))
        waiting -= row.kind == Kind.FORWARD
        outputs -= row.kind == Kind.SEND
    return moments


def _undominated(moments: list[tuple[int, ...]]) -> Longs:
    found = np.array(sorted(set(moments)), np.int64)
    beaten = [np.sum(np.all(found >= row, axis=1)) > 1 for row in found]
    kept: Longs = found[~np.array(beaten)]
    return kept
