"""Small plans and runs that the tests of the reports share."""

from __future__ import annotations

import random
from itertools import pairwise

from models.cluster import Cluster, Device, Segment
from models.workload import Block, Edge, Workload
from solver.evaluate import evaluate
from solver.job import Job
from solver.lowering import lower
from solver.plan import Pipeline, Plan, Reference, Stage
from solver.program import Kind
from solver.report import Report, make_report
from solver.reporting.measured import Measured
from solver.simulate import simulate
from tests.random_plans import any_case

EVIL = '<script>alert("1")</script>&'


def workload(num_blocks: int = 4, name: str = "tiny") -> Workload:
    blocks = tuple(
        Block(
            name=f"{name}.block{i}",
            forward_flop=1e9,
            backward_input_flop=1e9,
            backward_weight_flop=1e9,
            weight_bytes=1_000_000,
            kept_bytes=20_000,
            output_bytes=10_000,
        )
        for i in range(num_blocks)
    )
    edges = tuple(Edge(source=a.name, target=b.name) for a, b in pairwise(blocks))
    return Workload(name=name, description=f"{name} net", source=f"{name} source", blocks=blocks, edges=edges)


def towers() -> Workload:
    """Two towers of two blocks each, and a trunk."""
    names = ("a0", "a1", "b0", "b1", "trunk")
    blocks = tuple(Block(name=n, forward_flop=1e9, weight_bytes=1000, output_bytes=100) for n in names)
    pairs = (("a0", "a1"), ("b0", "b1"), ("a1", "trunk"), ("b1", "trunk"))
    return Workload(name="towers", blocks=blocks, edges=tuple(Edge(source=a, target=b) for a, b in pairs))


def cluster(num_devices: int = 3, prefix: str = "dev", memory_bytes: float = 1e9) -> Cluster:
    devices = tuple(
        Device(
            name=f"{prefix}{i}",
            kind="board",
            flop_per_s={"fp32": {"value": 1e10 * (i + 1), "estimate": "a third of the peak"}},
            memory_bytes={"value": memory_bytes, "source": "data sheet"},
            idle_w=2,
            busy_w=7,
            radio_w=0.5,
        )
        for i in range(num_devices)
    )
    members = tuple(device.name for device in devices)
    if num_devices == 1:
        return Cluster(name="desk", devices=devices)
    switch = Segment(name=f"{prefix}switch", members=members, bandwidth_bytes_per_s=12.5e6, latency_s=2e-4)
    return Cluster(name="desk", devices=devices, segments=(switch,))


def plan(what: Workload, where: Cluster, stages: list[Stage], micro_batches: int = 4, **more: object) -> Plan:
    pipeline = Pipeline(micro_batches=micro_batches, samples=8, stages=tuple(stages))
    job = Job.model_validate({"batch": 8 * micro_batches, "optimizer": "momentum", **more})
    return Plan(
        workload=Reference(name=what.name), cluster=Reference(name=where.name), job=job, pipelines=(pipeline,)
    )


def hybrid(what: Workload, where: Cluster, **more: object) -> Plan:
    """The first two blocks on two devices 5:3, the rest on a third."""
    first, second, third = (device.name for device in where.devices[:3])
    stages = [
        Stage(blocks=what.order[:2], shares={first: 5, second: 3}),
        Stage(blocks=what.order[2:], shares={third: 8}),
    ]
    return plan(what, where, stages, **more)


def measured(report: Report, *, overlap: bool = False, **more: object) -> Measured:
    """A run a little slower than predicted; with `overlap`, receives begin when they are posted."""
    rng = random.Random(0)
    program, spans = report.program, {}
    for i in range(len(program)):
        row = program.rows[program.row[i]]
        start, end = float(report.timeline.start_s[i]), float(report.timeline.end_s[i])
        early = 0.4 * report.step_time_s if overlap and row.kind == Kind.RECV else 0.0
        one = (i, max(0.0, start * 1.02 - early), end * 1.02 - 0.001 * (end - start) * rng.random())
        spans.setdefault(row.device, []).append(one)
    losses = tuple(2.0 * 0.9**i for i in range(6))
    found = {
        "mode": "padded",
        "spans": spans,
        "step": 2,
        "step_times_s": tuple(report.round_time_s * (1.02 + 0.001 * i) for i in range(6)),
        "losses": losses,
        "reference_losses": tuple(loss * (1 + 2e-7) for loss in losses),
        "peak_memory_bytes": {name: part.peak_bytes - 1000 for name, part in report.memory.items()},
        "traffic_bytes": report.traffic,
        **more,
    }
    return Measured(**found)


def example(
    name: str = "tiny", prefix: str = "dev", **more: object
) -> tuple[Plan, Workload, Cluster, Report]:
    """A hybrid plan with what it names and what it costs."""
    what, where = workload(name=name), cluster(prefix=prefix)
    made = hybrid(what, where, **more)
    return made, what, where, evaluate(made, what, where)


def random_case(seed: int) -> tuple[Plan, Workload, Cluster, Report]:
    """A random plan of any kind; its batch need not add up, so it is lowered without a check."""
    made, what, where = any_case(seed)
    program = lower(made, what, where)
    return made, what, where, make_report(made, where, program, simulate(program), ())
