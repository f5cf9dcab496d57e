"""Hybrid plans: there and back, and every change is a sound plan."""

from __future__ import annotations

import numpy as np

from solver.check import check
from solver.plan import Stage, pipeline_plan
from solver.search.hybrid import Hybrid, Neighbourhood, from_plan
from solver.search.shares import speeds
from tests.algorithms.cases import chain, cluster, problem

BOARDS = cluster({"x": 1, "y": 2, "z": 4})


def test_a_plan_and_its_point_are_the_same() -> None:
    what = problem(chain(4), BOARDS, batch=8, num_micro_batches=2)
    point = Hybrid((0, 1, 4), ({"x": 1, "y": 3}, {"z": 4}), 2)
    plan = point.plan(what)
    assert [stage.blocks for stage in plan.pipelines[0].stages] == [("a",), ("b", "c", "d")]
    assert from_plan(what, plan) == point


def test_other_modes_are_no_such_point() -> None:
    what = problem(chain(2, tensor={"heads": 4, "weight_bytes": 1}), BOARDS)
    plan = pipeline_plan(what, [Stage(blocks=("a", "b"), mode="tensor", shares={"x": 1, "y": 3})], 4)
    assert from_plan(what, plan) is None


def test_every_change_is_sound_and_all_kinds_occur() -> None:
    what = problem(chain(5), BOARDS, batch=8, num_micro_batches=None)
    near = Neighbourhood(what, speeds(what, 1), np.random.default_rng(0))
    point = Hybrid((0, 5), ({"z": 8},), 1)
    seen = set()
    for _ in range(400):
        other = near.change(point)
        if other is None:
            continue
        check(other.plan(what), what.workload, what.cluster)
        point = other
        seen.add((len(point.groups), point.num_micro_batches, max(len(group) for group in point.groups)))
    assert {stages for stages, _, _ in seen} == {1, 2, 3}
    assert {count for _, count, _ in seen} == {1, 2, 4, 8}
    assert {size for _, _, size in seen} == {1, 2, 3}
