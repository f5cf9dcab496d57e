"""Random plans: parts add up, kinds are what their names say, the same seed draws the same plan."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

from models import catalog
from models.errors import InputError
from solver.evaluate import evaluate
from solver.plan import Plan, share_devices
from solver.program import Kind
from solver.validation.local import kinds
from solver.validation.local.boards import NUM_BOARDS, boards, host
from solver.validation.local.drawing import COURSES, LETTERS, TEXT, Course, Drawn, Refused, draw
from solver.validation.local.kinds import Ground

VIT = catalog.workload("vit_digits")


def ground(seed: int = 0) -> Ground:
    names = tuple(f"board{i}" for i in range(NUM_BOARDS))
    return Ground(VIT, names, np.random.default_rng(seed), (6, 8))


@pytest.mark.parametrize("seed", range(5))
def test_parts_add_up_and_cuts_keep_the_order(seed: int) -> None:
    drawn = ground(seed)
    parts = drawn.parts(7, 3)
    assert sum(parts) == 7 and len(parts) == 3 and min(parts) >= 1
    cut = drawn.cut("abcdefg", 3, 2)
    assert [letter for part in cut for letter in part] == list("abcdefg")
    assert min(map(len, cut)) >= 2


def sound(kind: kinds.Kind) -> Plan:
    """The first drawn plan that fits its workload: a stage of an embedding alone has no heads to share."""
    drawn, cluster = ground(), boards(np.random.default_rng(0))
    for _ in range(20):
        words = kind(drawn)
        words["pipelines"][0]["micro_batches"] = 2
        job = {"batch": 2 * words["pipelines"][0]["samples"]}
        plan = Plan.model_validate({"workload": {"name": "w"}, "cluster": {"name": "b"}, "job": job, **words})
        with suppress(InputError):
            assert evaluate(plan, VIT, cluster).step_time_s > 0
            return plan
    raise AssertionError("none of 20 plans is sound")


@pytest.mark.parametrize(
    ("kind", "modes"),
    [
        (kinds.tensor, {"tensor"}),
        (kinds.sequence, {"sequence"}),
        (kinds.nested, {"data"}),
        (kinds.mixed, {"data", "tensor", "sequence"}),
        (kinds.hybrid, {"data"}),
    ],
)
def test_plans_of_every_kind_are_sound(kind: kinds.Kind, modes: set[str]) -> None:
    stages = sound(kind).pipelines[0].stages
    assert {stage.mode for stage in stages} == modes
    groups = [share_devices(stage.shares) for stage in stages]
    assert max(map(len, groups)) >= 2
    assert len({name for group in groups for name in group}) == sum(map(len, groups))


def test_boards_are_unequal_and_drawn_from_a_seed() -> None:
    first, again, other = (boards(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other
    speeds = {device.flop_per_s["fp32"].value for device in first.devices}
    assert len(first.devices) == NUM_BOARDS and len(speeds) > 1
    assert all(2e9 <= speed <= 8e9 for speed in speeds)


def test_the_host_is_as_fast_as_it_was_measured() -> None:
    found = host(("a", "b"), 3e10)
    assert [device.flop_per_s["fp32"].value for device in found.devices] == [3e10, 3e10]
    assert host(("a",), 1e10).segments == ()


def test_the_same_seed_draws_the_same_plan() -> None:
    first, again, other = (draw(COURSES[0], "pipeline", seed) for seed in (0, 0, 1))
    assert isinstance(first, Drawn) and isinstance(again, Drawn) and isinstance(other, Drawn)
    assert first.plan == again.plan != other.plan
    assert any(row.kind == Kind.SEND for row in first.report.program.rows)


def test_what_cannot_be_drawn_says_why() -> None:
    course = Course("cnn_digits", (4, 4), {"frozen": ["nowhere"]}, {"data": kinds.data})
    found = draw(course, "data", 0)
    assert isinstance(found, Refused) and found.name == "cnn_digits/data" and "nowhere" in found.reason


def test_four_workloads_and_24_plans_are_asked_for() -> None:
    for last in (TEXT, LETTERS):
        asked = (*COURSES, last)
        assert len({course.workload for course in asked}) == 4
        assert sum(len(course.kinds) for course in asked) >= 24
