"""Stages as the lowering sees them: depths, caps, kinds of micro-batches, routes."""

from __future__ import annotations

from typing import Any

import pytest

from models.workload import Workload
from solver.lowering.context import Context
from solver.lowering.stages import StageView, smooth_round_robin, stage_views, task_spans
from solver.plan import MicroBatch
from solver.settings import Settings
from tests.language.cases import block, cluster, device, pipeline, plan, stage, workload


def views(work: Workload, *stages: dict[str, Any], num: int = 9, **more: Any) -> list[StageView]:
    made = plan(pipeline(num, 1, *stages), **more)
    return stage_views(Context(made, work, cluster("x", "y"), Settings()))


def alone(blocks: str, **more: Any) -> dict[str, Any]:
    return stage(blocks, {"x": 1}, **more)


FORK = workload(block("a"), block("b"), block("c"), block("d"), block("e"), edges="a b, b c, a d, c e, d e")


def test_depth_is_the_longest_path_to_a_sink():
    """a -> b -> c -> e is four stages; the short way over d makes d as deep as c."""
    found = views(FORK, *(alone(name) for name in "abcde"))
    assert {view.blocks[0]: view.depth for view in found} == {"a": 4, "b": 3, "c": 2, "d": 2, "e": 1}
    assert {view.blocks[0]: view.cap for view in found} == {"a": 7, "b": 5, "c": 3, "d": 3, "e": 1}


@pytest.mark.parametrize(
    ("caps", "expected"), [([2, None, None], [2, 2, 1]), ([5, 1, 4], [5, 1, 1]), ([50, 3, None], [9, 3, 1])]
)
def test_caps_never_grow_along_edges(caps: list[int | None], expected: list[int]):
    chain = workload(block("a"), block("b"), block("c"))
    stages = [alone(name, in_flight=cap) for name, cap in zip("abc", caps, strict=True)]
    assert [view.cap for view in views(chain, *stages)] == expected


def test_gpipe_holds_all_micro_batches():
    chain = workload(block("a"), block("b"))
    assert [view.cap for view in views(chain, alone("a"), alone("b"), schedule="gpipe")] == [9, 9]


def test_a_stage_without_a_backward_pass_has_no_cap():
    chain = workload(block("a"), block("b"))
    found = views(chain, alone("a", in_flight=1), alone("b"), job={"frozen": ["a"]})
    assert [(view.has_backward, view.cap) for view in found] == [(False, 9), (True, 1)]


def test_micro_batches_that_are_alike_share_a_kind():
    batches = [{"samples": 1}, {"samples": 2}, {"samples": 1}]
    made = plan(pipeline(batches, 1, alone("a b c d e")))
    (view,) = stage_views(Context(made, FORK, cluster("x", "y"), Settings()))
    assert [kind.samples for kind in view.classes] == [1, 2]
    assert list(view.class_of) == [0, 1, 0]


@pytest.mark.parametrize(
    ("tasks", "spans"),
    [
        ({"one"}, [(0, 3)]),
        ({"two"}, [(3, 5)]),
        ({"one", "two"}, [(0, 5)]),
        ({"one", "three"}, [(0, 3), (5, 9)]),
        ({"none"}, []),
        (set(), [(0, 9)]),
    ],
)
def test_spans_of_tasks(tasks: set[str], spans: list[tuple[int, int]]):
    batch = MicroBatch(samples=9, tasks={"one": 3, "two": 2, "three": 4})
    assert task_spans(frozenset(tasks), batch) == spans


def test_a_task_without_samples_parts_nothing():
    batch = MicroBatch(samples=4, tasks={"one": 3, "two": 0, "three": 1})
    assert task_spans(frozenset({"one", "three"}), batch) == [(0, 4)]


@pytest.mark.parametrize(
    ("weights", "order"),
    [
        ({"a": 1, "b": 1}, "abab"),
        ({"a": 2, "b": 1}, "abaaba"),
        ({"a": 5, "b": 1, "c": 1}, "aabacaa"),
        ({"a": 0, "b": 3}, "bb"),
        ({"a": 0.5, "b": 0.25, "c": 0.25}, "abcaabca"),
    ],
)
def test_smooth_weighted_round_robin(weights: dict[str, float], order: str):
    assert "".join(smooth_round_robin(weights, len(order))) == order


def test_instances_get_compute_lanes_of_their_own():
    chain = workload(block("a"), block("b"))
    made = plan(pipeline(4, 1, alone("a", instances={"x": 3}), alone("b")), job={"kind": "serve"})
    context = Context(made, chain, cluster(device("x"), device("y")), Settings())
    first, second = stage_views(context)
    lanes = [context.units[first.unit(context, kind, "x")][1] for kind in first.class_of]
    assert lanes == ["x.service0.0", "x.service0.1", "x.service0.2", "x.service0.0"]
    assert {context.units[second.unit(context, kind, "x")][1] for kind in second.class_of} == {"x"}
