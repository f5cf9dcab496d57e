"""Readiness for the loss of a device, and what the loss costs: seconds and steps by hand."""

from __future__ import annotations

import pytest

from experiments.cases.outages import AWAY_S, Outage, best_every, kept, repaired, restarted
from experiments.cases.protection import (
    Ready,
    devices_of,
    disk_s,
    held_bytes,
    pool,
    restored_bytes,
    with_checkpoints,
    with_copies,
    with_replicas,
)
from experiments.cases.regimes import Network, boards_of, over
from models import catalog
from solver.execution.elastic.coordinator import SILENCE_S
from solver.job import Job
from solver.problem import Problem
from solver.repair.backups import unsafe_stages
from solver.solve import solve


@pytest.fixture
def problem() -> Problem:
    cluster = over(boards_of("jetson_mixed")[:3], Network("switch", 100), "three")
    return Problem(catalog.workload("vit_digits"), cluster, Job(batch=8), num_micro_batches=2)


def test_the_disk_has_the_rate_of_the_switch(problem: Problem) -> None:
    assert disk_s(problem, 12_500_000) == pytest.approx(1.0002)  # 12.5 MB over 100 Mbit/s, 0.2 ms


def test_a_checkpoint_sends_every_weight_once_while_all_are_idle(problem: Problem) -> None:
    plan = solve(problem, "single").plan
    assert plan is not None
    ready = with_checkpoints(problem, "one board", plan)
    size = sum(block.weight_bytes for block in problem.workload.blocks)  # sgd keeps no state
    assert ready.due_bytes == size == restored_bytes(problem, plan) == sum(held_bytes(problem, plan).values())
    idle_w = sum(device.idle_w.value for device in problem.cluster.devices)
    radio_w = problem.cluster.by_name[ready.devices[0]].radio_w.value
    assert ready.due_j == pytest.approx(disk_s(problem, size) * (idle_w + radio_w))
    assert ready.step_s(10) == pytest.approx(ready.free_s + ready.due_s / 10)


def test_copies_and_replicas_leave_no_stage_unsafe(problem: Problem) -> None:
    plans = pool(problem, [])
    assert all(len(devices_of(plan)) > 1 for plan in plans)
    for ready in (with_copies(problem, plans), with_replicas(problem, plans)):
        assert ready is not None
        assert unsafe_stages(ready.plan, problem.workload, problem.cluster) == []
    copies = with_copies(problem, plans)
    assert copies is not None and copies.plan.backup and copies.due_s > 0


def test_a_loss_is_repaired_by_those_that_are_left(problem: Problem) -> None:
    copies = with_copies(problem, pool(problem, []))
    assert copies is not None
    for device in copies.devices:
        found = repaired(problem, copies, device)
        assert {one.how for one in found} <= {"light", "full"} and found
        assert all(one.after_s > 0 for one in found)
        assert restarted(problem, copies, device).needs_old


def test_what_is_kept_by_hand() -> None:
    """Well for 1000 s at 2 s a step of which 1 s renews; 2 + 3 + 5 s down, 10 s back, 4 s a step meanwhile.

    500 steps, less half a step and 4.5 since the renewal, and 600 / 4 while the device is away.
    """
    plan = solve(_one(), "single").plan
    assert plan is not None
    ready = Ready("one board", plan, free_s=1.0, free_j=0.0, due_s=10.0)
    lost = Outage("nano", "restart", 3.0, 5.0, 10.0, 0, True, 4.0)
    assert (SILENCE_S, AWAY_S) == (2.0, 600.0)
    steps = 500 - 5 + 150
    assert kept(ready, [lost], 1000.0, 10, 1.0) == pytest.approx(steps / (1000 + 20 + 600))
    assert best_every(ready, [lost], 1000.0, 1.0) == 100


def _one() -> Problem:
    cluster = over(boards_of("jetson_mixed")[:2], Network("switch", 100), "two")
    return Problem(catalog.workload("vit_digits"), cluster, Job(batch=8))
