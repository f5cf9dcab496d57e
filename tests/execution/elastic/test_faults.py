"""Each kind of fault once, for real: training goes on as if nothing had happened, and the device returns."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from models import catalog
from solver.errors import RunError
from solver.execution.elastic.run import ElasticResult, run_elastic
from solver.execution.elastic.strikes import Strike
from solver.execution.state.checkpoint import Checkpoint
from solver.execution.workers.pool import LocalPool
from solver.plan import Plan
from solver.repair.policy import Repair
from tests.execution import plans

VIT = catalog.workload("vit_digits")
THREE = plans.cluster("a", "b", "c")


def chain(**rest: Any) -> Plan:
    """Three stages on three devices: the weights of each are in one place only."""
    stages = (plans.VIT[:5], {"a": 4}), (plans.VIT[5:9], {"b": 4}), (plans.VIT[9:], {"c": 4})
    return plans.plan([plans.pipeline(2, 4, *stages)], **rest)


def train(plan: Plan, *strikes: Strike, **rest: Any) -> tuple[ElasticResult, list[dict[str, Any]]]:
    told: list[dict[str, Any]] = []
    words = {"steps": 8, "mode": "padded", "dilation": 1.0} | rest
    return run_elastic(plan, VIT, THREE, strikes=strikes, on_event=told.append, **words), told


@pytest.mark.parametrize(("kind", "device"), [("kill", "a"), ("freeze", "b"), ("silence", "c")])
def test_a_device_leaves_and_returns_and_nothing_shows_in_the_losses(kind: Any, device: str) -> None:
    before = set(psutil.Process().children(recursive=True))
    plan = chain(optimizer="adamw", precision="fp64")
    result, told = train(plan, Strike(2, device, kind, back_after=2, delay_s=0.1), steps=16)
    story = result.story
    assert len(story.losses) == len(story.predicted_s) == 16
    assert result.max_relative_loss_difference is not None
    assert result.max_relative_loss_difference <= 1e-9
    assert result.max_relative_weight_difference is not None
    assert result.max_relative_weight_difference <= 1e-9
    gone, back = story.changes
    assert [(e.kind, e.device) for e in gone.events] == [("lost", device)]
    assert [(e.kind, e.device) for e in back.events] == [("returned", device)]
    assert (gone.step, gone.steps_lost, gone.in_flight_lost) == (2, 0, True)
    assert (back.step > 2, back.steps_lost, back.in_flight_lost, back.how) == (True, 0, False, "restored")
    assert (kind == "kill") == (device not in story.fenced)
    assert {"lost", "returned"} <= {word for event in told for word in event}
    assert not set(psutil.Process().children(recursive=True)) - before


def test_a_group_goes_on_with_its_replicas_and_no_backup() -> None:
    plan = plans.plan([plans.pipeline(2, 6, (plans.VIT, {"a": 2, "b": 2, "c": 2}))])
    result, _ = train(plan, Strike(1, "b", "kill", back_after=None), repair=Repair(policy="light"), steps=4)
    assert result.plan.backup == ()
    (change,) = result.story.changes
    assert change.how == "light"
    assert change.moved_bytes == 0
    assert set(change.plan_after["pipelines"][0]["stages"][0]["shares"]) == {"a", "c"}
    assert result.max_relative_loss_difference is not None
    assert result.max_relative_loss_difference <= 1e-5


def test_two_faults_one_after_the_other_leave_one_device() -> None:
    strikes = Strike(1, "b", "kill", back_after=None), Strike(3, "a", "kill", back_after=None)
    result, _ = train(chain(), *strikes, steps=5)
    assert [change.how != "restored" for change in result.story.changes] == [True, True]
    assert result.story.devices_alive == [3, 2, 2, 1, 1]
    assert result.max_relative_loss_difference is not None
    assert result.max_relative_loss_difference <= 1e-5


def test_same_faults_give_the_same_story() -> None:
    strikes = (Strike(1, "c", "kill", back_after=2),)
    with LocalPool() as pool:
        first, second = (train(chain(), *strikes, steps=5, pool=pool)[0].story for _ in range(2))
    assert first.outline() == second.outline()
    assert first.losses == second.losses


def test_without_a_copy_the_run_ends_and_the_others_save_what_they_hold(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"nobody has the weights of .* any longer; what the others hold"):
        train(chain(), Strike(2, "b", "kill"), protect=False, out=tmp_path)
    (found,) = (tmp_path / "checkpoints").glob("step-*")
    saved = Checkpoint.open(found).manifest
    assert saved.about.step == 2
    assert set(saved.missing) == set(plans.VIT[5:9])


def test_a_run_waits_for_devices_that_alone_have_some_weights() -> None:
    with LocalPool() as pool:

        def stop_two(event: dict[str, Any]) -> None:
            if event.get("step") == 1:
                for number, delay_s in ((signal.SIGSTOP, 0.0), (signal.SIGCONT, 4.0)):
                    for place in (1, 2):
                        threading.Timer(delay_s, os.kill, (pool.pids()[place], number)).start()

        result = run_elastic(
            chain(), VIT, THREE, steps=5, mode="padded", dilation=1.0, pool=pool, on_event=stop_two
        )
    lost = [
        event.device for change in result.story.changes for event in change.events if event.kind == "lost"
    ]
    assert sorted(lost) == ["b", "c"]
    assert sum(change.steps_lost for change in result.story.changes) == 0
    assert result.max_relative_loss_difference is not None
    assert result.max_relative_loss_difference <= 1e-5


def test_adapters_survive_a_device_whose_frozen_weights_were_copied_once() -> None:
    plan = chain(optimizer="adamw", precision="fp64", tune="lora", lora_rank=2)
    result, _ = train(plan, Strike(2, "b", "kill", back_after=None, delay_s=0.05), steps=6)
    assert result.plan.backup
    first, *others = result.story.changes
    assert "b" in {event.device for event in first.events}
    assert sum(change.steps_lost for change in (first, *others)) == 0
    assert result.max_relative_loss_difference is not None
    assert result.max_relative_loss_difference <= 1e-9
    assert result.max_relative_weight_difference is not None
    assert result.max_relative_weight_difference <= 1e-9


def test_with_rare_copies_training_goes_back_to_the_last_ones() -> None:
    """Copies are of the steps 1, 3 and 6: who dies in the sixth step takes two others with it."""
    plan = chain(optimizer="adamw", precision="fp64")
    result, _ = train(
        plan, Strike(5, "b", "kill", back_after=None, delay_s=0.05), repair=Repair(every=3), steps=9
    )
    assert {backup.every for backup in result.plan.backup} == {3}
    change = result.story.changes[0]
    assert (change.step, change.steps_lost, change.in_flight_lost) == (3, 2, True)
    assert len(result.story.losses) == 9
    assert result.max_relative_loss_difference is not None
    assert result.max_relative_loss_difference <= 1e-9
    assert result.max_relative_weight_difference is not None
    assert result.max_relative_weight_difference <= 1e-9


def test_a_second_fault_before_the_next_renewal_finds_the_copies_of_the_first_step() -> None:
    strikes = Strike(4, "c", "kill", back_after=None), Strike(6, "b", "kill", back_after=None)
    plan = chain(optimizer="adamw", precision="fp64")
    result, _ = train(plan, *strikes, repair=Repair(every=50, policy="light"), steps=8)
    first, second = (change for change in result.story.changes if change.events[0].kind == "lost")
    assert (first.step, first.steps_lost) == (1, 3)
    assert (second.step, second.steps_lost) == (2, 4)
    assert result.story.devices_alive == [3, 2, 1, 1, 1, 1, 1, 1]
    assert result.max_relative_loss_difference is not None
    assert result.max_relative_loss_difference <= 1e-9


def test_who_is_lost_after_the_last_step_takes_no_state_of_the_others_with_it() -> None:
    """The first device dies while it does the undivided run: the others still have what follows step 5."""
    plan = chain(optimizer="adamw", precision="fp64")
    last = Strike(8, "a", "kill", back_after=None)
    result, _ = train(plan, last, repair=Repair(every=5, policy="light"))
    change = result.story.changes[0]
    assert (change.step, change.steps_lost, len(result.story.losses)) == (5, 3, 8)
    assert result.max_relative_loss_difference is not None
    assert result.max_relative_loss_difference <= 1e-9
