"""Overlap: where gradient reductions stand, and what they overlap with."""

from __future__ import annotations

import pytest

from solver.program import Kind, Row
from solver.report import Report
from tests.language.cases import block, cluster, pipeline, plan, score, stage, walk, workload


def test_one_bucket_waits_for_the_whole_backward_pass():
    """A ring of two sends all 8 bytes once each way: 8 s after B."""
    report = score(plan(pipeline(1, 2, stage("a b", {"x": 1, "y": 1}))), CHAIN, cluster(*"xy"))
    assert walk(report, "x") == "F#0 0-2, B#0 2-6, all-reduce{x,y} 6-14, update 14-14"


CHAIN = workload(block("a"), block("b"))


def test_two_buckets_overlap_with_backward():
    """The reduction of b begins when b's backward is over.

    ::

        x, y  FFBBBB|
        ring      bbbbaaaa|
              0   4   8  12
    """
    made = plan(pipeline(1, 2, stage("a b", {"x": 1, "y": 1})), sync={"buckets": 2})
    report = score(made, CHAIN, cluster(*"xy"))
    assert walk(report, "x") == (
        "F#0 0-1, F#0 1-2, B#0 2-4, all-reduce{x,y} 4-8, B#0 4-6, all-reduce{x,y} 8-12, update 12-12"
    )
    reduced = [row.blocks for row in report.program.rows if row.kind == Kind.COLLECTIVE and row.members]
    assert reduced == [("b",), ("a",)]


def test_only_the_last_micro_batch_is_cut():
    made = plan(pipeline(3, 2, stage("a b", {"x": 1, "y": 1})), sync={"buckets": 2}, schedule="gpipe")
    report = score(made, CHAIN, cluster(*"xy"))
    assert report.program.text("x") == (
        "F#0 F#1 F#2 F#2 B#0 B#1 B#2 all-reduce{x,y} B#2 all-reduce{x,y} update"
    )
    assert report.step_time_s == 3 * 2 + 2 * 4 + 2 + 2 * 4


def test_buckets_are_cut_where_the_bytes_are():
    """From the last block on 4, 4, 40 and 4 bytes: of two buckets the first ends before the large block."""
    chain = workload(block("a"), block("b", weight_bytes=40), block("c"), block("d"))
    made = plan(pipeline(1, 2, stage("a b c d", {"x": 1, "y": 1})), sync={"buckets": 2})
    report = score(made, chain, cluster(*"xy"))
    reduced = [row.blocks for row in report.program.rows if row.kind == Kind.COLLECTIVE and row.members]
    assert reduced == [("d", "c"), ("b", "a")]


@pytest.mark.parametrize(("buckets", "reductions"), [(3, 3), (4, 4), (9, 4)])
def test_at_most_as_many_buckets_as_asked_and_as_there_are_blocks(buckets: int, reductions: int):
    chain = workload(*(block(name) for name in "abcd"))
    made = plan(pipeline(1, 2, stage("a b c d", {"x": 1, "y": 1})), sync={"buckets": buckets})
    report = score(made, chain, cluster(*"xy"))
    assert sum(row.members > 0 for row in report.program.rows) == reductions


def test_what_nobody_reduces_is_not_cut():
    made = plan(pipeline(1, 2, stage("a b", {"x": 2})), sync={"buckets": 2})
    assert score(made, CHAIN, cluster(*"xy")).program.text("x") == "F#0 B#0 update"


def test_the_message_of_a_pass_that_is_over_goes_before_its_last_bucket():
    """Stage b c on z and w reduces c while b runs backward; then the gradients leave for x and y (1 s each),
    and b is reduced behind them.

    ::

        z, w     ..FFBBBB|
        z's ring       ccccsbbbb|
        x, y     F          BB|
        x's ring              aaaa|
                 0     6   10   15 17
    """
    chain = workload(block("a", output_bytes=1), block("b"), block("c"))
    made = plan(
        pipeline(1, 2, stage("a", {"x": 1, "y": 1}), stage("b c", {"z": 1, "w": 1})), sync={"buckets": 2}
    )
    report = score(made, chain, cluster(*"xyzw"))
    assert walk(report, "z") == (
        "F#0 2-3, F#0 3-4, B#0 4-6, all-reduce{z,w} 6-10, B#0 6-8, send->x#0 10-11, "
        "all-reduce{z,w} 11-15, update 15-15"
    )
    assert walk(report, "x") == "F#0 0-1, send->z#0 1-2, B#0 11-13, all-reduce{x,y} 13-17, update 17-17"


def test_one_bucket_lets_messages_on_a_shared_medium_go_first():
    """Three stages on one medium: c is not reduced before the gradient of b has left for x."""
    chain = workload(block("a", output_bytes=1), block("b", output_bytes=1), block("c"))
    stages = [stage("a", {"x": 1, "u": 1}), stage("b", {"y": 2}), stage("c", {"z": 1, "w": 1})]
    report = score(plan(pipeline(1, 2, *stages)), chain, cluster(*"xuyzw", kind="shared"))
    eager = plan(pipeline(1, 2, *stages), sync={"buckets": 2})
    hasty = score(eager, chain, cluster(*"xuyzw", kind="shared"))
    order = [row.label for row in rows(report) if row.phase in ("backward", "sync")]
    assert order.index("send->x") < order.index("all-reduce{z,w}")
    order = [row.label for row in rows(hasty) if row.phase in ("backward", "sync")]
    assert order.index("all-reduce{z,w}") < order.index("send->x")


def rows(report: Report) -> list[Row]:
    program = report.program
    return [program.rows[r] for r in program.row if program.rows[r].kind in (Kind.SEND, Kind.COLLECTIVE)]


def test_a_stage_is_reduced_while_its_devices_compute_another():
    """x and y hold a and c around b on z. With one bucket too, c is reduced as soon as the gradients of b
    have arrived (on x at 19 s, on y at 20 s), while a runs backward."""
    chain = workload(block("a", output_bytes=1), block("b", output_bytes=2), block("c"))
    stages = [stage("a", {"x": 1, "y": 1}), stage("b", {"z": 2}), stage("c", {"x": 1, "y": 1})]
    report = score(plan(pipeline(1, 2, *stages)), chain, cluster(*"xyz"))
    assert walk(report, "x").endswith("B#0 19-21, all-reduce{x,y} 24-28, update 28-28")
    assert "all-reduce{x,y} 20-24, B#0 19-21" in walk(report, "x")


def test_a_block_of_two_pipelines_is_reduced_after_its_last_backward():
    """y computes b for both pipelines; its gradients are final after the later one."""
    made = plan(
        pipeline(1, 1, stage("a", {"x": 1}), stage("b", {"y": 1})),
        pipeline(2, 1, stage("a", {"z": 1}), stage("b", {"y": 1})),
        sync={"buckets": 2},
    )
    chain = workload(block("a", output_bytes=1), block("b"))
    program = score(made, chain, cluster(*"xyz")).program
    labels = [f"{item.row.pipeline}{item.row.label}{item.micro_batch}" for item in program.of_device("y")]
    assert not any("all-reduce" in label for label in labels)
    text = program.text("x")
    assert text.endswith("B#0 all-reduce{x,z} update")


def test_buckets_take_one_buffer_of_the_largest():
    """Rings of two cut 4 and 40 bytes into halves; the buffer is there until the update."""
    chain = workload(block("a", weight_bytes=40, kept_bytes=100), block("b", kept_bytes=100))
    made = plan(pipeline(1, 2, stage("a b", {"x": 1, "y": 1})), sync={"buckets": 2})
    report = score(made, chain, cluster(*"xy"))
    assert report.memory["x"].activation_bytes == 200 + 20


def test_a_bucket_waits_for_the_collective_that_ends_a_cut_block():
    """What begins a block that is cut over heads ends its backward pass, after its last collective."""
    passes = [{"operation": "all_reduce", "bytes_per_sample": 1, "phase": p} for p in ("forward", "backward")]
    tensor = {"heads": 2, "weight_bytes": 2, "collectives": passes}
    chain = workload(block("a", tensor=tensor), block("b", tensor=tensor))
    pairs = ({"x": 1, "y": 1}, {"z": 1, "w": 1})
    groups = {
        name: {"samples": 1, "mode": "tensor", "shares": p} for name, p in zip("gh", pairs, strict=True)
    }
    made = plan(pipeline(1, 2, stage("a b", groups)), sync={"buckets": 2})
    program = score(made, chain, cluster(*"xyzw")).program
    rows = [program.rows[r] for r in program.row]
    ends = {(r.device, r.blocks): i for i, r in enumerate(rows) if r.operation and r.phase == "backward"}
    begins = [(i, ends[r.device, r.blocks]) for i, r in enumerate(rows) if r.phase == "sync"]
    assert begins
    assert all(begin > end for begin, end in begins)
