"""Rows of collectives: members, bytes, buffers and the power of their radios."""

from __future__ import annotations

import pytest

from solver.lowering import lower
from solver.lowering.collectives import collective_rows
from solver.lowering.context import Context
from solver.settings import Settings
from tests.language.cases import block, cluster, device, pipeline, plan, stage, workload

MADE = plan(pipeline(1, 3, stage("a", {"x": 1, "y": 1, "z": 1})))
WORK = workload(block("a"))


def context(**more: object) -> Context:
    boards = cluster(*(device(name, radio_w=1) for name in "xyz"), "s", **more)
    return Context(MADE, WORK, boards, Settings())


def test_ring_of_three():
    rows = collective_rows(context(), "xyz", "all_reduce", [4, 4, 4])
    assert [(row.device, row.num_bytes, row.members) for row in rows] == [
        ("x", 16, 3), ("y", 16, 0), ("z", 16, 0),
    ]  # fmt: skip
    assert {row.duration_s for row in rows} == {16}
    assert {row.alloc_bytes for row in rows} == {4}
    # Sends and receives all the time.
    assert [row.power_w for row in rows] == [2, 2, 2]


def test_a_named_ring_leaves_others_out():
    rows = collective_rows(context(), "xyz", "all_gather", [1, 2, 6], ring="zsyx")
    # Each sends all but its successor's chunk: z keeps y's 2, y keeps x's 1, x keeps z's 6.
    assert [(row.device, row.num_bytes) for row in rows] == [("z", 7), ("y", 8), ("x", 3)]
    assert {row.ring for row in rows} == {("z", "y", "x")}


def test_gather_of_uneven_chunks():
    """Steps of 6 and 6 s; each receives what it has not."""
    rows = collective_rows(context(), "xyz", "all_gather", [1, 2, 6])
    assert [(row.num_bytes, row.alloc_bytes) for row in rows] == [(7, 8), (3, 7), (8, 3)]
    assert rows[0].duration_s == 12
    # x sends 7 s and receives what z sends, 8 s, of 12.
    assert rows[0].power_w == pytest.approx((7 + 8) / 12)


def test_only_the_first_row_occupies_the_medium():
    shared = context(kind="shared")
    rows = collective_rows(shared, "xyz", "all_reduce", [4, 4, 4])
    names = [[shared.lanes[lane] for lane in row.lanes] for row in rows]
    assert names == [["x:send", "x:recv", "net:medium"], ["y:send", "y:recv"], ["z:send", "z:recv"]]
    # One of the three sends at a time: 16 s each way of 48.
    assert rows[0].duration_s == 48
    assert rows[0].power_w == pytest.approx(2 / 3)


def test_star_with_a_server_apart():
    """Twelve bytes from each of three, one after the other, and back: 72 s."""
    rows = collective_rows(context(), "xyz", "all_reduce", [4, 4, 4], "s")
    assert [row.device for row in rows] == ["s", "x", "y", "z"]
    assert [row.num_bytes for row in rows] == [36, 12, 12, 12]
    assert rows[0].duration_s == 72
    assert [row.alloc_bytes for row in rows] == [12 + 3, 3, 3, 3]
    assert rows[1].power_w == pytest.approx(24 / 72)


def test_star_with_a_member_as_server():
    rows = collective_rows(context(), "xyz", "all_reduce", [4, 4, 4], "y")
    assert [(row.device, row.num_bytes, row.alloc_bytes) for row in rows] == [
        ("y", 24, 4), ("x", 12, 4), ("z", 12, 4),
    ]  # fmt: skip
    assert rows[0].duration_s == 48


@pytest.mark.parametrize(
    ("collectives", "expected"),
    [
        ("lanes", {"x": {"x:compute", "x:send", "x:recv"}, "y": {"y:compute", "y:send", "y:recv"}}),
        ("channel", {"x": {"x:compute"}, "y": {"y:compute"}}),
    ],
)
def test_a_collective_inside_a_stage_takes_lanes_or_a_channel_of_its_own(collectives, expected):
    exchange = {"operation": "all_reduce", "phase": "forward", "bytes_per_sample": 8}
    work = workload(block("a", tensor={"heads": 2, "weight_bytes": 0, "collectives": [exchange]}))
    made = plan(pipeline(1, 1, stage("a", {"x": 1, "y": 1}, mode="tensor")))
    boards = cluster(device("x"), device("y"), "s")
    program = lower(made, work, boards, Settings(collectives=collectives))
    found = {
        row.device: {program.lanes[lane] for lane in row.lanes}
        for row in program.rows
        if row.operation == "all_reduce"
    }
    assert found == expected
