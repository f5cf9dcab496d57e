"""Serving: services with instances and routing weights, arrivals, latencies, resources."""

from __future__ import annotations

from typing import Any

import pytest

from solver.program import Kind
from tests.language.cases import (
    block,
    cluster,
    device,
    instructions,
    pipeline,
    plan,
    score,
    stage,
    walk,
    workload,
)

TWO = workload(
    block("detect", 2, output_bytes=1, resources={"cpu": 1}), block("classify", 3, resources={"cpu": 2})
)


def serve(*stages: dict[str, Any], requests: int = 3, **job: Any) -> Any:
    return plan(pipeline(requests, 1, *stages), job={"kind": "serve", "arrival_interval_s": 1, **job})


def test_requests_go_round_by_their_weights():
    """A request a second; weights 2:1 over y and z send requests 0 and 2 to y, 1 to z.

    ::

        x  F0F0F1F1F2F2
        y        F0F0F0  F2F2F2
        z            F1F1F1
           0  2  3 4 5 6 7  8  10
    """
    made = serve(stage("detect", {"x": 1}), stage("classify", {"y": 1, "z": 1}, routing={"y": 2, "z": 1}))
    report = score(made, TWO, cluster("x", "y", "z"))
    assert walk(report, "x") == ("F#0 0-2, send->y#0 2-3, F#1 2-4, send->z#1 4-5, F#2 4-6, send->y#2 6-7")
    assert walk(report, "y") == "F#0 3-6, F#2 7-10"
    assert walk(report, "z") == "F#1 5-8"
    assert report.latencies_s == (6 - 0, 8 - 1, 10 - 2)
    assert report.traffic == {("x", "y"): 2, ("x", "z"): 1}


def test_instances_serve_side_by_side():
    """Two instances on x: a request starts when it arrives.

    ::

        x.0  F0F0F2F2
        x.1     F1F1
        y         F0F0F0F2F2F2
        z            F1F1F1
             0  1 2 3 4  6   9
    """
    made = serve(
        stage("detect", {"x": 1}, instances={"x": 2}),
        stage("classify", {"y": 1, "z": 1}, routing={"y": 2, "z": 1}),
    )
    boards = cluster(device("x", resources={"cpu": 2}), *(device(n, resources={"cpu": 2}) for n in "yz"))
    report = score(made, TWO, boards)
    assert walk(report, "x") == ("F#0 0-2, F#1 1-3, send->y#0 2-3, send->z#1 3-4, F#2 2-4, send->y#2 4-5")
    assert walk(report, "y") == "F#0 3-6, F#2 6-9"
    assert walk(report, "z") == "F#1 4-7"
    assert report.latencies_s == (6, 6, 7)
    # Every instance has its weights; nothing is trained.
    assert report.memory["x"].static.total_bytes == 2 * 4
    assert report.violations == ()


def test_services_without_instances_share_the_compute_lane_of_their_device():
    """Request 1 arrives at 1, while x still classifies request 0."""
    report = score(
        serve(stage("detect", {"x": 1}), stage("classify", {"x": 1}), requests=2), TWO, cluster("x")
    )
    assert sum(item.row.kind == Kind.FORWARD for item, _, _ in instructions(report, "x")) == 4
    assert report.step_time_s == 10
    assert report.traffic == {}


def test_services_with_instances_on_one_device_hand_over():
    """Each has its own lane: classify of request 0 runs beside detect of request 1.

    ::

        detect    F0F0F1F1
        classify      F0F0F0F1F1F1
                  0   2   4 5     8
    """
    made = serve(
        stage("detect", {"x": 1}, instances={"x": 1}),
        stage("classify", {"x": 1}, instances={"x": 1}),
        requests=2,
        arrival_interval_s=0,
    )
    report = score(made, TWO, cluster(device("x", resources={"cpu": 3})))
    assert walk(report, "x") == ("F#0 0-2, handover->x#0 2-2, F#0 2-5, F#1 2-4, handover->x#1 4-4, F#1 5-8")


FORK = workload(
    block("read", 2, output_bytes=1), block("left", 3), block("right", 4), edges="read left, read right"
)


def test_two_services_on_a_device_wait_for_the_same_output_of_a_third():
    """``read`` ends at 2 on the same device; neither of its two users starts before."""
    one = {"x": 1}
    made = serve(
        stage("read", one, instances=one),
        stage("left", one, instances=one),
        stage("right", one, instances=one),
        requests=1,
    )
    report = score(made, FORK, cluster("x"))
    computed = [
        (item.row.blocks, start, end)
        for item, start, end in instructions(report, "x")
        if item.row.kind == Kind.FORWARD
    ]
    assert sorted(computed) == [(("left",), 2, 5), (("read",), 0, 2), (("right",), 2, 6)]


def test_two_services_on_a_device_wait_for_the_same_message():
    """One message, 2-3, for both users on y, each on its own lane."""
    made = serve(
        stage("read", {"x": 1}),
        stage("left", {"y": 1}, instances={"y": 1}),
        stage("right", {"y": 1}, instances={"y": 1}),
        requests=1,
    )
    report = score(made, FORK, cluster("x", "y"))
    computed = [
        (item.row.blocks, start, end)
        for item, start, end in instructions(report, "y")
        if item.row.kind == Kind.FORWARD
    ]
    assert sorted(computed) == [(("left",), 3, 6), (("right",), 3, 7)]
    assert report.traffic == {("x", "y"): 1}


def test_instances_take_resources():
    made = serve(stage("detect", {"x": 1}, instances={"x": 3}), stage("classify", {"x": 1}))
    report = score(made, TWO, cluster(device("x", resources={"cpu": 4})))
    (violation,) = report.violations
    assert (violation.limit, violation.where) == ("resources", "x.cpu")
    assert (violation.given, violation.allowed) == (3 * 1 + 2, 4)


def test_deadline_holds_for_the_slowest_request():
    made = serve(
        stage("detect", {"x": 1}),
        stage("classify", {"y": 1, "z": 1}, routing={"y": 2, "z": 1}),
        deadline_s=7.5,
    )
    boards = cluster(*(device(name, resources={"cpu": 2}) for name in "xyz"))
    (violation,) = score(made, TWO, boards).violations
    assert (violation.limit, violation.given, violation.allowed) == ("deadline", 8, 7.5)


def test_memory_of_served_requests_is_given_back():
    """In the order of its list x holds one output at a time; y one input, and two posted ahead."""
    many = serve(stage("detect", {"x": 1}), stage("classify", {"y": 1}), requests=50)
    report = score(many, TWO, cluster("x", "y"))
    assert report.memory["x"].peak_bytes == 4 + 1
    assert report.memory["y"].peak_bytes == 4 + 1 + 2


def test_a_group_serves_a_request_together():
    """Heads 3:1 of 4 flop and an all-reduce of 6 bytes: 3 s, then 6 s; weights are cut, nothing is routed."""
    ring = {"operation": "all_reduce", "phase": "forward", "bytes_per_sample": 6}
    tiny = workload(block("a", 4, tensor={"heads": 4, "weight_bytes": 4, "collectives": [ring]}))
    report = score(serve(stage("a", {"x": 3, "y": 1}, mode="tensor"), requests=2), tiny, cluster("x", "y"))
    ring_of = "all-reduce{x,y}"
    assert walk(report, "x") == f"F#0 0-3, {ring_of}#0 3-9, F#1 9-12, {ring_of}#1 12-18"
    assert walk(report, "y") == f"F#0 0-1, {ring_of}#0 3-9, F#1 9-10, {ring_of}#1 12-18"
    assert report.latencies_s == (9, 17)
    assert [report.memory[name].static.total_bytes for name in "xy"] == [3, 1]


@pytest.mark.parametrize("num", [1, 7])
def test_prefixes_of_the_round_follow_the_weights(num: int):
    """Weights 3:2:1 over six requests give 3, 2 and 1."""
    made = serve(
        stage("detect", {"x": 1}),
        stage("classify", {"x": 1, "y": 1, "z": 1}, routing={"x": 3, "y": 2, "z": 1}),
        requests=6 * num,
    )
    report = score(made, TWO, cluster("x", "y", "z"))
    assert report.traffic == {("x", "y"): 2 * num, ("x", "z"): num}
