"""Rules of placement: the evaluator names each that is broken, and a problem those that make no sense."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.errors import InputError
from solver.evaluate import judge
from solver.job import Job
from solver.placement import Placement
from solver.problem import Problem
from solver.split import split_of, split_plan
from tests.algorithms.boards import boards, chain


def problem(placement: Placement | None = None) -> Problem:
    """A chain b0 -> b1 -> b2 -> b3 on boards x0, x1, x2 of kinds fast, fast and slow."""
    cluster = boards(1, 2, 3)
    kinds = ("fast", "fast", "slow")
    devices = tuple(
        device.model_copy(update={"kind": kind}) for device, kind in zip(cluster.devices, kinds, strict=True)
    )
    named = type(cluster)(name="boards", devices=devices, segments=cluster.segments)
    return Problem(chain(4), named, Job(kind="serve", batch=1), num_micro_batches=1, placement=placement)


def broken(placement: Placement, *devices: str) -> list[str]:
    what = problem(placement)
    plan = split_plan(what, {f"b{i}": device for i, device in enumerate(devices)})
    return [violation.message for violation in judge(what, plan)[0].violations]


def test_blocks_that_share_a_device() -> None:
    rule = Placement(together=(("b0", "b2"),))
    assert broken(rule, "x0", "x1", "x0", "x1") == []
    assert broken(rule, "x0", "x1", "x2", "x2") == ["blocks b0, b2 must share a device; they are on x0, x2"]


def test_kinds_a_block_may_run_on() -> None:
    rule = Placement(kinds={"b3": ("slow",)})
    assert broken(rule, "x0", "x0", "x0", "x2") == []
    assert broken(rule, "x0", "x0", "x0", "x1") == ["block b3 may run on slow; it is on x1"]


def test_devices_that_need_one_another() -> None:
    every = frozenset(f"b{i}" for i in range(4))
    (message,) = broken(Placement(convex=every), "x0", "x1", "x0", "x1")
    assert message.startswith("devices need one another's outputs: x")
    # b1 is outside the rule: what is left of the chain, b2 -> b3, says nothing against it.
    assert broken(Placement(convex=every - {"b1"}), "x0", "x1", "x0", "x0") == []
    # A further edge b3 -> b0 closes the circle.
    assert broken(Placement(convex=every, order=(("b3", "b0"),)), "x0", "x0", "x1", "x1")
    # Blocks on a kind that stands for many devices are by themselves.
    assert broken(Placement(convex=every), "x2", "x0", "x2", "x1")
    assert broken(Placement(convex=every, apart=frozenset({"slow"})), "x2", "x0", "x2", "x1") == []


def test_a_block_on_several_devices_breaks_the_rules() -> None:
    what = problem(Placement())
    plan = split_plan(what, dict.fromkeys(("b0", "b1", "b2", "b3"), "x0"))
    stage = plan.pipelines[0].stages[0].model_copy(update={"shares": {"x0": 1, "x1": 1}})
    pipeline = plan.pipelines[0].model_copy(update={"stages": (stage,), "samples": 2})
    both = plan.model_copy(update={"pipelines": (pipeline,), "job": Job(kind="serve", batch=2)})
    assert split_of(both) is None
    (violation,) = (v for v in judge(what, both)[0].violations if v.limit == "placement")
    assert violation.limit == "placement" and "several devices" in violation.message


def test_every_fault_of_the_rules_is_listed() -> None:
    wrong = Placement(
        together=(("b0", "b9"), ("b0", "b1")),
        kinds={"b7": ("fast",), "b2": ("huge",)},
        convex=frozenset({"b8"}),
        order=(("b0", "b6"),),
        apart=frozenset({"tiny"}),
    )
    with pytest.raises(InputError) as error:
        problem(wrong)
    paths = sorted(fault.path for fault in error.value.faults)
    assert paths == [
        "placement.apart",
        "placement.convex",
        "placement.kinds",
        "placement.kinds.b2",
        "placement.kinds.b7",
        "placement.order.0",
        "placement.together.0.1",
        "placement.together.1.0",
    ]


def test_a_group_that_no_kind_may_run_is_a_fault() -> None:
    rule = Placement(together=(("b0", "b1"),), kinds={"b0": ("fast",), "b1": ("slow",)})
    with pytest.raises(InputError, match="blocks b0, b1 share a device, and no kind of device may run all"):
        problem(rule)


def test_a_problem_with_other_rules_is_another_problem() -> None:
    what = problem()
    assert replace(what, placement=Placement(together=(("b0", "b1"),))).placement != what.placement
