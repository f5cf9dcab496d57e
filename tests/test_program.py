"""Program: lists per device, steps, traffic, and the arrays the walk reads."""

from __future__ import annotations

import numpy as np
import pytest

from solver.lowering import lower
from solver.program import COMPUTE, Kind, Program, Row, StaticMemory
from tests.language.cases import block, cluster, device, pipeline, plan, stage, workload


def design() -> Program:
    """The plan of the design: a group 5:3 before a single device."""
    tiny = workload(block("a"), block("b", output_bytes=1), block("c"))
    stages = [stage("a b", {"nano0": 5, "nano1": 3}, in_flight=2), stage("c", {"tx2": 8}, in_flight=1)]
    return lower(plan(pipeline(2, 8, *stages)), tiny, cluster("nano0", "nano1", "tx2"))


def test_lists_of_the_design():
    program = design()
    first = "recv<-tx2#0 F#0 send->tx2#0 recv<-tx2#1 F#1 send->tx2#1 B#0 B#1 all-reduce{nano0,nano1} update"
    assert program.text("nano0") == program.text("nano1") == first
    assert program.text("tx2") == (
        ""
        "recv<-nano0#0 recv<-nano1#0 recv<-nano0#1 recv<-nano1#1 F#0 B#0 send->nano0#0 send->nano1#0 "
        "F#1 B#1 send->nano0#1 send->nano1#1 update"
    )


def test_instructions_know_their_place():
    program = design()
    for index in range(len(program)):
        item = program.instruction(index)
        assert item.index == index and item.step == 0
        if item.row.kind == Kind.SEND:
            assert program.instruction(item.mate).mate == index
    assert sum(len(list(program.of_device(name))) for name in program.devices) == len(program)


def test_messages_carry_slices_of_samples():
    sends = {
        (row.device, row.peer, row.phase): [part.box.samples for part in row.slices]
        for row in design().rows
        if row.kind == Kind.SEND
    }
    assert sends == {
        ("nano0", "tx2", "forward"): [(0, 5)],
        ("nano1", "tx2", "forward"): [(5, 8)],
        ("tx2", "nano0", "backward"): [(0, 5)],
        ("tx2", "nano1", "backward"): [(5, 8)],
    }


def test_counts_of_rows_add_up_to_the_instructions():
    program = design()
    assert program.counts.sum() == len(program)
    forwards = [row for row in program.rows if row.kind == Kind.FORWARD]
    assert [row.device for row in forwards] == ["nano0", "nano1", "tx2"]
    assert {program.counts[program.rows.index(row)] for row in forwards} == {2}


def test_traffic_of_a_ring_goes_hop_by_hop_and_of_a_star_through_the_server():
    """Twelve bytes over three: each hop of a ring carries 16; a server gets and sends 12 for each."""
    tiny = workload(block("a", weight_bytes=12))
    boards = cluster("x", "y", "z")
    shares = pipeline(1, 3, stage("a", {"x": 1, "y": 1, "z": 1}))
    assert lower(plan(shares), tiny, boards).bytes_by_pair() == {
        ("x", "y"): 16, ("y", "z"): 16, ("z", "x"): 16,
    }  # fmt: skip
    star = lower(plan(shares, sync={"topology": "star", "server": "y"}), tiny, boards)
    assert star.bytes_by_pair() == {("x", "y"): 12, ("z", "y"): 12, ("y", "x"): 12, ("y", "z"): 12}


def test_a_round_repeats_its_steps():
    made = plan(
        pipeline(3, 2, stage("a", {"x": 1, "y": 1})), sync={"every": 4, "topology": "star", "server": "x"}
    )
    program = lower(made, workload(block("a")), cluster("x", "y"))
    assert (program.num_steps, program.num_samples, program.num_micro_batches) == (4, 24, 12)
    assert [program.instruction(start).step for start in program.step_starts[:-1]] == [0, 1, 2, 3]
    # Three micro-batches on two devices, F and B, and two updates.
    assert np.diff(program.step_starts)[0] == 3 * 2 * 2 + 2


@pytest.mark.parametrize(
    ("row", "label"),
    [
        (Row(Kind.FORWARD, "x"), "F"),
        (Row(Kind.BACKWARD, "x"), "B"),
        (Row(Kind.UPDATE, "x"), "update"),
        (Row(Kind.SEND, "x", peer="y"), "send->y"),
        (Row(Kind.RECV, "x", peer="y"), "recv<-y"),
        (Row(Kind.HANDOVER, "x", peer="x"), "handover->x"),
        (Row(Kind.COLLECTIVE, "x", operation="all_reduce", ring=("x", "y")), "all-reduce{x,y}"),
    ],
)
def test_labels(row: Row, label: str):
    assert row.label == label


def test_every_computation_has_one_lane_of_its_device():
    program = design()
    for row in program.rows:
        if row.kind in COMPUTE:
            assert [program.lanes[lane] for lane in row.lanes] == [f"{row.device}:compute"]


def test_static_memory_adds_up():
    assert StaticMemory(1, 2, 3, 4).total_bytes == 10


def test_devices_without_work_have_an_empty_list():
    tiny = workload(block("a"))
    program = lower(plan(pipeline(1, 1, stage("a", {"x": 1}))), tiny, cluster(device("x"), device("y")))
    assert program.text("y") == ""
    assert program.static["y"].total_bytes == 0
