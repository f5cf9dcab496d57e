"""Synchronisation: which gradients who reduces with whom."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from models.workload import Workload
from solver.lowering.context import Context
from solver.lowering.stages import stage_views
from solver.lowering.sync import Reduction, holders, reductions
from solver.settings import Settings
from tests.language.cases import block, cluster, pipeline, plan, stage, workload


def found(work: Workload, *pipelines: dict[str, Any], **more: Any) -> list[Reduction]:
    context = Context(plan(*pipelines, **more), work, cluster(*"xyzw"), Settings())
    return reductions(context, holders(context, stage_views(context)))


CHAIN = workload(block("a", weight_bytes=8), block("b"))
CUT = {"tensor": {"heads": 4, "weight_bytes": 8}}


def test_blocks_of_one_group_are_reduced_together_the_last_first():
    assert found(CHAIN, pipeline(1, 2, stage("a b", {"x": 1, "y": 1}))) == [
        Reduction(("x", "y"), ("b", "a"), None, 12)
    ]


def test_each_stage_reduces_its_own():
    assert found(CHAIN, pipeline(1, 2, stage("a", {"x": 1, "y": 1}), stage("b", {"z": 1, "w": 1}))) == [
        Reduction(("z", "w"), ("b",), None, 4),
        Reduction(("x", "y"), ("a",), None, 8),
    ]


def test_nothing_is_reduced_that_one_device_holds():
    assert found(CHAIN, pipeline(1, 2, stage("a", {"x": 2}), stage("b", {"y": 2}))) == []


def test_frozen_blocks_are_not_reduced():
    assert found(CHAIN, pipeline(1, 2, stage("a b", {"x": 1, "y": 1})), job={"frozen": ["a"]}) == [
        Reduction(("x", "y"), ("b",), None, 4)
    ]


def test_a_tensor_group_has_nothing_to_reduce():
    """Cut weights lie on one device; what is whole has the same gradient everywhere."""
    work = workload(block("a", weight_bytes=10, **CUT))
    assert found(work, pipeline(1, 2, stage("a", {"x": 3, "y": 1}, mode="tensor"))) == []


def test_pipelines_that_cut_weights_differently_reduce_piece_by_piece():
    """Heads 3:1 on x and y, 2:2 on z and w: pieces 0 to 1/2, 1/2 to 3/4 and 3/4 to 1 of the 8 cut bytes."""
    work = workload(block("a", weight_bytes=10, **CUT))
    pieces = found(
        work,
        pipeline(1, 1, stage("a", {"x": 3, "y": 1}, mode="tensor")),
        pipeline(1, 1, stage("a", {"z": 2, "w": 2}, mode="tensor")),
    )
    half, three = Fraction(1, 2), Fraction(3, 4)
    assert pieces == [
        Reduction(("x", "y", "z", "w"), ("a",), None, 2),
        Reduction(("x", "z"), ("a",), (Fraction(0), half), 4),
        Reduction(("x", "w"), ("a",), (half, three), 2),
        Reduction(("y", "w"), ("a",), (three, Fraction(1)), 2),
    ]


def test_what_lies_between_two_parts_a_device_holds_is_kept_the_same():
    """x has the first quarter of the heads in one pipeline and the last in the other, and holds all."""
    work = workload(block("a", weight_bytes=10, **CUT))
    pieces = found(
        work,
        pipeline(1, 1, stage("a", {"x": 1, "y": 3}, mode="tensor")),
        pipeline(1, 1, stage("a", {"z": 3, "x": 1}, mode="tensor")),
    )
    assert [(piece.members, piece.interval) for piece in pieces[1:]] == [
        (("x", "z"), (Fraction(0), Fraction(1, 4))),
        (("x", "y", "z"), (Fraction(1, 4), Fraction(3, 4))),
        (("x", "y"), (Fraction(3, 4), Fraction(1))),
    ]


def test_sequence_groups_reduce_what_they_cut_and_not_what_they_repeat():
    """Tokens of a differ between x and y, so their gradients do; b is computed whole by both."""
    work = workload(block("a", weight_bytes=8, tokens=4, sequence={}), block("b"))
    assert found(work, pipeline(1, 1, stage("a b", {"x": 2, "y": 2}, mode="sequence"))) == [
        Reduction(("x", "y"), ("a",), None, 8)
    ]


def test_a_device_in_two_pipelines_is_one_member():
    work = workload(block("a"))
    assert found(
        work, pipeline(1, 1, stage("a", {"x": 1})), pipeline(1, 2, stage("a", {"x": 1, "y": 1}))
    ) == [Reduction(("x", "y"), ("a",), None, 4)]
