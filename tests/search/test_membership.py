"""Membership: a bound on a space says nothing of a plan outside of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from solver.plan import DeviceChoice, Stage, pipeline_plan, plan_of
from solver.problem import Problem
from solver.search.membership import belongs
from solver.space import Space
from tests.algorithms.boards import boards, problem

HYBRID = Space(("data",), None, None, (2,))
FIRST, SECOND = ("b0", "b1"), ("b2", "b3")


def what(**words: object) -> Problem:
    return problem(boards(1, 2, 3), num_micro_batches=2, **words)


def two(first: dict[str, int], second: dict[str, int], *caps: int | None) -> list[Stage]:
    parts = zip((FIRST, SECOND), (first, second), caps or (None, None), strict=True)
    return [Stage(blocks=blocks, shares=dict(shares), in_flight=cap) for blocks, shares, cap in parts]


@pytest.mark.parametrize(
    ("stages", "space", "inside"),
    [
        (two({"x0": 4}, {"x1": 4}), HYBRID, True),
        (two({"x0": 4}, {"x1": 3, "x2": 1}), HYBRID, True),
        (two({"x0": 4}, {"x1": 3, "x2": 1}), Space(num_micro_batches=(2,)), False),
        (two({"x0": 4}, {"x1": 4}), Space(max_stages=1, num_micro_batches=(2,)), False),
        (two({"x0": 4}, {"x1": 4}), Space(num_micro_batches=(4,)), False),
        (
            two({"x0": 4}, {"x1": 3, "x2": 1}),
            Space(max_group=None, num_micro_batches=(2,), share_step=2),
            False,
        ),
        (
            two({"x0": 4}, {"x1": 2, "x2": 2}),
            Space(max_group=None, num_micro_batches=(2,), share_step=2),
            True,
        ),
        (two({"x0": 4}, {"x0": 4}), HYBRID, False),
        (two({"x0": 4}, {"x0": 4}), Space(num_micro_batches=(2,), stages_per_device=2), True),
        # Two micro-batches: any cap from 2 on is the rule of depth 2, any cap from 1 on that of depth 1.
        (two({"x0": 4}, {"x1": 4}, 2, 1), HYBRID, True),
        (two({"x0": 4}, {"x1": 4}, 1, 1), HYBRID, False),
        (two({"x0": 4}, {"x1": 4}, 1, 1), Space(num_micro_batches=(2,), in_flight="free"), True),
    ],
)
def test_groups_shares_stages_and_caps_decide(stages: list[Stage], space: Space, inside: bool) -> None:
    assert belongs(pipeline_plan(what(), stages, 2), space, what()) is inside


def test_a_named_ring_is_outside_where_rings_differ() -> None:
    stages = two({"x0": 4}, {"x1": 3, "x2": 1})
    stages[1] = stages[1].model_copy(update={"ring": ("x2", "x1")})
    plan = pipeline_plan(what(), stages, 2)
    assert belongs(plan, HYBRID, what())
    assert not belongs(plan, replace(HYBRID, rings="nearest"), what())


def test_other_modes_schedules_and_several_pipelines_are_outside() -> None:
    plan = pipeline_plan(what(), two({"x0": 4}, {"x1": 4}), 2)
    (pipeline,) = plan.pipelines
    halves = [pipeline.model_copy(update={"micro_batches": 1})] * 2
    tensor = pipeline.stages[0].model_copy(update={"mode": "tensor"})
    other = pipeline.model_copy(update={"stages": (tensor, pipeline.stages[1])})
    assert not belongs(plan_of(what(), halves), HYBRID, what())
    assert not belongs(plan_of(what(), [other]), HYBRID, what())
    assert not belongs(plan.model_copy(update={"schedule": "gpipe"}), HYBRID, what())
    assert not belongs(plan.model_copy(update={"left_out": "off"}), HYBRID, what())
    assert belongs(plan.model_copy(update={"left_out": "off"}), HYBRID, what(left_out="off"))


@pytest.mark.parametrize(
    ("choice", "own", "free"),
    [
        ({}, True, True),
        ({"power_mode": "slow"}, False, True),
        ({"power_mode": "slow", "rank": 2}, False, False),
        ({"rank": 2}, False, False),
    ],
)
def test_power_modes_belong_to_a_space_that_has_them(
    choice: dict[str, object], own: bool, free: bool
) -> None:
    plan = pipeline_plan(what(), two({"x0": 4}, {"x1": 4}), 2)
    plan = plan.model_copy(update={"devices": {"x0": DeviceChoice.model_validate(choice)}})
    assert belongs(plan, HYBRID, what()) is own
    assert belongs(plan, replace(HYBRID, power_modes="free"), what()) is free
