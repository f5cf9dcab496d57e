"""Networks: overlap, shared media, rings on a medium, bridges, direct links, latencies."""

from __future__ import annotations

import pytest

from tests.language.cases import block, cluster, device, pipeline, plan, score, stage, walk, workload

TWO = workload(block("a", 1, 1, output_bytes=2), block("b", 1, 1))
PAIRS = [
    pipeline(1, 1, stage("a", {"x": 1}), stage("b", {"y": 1})),
    pipeline(1, 1, stage("a", {"z": 1}), stage("b", {"w": 1})),
]


def test_without_overlap_a_device_does_one_thing_at_a_time():
    """Each message occupies both ends, in the order of the Program: y receives both inputs before it begins.

    ::

        x  F0 [--0--] F1 [--1--]             [--0--] B0       [--1--] B1
        y     [--0--]    [--1--] F0    B0    [--0--] F1    B1 [--1--]
           0  1     3 4        6     7     8       10    11   12     14 15
    """
    made = plan(pipeline(2, 1, stage("a", {"x": 1}), stage("b", {"y": 1})))
    report = score(made, TWO, cluster("x", "y"), overlap=False)
    assert walk(report, "x") == (
        "F#0 0-1, send->y#0 1-3, F#1 3-4, send->y#1 4-6, B#0 10-11, B#1 14-15, update 15-15"
    )
    assert walk(report, "y") == (
        "F#0 6-7, B#0 7-8, send->x#0 8-10, F#1 10-11, B#1 11-12, send->x#1 12-14, update 14-14"
    )
    # 4 s of passes and 8 s of transfers on one lane, two micro-batches.
    assert report.bottleneck_s == (4 + 8) / 2


def test_transfers_through_a_switch_run_side_by_side():
    report = score(plan(*PAIRS), TWO, cluster("x", "y", "z", "w"), sync=False)
    assert walk(report, "x").startswith("F#0 0-1, send->y#0 1-3")
    assert walk(report, "z").startswith("F#0 0-1, send->w#0 1-3")


def test_transfers_through_a_shared_medium_follow_one_another():
    """2 bytes each: 1-3 and 3-5; the gradients 5-7 and 7-9."""
    report = score(plan(*PAIRS), TWO, cluster("x", "y", "z", "w", kind="shared"), sync=False)
    assert walk(report, "x") == "F#0 0-1, send->y#0 1-3, B#0 7-8"
    assert walk(report, "z") == "F#0 0-1, send->w#0 3-5, B#0 9-10"
    assert walk(report, "y") == "F#0 3-4, B#0 4-5, send->x#0 5-7"
    assert report.bottleneck_lane == "net:medium"
    assert report.bottleneck_s == 8 / 2


@pytest.mark.parametrize(("kind", "seconds"), [("switch", 16), ("shared", 48)])
def test_ring_of_three(kind: str, seconds: float):
    """12 bytes over three: 2 x 2/3 x 12 = 16 s through a switch, 2 x 2 x 12 = 48 s through one medium.

    Either way each radio sends 16 bytes and receives 16.
    """
    boards = cluster(device("x", radio_w=1), "y", "z", kind=kind)
    shares = {"x": 1, "y": 1, "z": 1}
    report = score(plan(pipeline(1, 3, stage("a", shares))), workload(block("a", weight_bytes=12)), boards)
    ring = f"all-reduce{{x,y,z}} 3-{3 + seconds:g}, update {3 + seconds:g}-{3 + seconds:g}"
    assert walk(report, "y") == f"F#0 0-1, B#0 1-3, {ring}"
    assert report.traffic == {("x", "y"): 16, ("y", "z"): 16, ("z", "x"): 16}
    assert report.energy["x"].radio_j == pytest.approx(16 + 16)


def test_latency_is_paid_by_every_message_and_every_step_of_a_ring():
    """4 bytes over a ring of two take two steps of 3 + 2 s."""
    net = {
        "name": "net", "members": ["x", "y"], "bandwidth_bytes_per_s": 1, "latency_s": 3,
    }  # fmt: skip
    boards = cluster("x", "y", segments=[net])
    report = score(plan(pipeline(1, 2, stage("a", {"x": 1, "y": 1}))), workload(block("a")), boards)
    assert walk(report, "x") == "F#0 0-1, B#0 1-3, all-reduce{x,y} 3-13, update 13-13"
    report = score(plan(pipeline(1, 1, stage("a", {"x": 1}), stage("b", {"y": 1}))), TWO, boards)
    assert walk(report, "x").startswith("F#0 0-1, send->y#0 1-6")


ROOMS = cluster(
    "x", "y", "z", "w",
    segments=[
        {"name": "left", "members": ["x", "z"], "bandwidth_bytes_per_s": 2},
        {"name": "right", "members": ["y", "w"], "bandwidth_bytes_per_s": 2},
        {"name": "bridge", "kind": "shared", "members": ["left", "right"], "bandwidth_bytes_per_s": 0.5,
         "latency_s": 1},
    ],
)  # fmt: skip


def test_a_bridge_is_slow_and_serves_one_at_a_time():
    """2 bytes at 0.5 byte/s and 1 s of latency: 5 s; x's message first, then z's."""
    report = score(plan(*PAIRS), TWO, ROOMS, sync=False)
    assert walk(report, "x").startswith("F#0 0-1, send->y#0 1-6")
    assert walk(report, "z").startswith("F#0 0-1, send->w#0 6-11")


def test_inside_a_room_the_bridge_is_not_used():
    made = plan(pipeline(1, 1, stage("a", {"x": 1}), stage("b", {"z": 1})))
    assert walk(score(made, TWO, ROOMS), "x").startswith("F#0 0-1, send->z#0 1-2")


def test_a_ring_across_a_bridge_crosses_it_twice_a_step():
    """Members go round x z y w (the nearest first): two of four hops cross, each 1 + 4 / 0.5 = 9 s, in turn.

    16 bytes in chunks of 4: six steps of 18 s.
    """
    shares = {"x": 1, "y": 1, "z": 1, "w": 1}
    report = score(plan(pipeline(1, 4, stage("a", shares))), workload(block("a", weight_bytes=16)), ROOMS)
    assert walk(report, "x") == "F#0 0-1, B#0 1-3, all-reduce{x,z,y,w} 3-111, update 111-111"
    assert report.traffic == {pair: 24 for pair in (("x", "z"), ("z", "y"), ("y", "w"), ("w", "x"))}


UNEQUAL = cluster(
    "x", "y", "z", "w",
    links=[
        {"between": pair.split(), "bandwidth_bytes_per_s": rate}
        for pair, rate in (("x y", 8), ("y z", 8), ("z w", 8), ("x z", 2), ("y w", 2), ("x w", 1))
    ],
)  # fmt: skip


@pytest.mark.parametrize(
    ("ring", "joined", "ends"), [([], "x,y,z,w", 27), (["w", "z", "x", "y"], "w,z,x,y", 15)]
)
def test_a_stage_names_its_ring(ring: list[str], joined: str, ends: int):
    """16 bytes in chunks of 4, six steps.

    The nearest next goes x y z w over links of 8 byte/s and comes back over one of 1: 4 s a step. The ring
    w z x y has hops of 8, 2, 8 and 2 byte/s: 2 s a step.
    """
    made = plan(pipeline(1, 4, stage("a", {"x": 1, "y": 1, "z": 1, "w": 1}, ring=ring)))
    report = score(made, workload(block("a", weight_bytes=16)), UNEQUAL)
    assert walk(report, "x") == f"F#0 0-1, B#0 1-3, all-reduce{{{joined}}} 3-{ends}, update {ends}-{ends}"
    order = joined.split(",")
    assert report.traffic == dict.fromkeys(zip(order, (*order[1:], order[0]), strict=True), 24)


def test_rings_inside_a_stage_leave_others_out():
    """x, y and z do together what w does alone: gradients go round all four, sums of parts round three."""
    sharding = {"heads": 3, "weight_bytes": 0, "collectives": [
        {"operation": "all_reduce", "phase": "forward", "bytes_per_sample": 6}]}  # fmt: skip
    shares = {"three": {"samples": 1, "mode": "tensor", "shares": {"x": 1, "y": 1, "z": 1}}, "w": 1}
    made = plan(pipeline(1, 2, stage("a", shares, ring=["w", "z", "x", "y"])))
    report = score(made, workload(block("a", weight_bytes=16, tensor=sharding)), UNEQUAL)
    rings = {row.phase: row.ring for row in report.program.rows if row.ring}
    assert rings == {"forward": ("z", "x", "y"), "sync": ("w", "z", "x", "y")}


def test_a_direct_link_goes_before_the_switch():
    boards = cluster("x", "y", links=[{"between": ["x", "y"], "bandwidth_bytes_per_s": 4}])
    made = plan(pipeline(1, 1, stage("a", {"x": 1}), stage("b", {"y": 1})))
    assert walk(score(made, TWO, boards), "x").startswith("F#0 0-1, send->y#0 1-1.5")


def test_radios_cost_power_while_a_message_is_under_way():
    """2 bytes there and 2 back: each end's radio is busy for 4 s; idle power runs all 8 s."""
    boards = cluster(device("x", radio_w=0.5, idle_w=1, busy_w=1), device("y", radio_w=0.25))
    made = plan(pipeline(1, 1, stage("a", {"x": 1}), stage("b", {"y": 1})))
    report = score(made, TWO, boards)
    assert report.step_time_s == 1 + 2 + 2 + 2 + 1
    assert report.energy["x"].radio_j == 0.5 * 4
    assert report.energy["y"].radio_j == 0.25 * 4
    assert report.energy["x"].idle_j == 8


def test_the_batch_needs_no_synchronisation_when_it_is_switched_off():
    made = plan(pipeline(1, 2, stage("a", {"x": 1, "y": 1})))
    report = score(made, workload(block("a")), cluster("x", "y"), sync=False)
    assert walk(report, "x") == "F#0 0-1, B#0 1-3"
    assert report.traffic == {}
