"""What a device holds for a micro-batch of a stage, counted by hand."""

from __future__ import annotations

from solver.lowering.context import Context
from solver.lowering.footprint import Footprint
from solver.lowering.stages import stage_views
from solver.lowering.templates import TemplateMaker
from solver.plan import Plan
from solver.program import Kind, Row
from solver.settings import Settings
from tests.language.cases import block, cluster, pipeline, plan, score, stage, workload


def footprints(made: Plan, work: object, *places: tuple[int, str]) -> list[Footprint]:
    context = Context(made, work, cluster(*"xyz"), Settings())  # type: ignore[arg-type]
    views = stage_views(context)
    maker = TemplateMaker(context, views)
    return [maker.footprints.of(views[s], 0, device) for s, device in places]


def test_what_a_device_hands_to_its_own_later_stage_is_held_once():
    """x makes two samples of a; it goes on with one of them, and y with the other.

    The output of 20 bytes is held until the backward pass of a, so what b keeps of it on x is nothing new.
    The gradient of the sample of x waits from one backward pass to the other, and both are put together in
    20 bytes, in 10 of which that of y arrives.
    """
    work = workload(block("a", kept_bytes=7, output_bytes=10), block("b", kept_bytes=13))
    made = plan(pipeline(1, 2, stage("a", {"x": 2}), stage("b", {"x": 1, "y": 1})))
    first, on_x, on_y = footprints(made, work, (0, "x"), (1, "x"), (1, "y"))
    assert (first.kept, first.output, first.received_gradients) == (14, 20, 10)
    assert (first.own_gradients, first.merged_gradients) == (10, 10)
    assert (on_x.kept, on_x.received, on_x.handed_gradients, on_x.sent_gradients) == (3, 0, 10, 0)
    assert (on_y.kept, on_y.received, on_y.handed_gradients, on_y.sent_gradients) == (13, 10, 0, 10)


def test_a_block_that_reads_some_samples_keeps_the_tensor_of_all():
    """One sample of three is of task d. Where nobody else holds what t made, 10 bytes kept become 30."""
    ends = block("d", kept_bytes=10, task="d"), block("p", kept_bytes=10, task="p")
    work = workload(block("t", output_bytes=10), *ends, edges="t d, t p")
    batch = [{"samples": 3, "tasks": {"d": 1, "p": 2}}]
    ((both),) = footprints(plan(pipeline(batch, 3, stage("t d p", {"x": 3}))), work, (0, "x"))
    assert (both.kept, both.output) == (30, 0)
    made = plan(pipeline(batch, 3, stage("t d", {"x": 3}), stage("p", {"y": 3})))
    (apart,) = footprints(made, work, (0, "x"))
    assert (apart.kept, apart.output) == (0, 30)


def test_a_gradient_that_goes_to_two_devices_is_one_tensor():
    """x and y both make all of a, cut over heads; z sends them the same gradient of 10 bytes."""
    passes = [{"operation": "all_reduce", "bytes_per_sample": 1, "phase": p} for p in ("forward", "backward")]
    tensor = {"heads": 2, "weight_bytes": 2, "collectives": passes}
    work = workload(block("a", output_bytes=10, tensor=tensor), block("b", kept_bytes=13))
    made = plan(pipeline(1, 1, stage("a", {"x": 1, "y": 1}, mode="tensor"), stage("b", {"z": 1})))
    (on_z,) = footprints(made, work, (1, "z"))
    assert on_z.sent_gradients == 10
    rows = score(made, work, cluster(*"xyz")).program.rows
    assert [r.free_bytes for r in rows if r.kind == Kind.SEND and r.phase == "backward"] == [0, 10]


def test_frozen_blocks_are_not_made_again():
    work = workload(block("a", kept_bytes=7, output_bytes=10), block("b", kept_bytes=13, output_bytes=1))
    made = plan(pipeline(1, 1, stage("a b", {"x": 1}, recompute=["a", "b"])), job={"frozen": ["a"]})
    (found,) = footprints(made, work, (0, "x"))
    assert (found.blocks, found.recomputed) == ({"a": 0, "b": 10}, 3)


def test_what_is_put_together_needs_room_beside_its_parts():
    """Of 8 bytes x has 2 and y has 6; the parts of the others arrive, and then all go into a tensor."""
    work = workload(block("a", output_bytes=8, tokens=4, sequence={}), block("b", kept_bytes=8))
    made = plan(pipeline(1, 1, stage("a b", {"x": 1, "y": 3}, mode="sequence")))
    rows = _collectives(score(made, work, cluster(*"xy")).program.rows, "forward")
    assert {row.device: row.alloc_bytes for row in rows} == {"x": 14, "y": 10}


def test_gathered_keys_arrive_in_the_whole_tensor():
    passes = [
        {"operation": "all_gather", "phase": "forward", "bytes_per_sample": 8, "at": 0.5},
        {"operation": "reduce_scatter", "phase": "backward", "bytes_per_sample": 8, "at": 0.5},
    ]
    work = workload(block("a", kept_bytes=20, output_bytes=8, tokens=4, sequence={"collectives": passes}))
    made = plan(pipeline(1, 1, stage("a", {"x": 1, "y": 3}, mode="sequence")))
    rows = score(made, work, cluster(*"xy")).program.rows
    assert {row.device: row.alloc_bytes for row in _collectives(rows, "forward")} == {"x": 8, "y": 8}
    assert {row.device: row.alloc_bytes for row in _collectives(rows, "backward")} == {"x": 6, "y": 6}
    kept = [row.alloc_bytes for row in rows if row.kind == Kind.FORWARD and row.device == "x"]
    assert kept == [0, 11]  # 8 gathered, and a quarter of the other 12


def _collectives(rows: tuple[Row, ...], phase: str) -> list[Row]:
    return [row for row in rows if row.kind == Kind.COLLECTIVE and row.phase == phase]
