"""Messages that stop both their ends, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.cluster import Cluster
from models.errors import InputError
from models.workload import Workload
from solver.batch import BatchScorer
from solver.evaluate import evaluate
from solver.job import Job
from solver.plan import Pipeline, Plan, Reference, Stage
from solver.program import Kind
from solver.settings import Settings

BLOCKING = Settings(overlap=False, prefetch=0, sync=False, transfers="blocking", message_s=0.5)


def workload() -> Workload:
    """Two blocks, 1 s forward and 2 s backward on every device, 10 bytes between."""
    times = {"samples": [1], "forward_s": [1], "backward_s": [2]}
    return Workload.model_validate(
        {
            "name": "pair",
            "blocks": [{"name": n, "forward_flop": 0, "weight_bytes": 4, "output_bytes": 10} for n in "ab"],
            "edges": [{"source": "a", "target": "b"}],
            "profiles": {"box": {"a": times, "b": times}},
        }
    )


def cluster() -> Cluster:
    """Two devices, 10 bytes/s and no latency between."""
    devices = [{"name": n, "kind": "box", "flop_per_s": {"fp32": 1}, "memory_bytes": 1000} for n in "xy"]
    link = {"between": ["x", "y"], "bandwidth_bytes_per_s": 10}
    return Cluster.model_validate({"name": "two", "devices": devices, "links": [link]})


def plan() -> Plan:
    stages = (
        Stage(blocks=("a",), shares={"x": 1}, in_flight=2),
        Stage(blocks=("b",), shares={"y": 1}, in_flight=1),
    )
    pipeline = Pipeline(micro_batches=2, samples=1, stages=stages)
    names = Reference(name="pair"), Reference(name="two")
    return Plan(workload=names[0], cluster=names[1], job=Job(batch=2), pipelines=(pipeline,))


def test_a_message_counts_at_both_ends_within_the_computations() -> None:
    # A message lasts 10 bytes / 10 bytes/s + 0.5 s = 1.5 s.
    # x  |F0 1+1.5|F1 1+1.5|       ...       |B0 1.5+2| ... |B1 1.5+2|      0-2.5, 2.5-5, 8.5-12, 14.5-18
    # y           |F0 1.5+1|B0 2+1.5|F1 1.5+1|B1 2+1.5|                     2.5-5, 5-8.5, 8.5-11, 11-14.5
    report = evaluate(plan(), workload(), cluster(), BLOCKING)
    assert report.step_time_s == pytest.approx(18.0)
    program, timeline = report.program, report.timeline
    passes = [
        (i.row.device, i.row.label, float(timeline.start_s[i.index]), float(timeline.end_s[i.index]))
        for i in (program.instruction(n) for n in range(len(program)))
        if i.row.kind in (Kind.FORWARD, Kind.BACKWARD) and i.row.device == "y"
    ]
    assert passes == [
        ("y", "F", 2.5, 5.0),
        ("y", "B", 5.0, 8.5),
        ("y", "F", 8.5, 11.0),
        ("y", "B", 11.0, 14.5),
    ]
    assert report.busy_s == {"x": pytest.approx(12.0), "y": pytest.approx(12.0)}


def test_messages_keep_their_bytes() -> None:
    report = evaluate(plan(), workload(), cluster(), BLOCKING)
    assert report.program.bytes_by_pair() == {("x", "y"): 20, ("y", "x"): 20}


def test_message_time_without_blocking_is_part_of_the_way() -> None:
    # One lane per direction: the message from x adds 0.5 s before y may begin.
    settings = Settings(sync=False)
    without = evaluate(plan(), workload(), cluster(), settings)
    slower = evaluate(plan(), workload(), cluster(), replace(settings, message_s=0.5))
    sends = [row.duration_s for row in slower.program.rows if row.kind == Kind.SEND]
    assert sends == [1.5, 1.5]
    assert slower.step_time_s > without.step_time_s


def test_batches_refuse_both_settings() -> None:
    with pytest.raises(InputError) as error:
        BatchScorer(workload(), cluster(), Job(batch=2), num_micro_batches=2, samples=1, settings=BLOCKING)
    assert {"settings.transfers", "settings.message_s"} <= {fault.path for fault in error.value.faults}
