"""Pipelines: 1F1B and GPipe, caps, what is in flight, shared devices, groups, pipelines side by side."""

from __future__ import annotations

import pytest

from solver.program import Kind
from solver.report import Report
from tests.language.cases import (
    block,
    cluster,
    device,
    instructions,
    pipeline,
    plan,
    received,
    score,
    stage,
    walk,
    workload,
)


def most_in_flight(report: Report, name: str) -> int:
    """Most micro-batches a device has computed forward and not backward, in the order of its list."""
    alive = most = 0
    for item, _, _ in instructions(report, name):
        alive += {Kind.FORWARD: 1, Kind.BACKWARD: -1}.get(item.row.kind, 0)
        most = max(most, alive)
    return most


def test_1f1b_two_stages_free_transfers():
    """F takes 1 s, B 2 s; caps 3 and 1.

    ::

        x  F0 F1 F2    B0B0 F3 B1B1    B2B2    B3B3
        y     F0 B0B0 F1 B1B1 F2 B2B2 F3 B3B3
           0  1  2    4     6  7     9  10   12 13 15
    """
    tiny = workload(block("a"), block("b"))
    report = score(plan(pipeline(4, 1, stage("a", {"x": 1}), stage("b", {"y": 1}))), tiny, cluster("x", "y"))
    free = [part for part in walk(report, "x").split(", ") if not part.startswith("send")]
    assert ", ".join(free) == (
        "F#0 0-1, F#1 1-2, F#2 2-3, B#0 4-6, F#3 6-7, B#1 7-9, B#2 10-12, B#3 13-15, update 15-15"
    )
    free = [part for part in walk(report, "y").split(", ") if not part.startswith("send")]
    assert ", ".join(free) == (
        "F#0 1-2, B#0 2-4, F#1 4-5, B#1 5-7, F#2 7-8, B#2 8-10, F#3 10-11, B#3 11-13, update 13-13"
    )
    assert report.bubble == pytest.approx(1 - 24 / 30)


def test_gpipe_two_stages_free_transfers():
    """All forwards, then all backwards, the first micro-batch first: (M + P - 1)(F + B) = 15 s.

    ::

        x  F0 F1 F2 F3             B0B0 B1B1 B2B2 B3B3
        y     F0 F1 F2 F3 B0B0 B1B1 B2B2 B3B3
           0  1           5    7    9              15
    """
    tiny = workload(block("a", kept_bytes=1), block("b", kept_bytes=1))
    report = score(
        plan(pipeline(4, 1, stage("a", {"x": 1}), stage("b", {"y": 1})), schedule="gpipe"),
        tiny,
        cluster("x", "y"),
    )
    assert [part for part in walk(report, "x").split(", ") if not part.startswith("send")] == [
        "F#0 0-1", "F#1 1-2", "F#2 2-3", "F#3 3-4",
        "B#0 7-9", "B#1 9-11", "B#2 11-13", "B#3 13-15", "update 15-15",
    ]  # fmt: skip
    assert [part for part in walk(report, "y").split(", ") if not part.startswith("send")] == [
        "F#0 1-2", "F#1 2-3", "F#2 3-4", "F#3 4-5",
        "B#0 5-7", "B#1 7-9", "B#2 9-11", "B#3 11-13", "update 13-13",
    ]  # fmt: skip
    assert [most_in_flight(report, name) for name in "xy"] == [4, 4]
    assert [report.memory[name].activation_bytes for name in "xy"] == [4, 4]


def test_1f1b_three_stages_with_transfers():
    """F, B and every transfer take 1 s; caps 5, 3 and 1. Sends leave while the next forward runs.

    ::

        x  F0 F1 F2 F3                B0    B1    B2    B3
        y        F0 F1 F2       B0 F3 B1    B2    B3
        z              F0 B0 F1 B1 F2 B2 F3 B3
           0  1  2  3  4  5  6  7  8  9  10 11 12 13 14 15 16
    """
    tiny = workload(block("a", 1, 1, output_bytes=1), block("b", 1, 1, output_bytes=1), block("c", 1, 1))
    stages = [stage("a", {"x": 1}), stage("b", {"y": 1}), stage("c", {"z": 1})]
    report = score(plan(pipeline(4, 1, *stages)), tiny, cluster("x", "y", "z"))
    assert walk(report, "x") == (
        "F#0 0-1, send->y#0 1-2, F#1 1-2, send->y#1 2-3, F#2 2-3, send->y#2 3-4, F#3 3-4, "
        "send->y#3 4-5, "
        "B#0 9-10, B#1 11-12, B#2 13-14, B#3 15-16, update 16-16"
    )
    assert walk(report, "y") == (
        "F#0 2-3, send->z#0 3-4, F#1 3-4, send->z#1 4-5, F#2 4-5, send->z#2 5-6, B#0 7-8, "
        "send->x#0 8-9, "
        "F#3 8-9, send->z#3 9-10, B#1 9-10, send->x#1 10-11, B#2 11-12, send->x#2 12-13, "
        "B#3 13-14, "
        "send->x#3 14-15, update 14-14"
    )
    assert walk(report, "z") == (
        "F#0 4-5, B#0 5-6, send->y#0 6-7, F#1 6-7, B#1 7-8, send->y#1 8-9, F#2 8-9, B#2 9-10, "
        "send->y#2 10-11, "
        "F#3 10-11, B#3 11-12, send->y#3 12-13, update 12-12"
    )
    assert received(report, "x") == "<-y#0 8-9, <-y#1 10-11, <-y#2 12-13, <-y#3 14-15"
    assert report.traffic == {("x", "y"): 4, ("y", "z"): 4, ("z", "y"): 4, ("y", "x"): 4}


def test_in_flight_is_twice_the_depth_less_one_by_default():
    """K = 2 (P - p) - 1 = 5, 3, 1; memory counts as many kept samples (1, 10, 100 bytes) and outputs."""
    tiny = workload(block("a", kept_bytes=1), block("b", kept_bytes=10), block("c", kept_bytes=100))
    stages = [stage("a", {"x": 1}), stage("b", {"y": 1}), stage("c", {"z": 1})]
    report = score(plan(pipeline(8, 1, *stages)), tiny, cluster("x", "y", "z"))
    assert [most_in_flight(report, name) for name in "xyz"] == [5, 3, 1]
    assert [report.memory[name].activation_bytes for name in "xyz"] == [5, 30, 100]


def test_fewer_in_flight_suffice_when_transfers_are_free():
    """With instantaneous transfers P - p in flight lose no time: (M + P - 1)(F + B)."""
    tiny = workload(block("a"), block("b"), block("c"))
    shares = [{"x": 1}, {"y": 1}, {"z": 1}]

    def time(caps: list[int]) -> float:
        stages = [
            stage(name, share, in_flight=cap) for name, share, cap in zip("abc", shares, caps, strict=True)
        ]
        return score(plan(pipeline(4, 1, *stages)), tiny, cluster("x", "y", "z")).step_time_s

    assert time([5, 3, 1]) == time([3, 2, 1]) == 6 * 3
    # One in flight everywhere: every micro-batch goes all the way there and back alone.
    assert time([1, 1, 1]) == 4 * 3 * 3


def test_a_stage_has_no_more_in_flight_than_the_stage_before_it():
    """The second stage may hold 3, but the first lets only 2 through.

    ::

        x  F0 F1       B0B0 F2      B1B1
        y     F0 F1 B0B0 ...
    """
    tiny = workload(block("a"), block("b"))
    stages = [stage("a", {"x": 1}, in_flight=2), stage("b", {"y": 1}, in_flight=3)]
    report = score(plan(pipeline(4, 1, *stages)), tiny, cluster("x", "y"))
    assert [most_in_flight(report, name) for name in "xy"] == [2, 2]
    assert walk(report, "y").startswith("F#0 1-2, F#1 2-3, B#0 3-5")


def test_two_stages_on_one_device():
    """x holds the first and the last stage; all take 1 s, transfers none.

    In unit time, where a transfer counts one, the backward of the last stage goes before the next forward.

    ::

        x  Fa0 Fa1 Fc0 Bc0 Fc1 Bc1 Ba0 Ba1
        y      Fb0 Fb1     Bb0     Bb1
           0   1   2   3   4   5   6   7   8
    """
    tiny = workload(block("a", 1, 1), block("b", 1, 1), block("c", 1, 1))
    stages = [stage("a", {"x": 1}), stage("b", {"y": 1}), stage("c", {"x": 1})]
    report = score(plan(pipeline(2, 1, *stages)), tiny, cluster("x", "y"))
    order = [
        f"{item.row.label}{item.row.blocks[0]}{item.micro_batch} {start:g}-{end:g}"
        for item, start, end in instructions(report, "x")
        if item.row.kind in (Kind.FORWARD, Kind.BACKWARD)
    ]
    assert order == [
        "Fa0 0-1", "Fa1 1-2", "Fc0 2-3", "Bc0 3-4", "Fc1 4-5", "Bc1 5-6", "Ba0 6-7", "Ba1 7-8",
    ]  # fmt: skip
    assert report.step_time_s == 8


def test_neighbouring_stages_on_one_device_send_nothing():
    tiny = workload(block("a", output_bytes=7), block("b"))
    report = score(plan(pipeline(2, 1, stage("a", {"x": 1}), stage("b", {"x": 1}))), tiny, cluster("x", "y"))
    assert report.traffic == {}
    assert report.step_time_s == 2 * 6


@pytest.mark.parametrize(("prefetch", "peak_bytes"), [(0, 4), (1, 5), (2, 5)])
def test_receives_are_posted_ahead_and_their_buffers_count(prefetch: int, peak_bytes: int):
    """One in flight: y runs F0 B0 F1 B1; the input of F1 is posted before F1, B0 or F0.

    At B0 y holds 3 kept bytes (the received one among them) and sends back 1; a posted receive adds 1.
    """
    tiny = workload(block("a", output_bytes=1), block("b", kept_bytes=3))
    stages = [stage("a", {"x": 1}, in_flight=1), stage("b", {"y": 1})]
    report = score(plan(pipeline(2, 1, *stages)), tiny, cluster("x", "y"), prefetch=prefetch)
    memory = report.memory["y"]
    assert memory.activation_bytes + memory.buffer_bytes == peak_bytes


def test_hybrid_pipeline_of_the_design():
    """A group 5:3 before a single device; everybody needs 1 s forward, 2 s backward; links carry 1 byte/s.

    tx2 has one receive lane and one send lane, so 5 s and 3 s follow one another each way.

    ::

        nano0  F0 [to tx2 1-6] F1 [9-14]                B0 17-19             B1 25-27        reduce 30-38
        nano1  F0 [to tx2 6-9] F1 [14-17]                     B0 20-22                B1 28-30
        tx2    F0 9-10 B0 10-12 [to nano0 12-17, nano1 17-20] F1 17-18 B1 18-20 [20-25, 25-28]
    """
    tiny = workload(
        block("a", 0.5, 1, kept_bytes=1),
        block("b", 0.5, 1, kept_bytes=1, output_bytes=1),
        block("c", 1, 2, kept_bytes=2),
    )
    boards = cluster(device("nano0", 5), device("nano1", 3), device("tx2", 8))
    report = score(
        plan(
            {
                "micro_batches": 2,
                "samples": 8,
                "stages": [
                    {
                        "blocks": ["a", "b"],
                        "mode": "data",
                        "shares": {"nano0": 5, "nano1": 3},
                        "in_flight": 2,
                    },
                    {"blocks": ["c"], "mode": "data", "shares": {"tx2": 8}, "in_flight": 1},
                ],
            }
        ),
        tiny,
        boards,
    )
    reduce = "all-reduce{nano0,nano1} 30-38, update 38-38"
    assert walk(report, "nano0") == (
        f"F#0 0-1, send->tx2#0 1-6, F#1 1-2, send->tx2#1 9-14, B#0 17-19, B#1 25-27, {reduce}"
    )
    assert walk(report, "nano1") == (
        f"F#0 0-1, send->tx2#0 6-9, F#1 1-2, send->tx2#1 14-17, B#0 20-22, B#1 28-30, {reduce}"
    )
    assert walk(report, "tx2") == (
        "F#0 9-10, B#0 10-12, send->nano0#0 12-17, send->nano1#0 17-20, F#1 17-18, B#1 18-20, "
        "send->nano0#1 20-25, send->nano1#1 25-28, update 20-20"
    )
    assert report.traffic == {
        ("nano0", "tx2"): 10, ("nano1", "tx2"): 6, ("tx2", "nano0"): 10, ("tx2", "nano1"): 6,
        ("nano0", "nano1"): 8, ("nano1", "nano0"): 8,
    }  # fmt: skip
    # nano0: two micro-batches of 5 x 2 kept and 5 to send, and two posted gradients of 5.
    assert report.memory["nano0"].peak_bytes == 16 + 2 * (10 + 5) + 2 * 5
    # tx2 at B0: 16 kept, 8 of gradients to send, and 8 bytes posted for the next micro-batch.
    assert report.memory["tx2"].peak_bytes == 8 + 16 + 8 + 8
    # The busiest lane is tx2's receive lane (16 s), in a tie with its send lane: 8 s per micro-batch.
    assert report.bottleneck_s == 8


def test_virtual_workers_of_unequal_shape():
    """One pipeline of two stages, another on one device; each block is reduced over all that hold it.

    ::

        x  F0 F1    B0    B1                  {a}  |
        y     F0 B0 F1 B1         {b ========}
        z  FFFFFFFFFF BBBBBBBBBB  {b ========}{a}  |
           0  1  2  3  4  5  6   8            12   14
    """
    tiny = workload(block("a", 1, 1, weight_bytes=2, kept_bytes=1), block("b", 1, 1, kept_bytes=1))
    report = score(
        plan(
            pipeline(2, 1, stage("a", {"x": 1}), stage("b", {"y": 1})),
            pipeline(1, 2, stage("a b", {"z": 2})),
        ),
        tiny,
        cluster("x", "y", "z"),
    )
    assert walk(report, "z") == "F#0 0-4, B#0 4-8, all-reduce{y,z} 8-12, all-reduce{x,z} 12-14, update 14-14"
    assert walk(report, "y").endswith("B#1 4-5, send->x#1 5-5, all-reduce{y,z} 8-12, update 12-12")
    assert walk(report, "x").endswith("B#1 5-6, all-reduce{x,z} 12-14, update 14-14")
    assert report.traffic[("y", "z")] == report.traffic[("z", "y")] == 4
    assert report.traffic[("x", "z")] == report.traffic[("z", "x")] == 2
    assert report.memory["z"].peak_bytes == 2 * 6 + 4


@pytest.mark.parametrize(("copies", "weights"), [("shared", 4), ("per_pipeline", 8)])
def test_copies_of_a_block_that_a_device_holds_for_two_pipelines(copies: str, weights: int):
    """y serves as last stage of both pipelines; its own two gradients meet without a message."""
    tiny = workload(block("a"), block("b"))
    report = score(
        plan(
            pipeline(1, 1, stage("a", {"x": 1}), stage("b", {"y": 1})),
            pipeline(1, 1, stage("a", {"z": 1}), stage("b", {"y": 1})),
            copies=copies,
        ),
        tiny,
        cluster("x", "y", "z"),
    )
    assert report.memory["y"].static.weight_bytes == weights
    assert report.memory["y"].static.gradient_bytes == 4, "they are added up in one place"
    assert [
        item.row.label for item, _, _ in instructions(report, "y") if item.row.kind == Kind.COLLECTIVE
    ] == []
    assert report.traffic[("x", "z")] == 4


def test_collectives_inside_one_pipeline_hold_no_other_pipeline_up():
    """The tensor pair x, y takes 100 s per all-reduce; the pipeline on z takes 1 + 2 s and does not wait."""
    ring = {"operation": "all_reduce", "phase": "forward", "bytes_per_sample": 100}
    tiny = workload(block("a", tensor={"heads": 2, "weight_bytes": 4, "collectives": [ring]}))
    report = score(
        plan(
            pipeline(1, 1, stage("a", {"x": 1, "y": 1}, mode="tensor")), pipeline(1, 1, stage("a", {"z": 1}))
        ),
        tiny,
        cluster("x", "y", "z"),
        sync=False,
    )
    assert walk(report, "z") == "F#0 0-1, B#0 1-3"
