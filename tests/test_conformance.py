"""Conformance: what holds of every solver in the folder."""

from __future__ import annotations

import time

import pytest

from models import catalog as models
from models.cluster import Cluster
from models.workload import Workload
from solver import catalog
from solver.check import check
from solver.evaluate import judge
from solver.job import Job
from solver.problem import Problem
from solver.solve import solve
from solver.status import Solution, Status

SOLVERS = catalog.names()
WORK = 200


def boards(num: int = 3, memory_bytes: float = 1e9) -> Cluster:
    speeds = (2e9, 5e9, 11e9, 3e9)
    devices = [
        {
            "name": f"board{i}",
            "flop_per_s": {"fp32": speeds[i]},
            "memory_bytes": memory_bytes,
            "idle_w": 2.0,
            "busy_w": 5.0,
        }
        for i in range(num)
    ]
    names = [device["name"] for device in devices]
    net = {"name": "net", "members": names, "bandwidth_bytes_per_s": 1e8, "latency_s": 1e-4}
    return Cluster.model_validate(
        {"name": "boards", "devices": devices, "segments": [net] if num > 1 else []}
    )


def problem(objective: str = "time", workload: str = "vit_digits", cluster: Cluster | None = None) -> Problem:
    return Problem(
        models.workload(workload), cluster or boards(), Job(batch=8), objective, num_micro_batches=2
    )


def run(what: Problem, name: str, seed: int = 0) -> Solution:
    return solve(what, name, seed=seed, work_limit=WORK)


def test_there_are_the_four_textbook_parallelisms_the_exact_ones_and_the_default() -> None:
    wanted = {"single", "data_parallel", "tensor_parallel", "sequence_parallel", "pipeline_even"}
    assert wanted | {"bitmask_dp", "interval_ilp", "best"} <= set(SOLVERS)


def test_no_file_is_broken_and_each_says_what_it_is() -> None:
    for entry in catalog.entries():
        assert entry.error is None and entry.summary


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("objective", ["time", "bottleneck", "energy", "memory", "traffic"])
def test_an_answer_is_sound_and_scored_by_the_evaluator(name: str, objective: str) -> None:
    what = problem(objective)
    solution = run(what, name)
    if solution.status is Status.DECLINED:
        assert solution.reason
        return
    assert solution.plan is not None and solution.score is not None
    check(solution.plan, what.workload, what.cluster)
    report, score = judge(what, solution.plan)
    assert report.is_feasible and score == solution.score
    if solution.bound is not None:
        assert solution.bound <= solution.score
        assert str(solution.space)
    if solution.status is Status.OPTIMAL:
        assert solution.bound == pytest.approx(solution.score, rel=1e-9)


@pytest.mark.parametrize("name", SOLVERS)
def test_the_same_seed_gives_the_same_plan(name: str) -> None:
    first, second = (run(problem(), name, seed=7) for _ in range(2))
    assert (first.plan, first.score, first.status) == (second.plan, second.score, second.status)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_graph_is_planned_or_declined(name: str) -> None:
    solution = run(problem(workload="imu_motions"), name)
    assert solution.plan is not None or (solution.status is Status.DECLINED and solution.reason)


@pytest.mark.parametrize("name", SOLVERS)
def test_one_board_is_enough(name: str) -> None:
    solution = run(problem(cluster=boards(1)), name)
    assert solution.plan is not None or (solution.status is Status.DECLINED and solution.reason)


@pytest.mark.parametrize("name", SOLVERS)
def test_one_block_is_enough(name: str) -> None:
    block = {"name": "all", "forward_flop": 1e9, "backward_weight_flop": 1e9, "weight_bytes": 400}
    what = Problem(Workload.model_validate({"name": "one", "blocks": [block]}), boards(), Job(batch=8))
    solution = run(what, name)
    assert solution.plan is not None or (solution.status is Status.DECLINED and solution.reason)


@pytest.mark.parametrize("name", SOLVERS)
def test_without_room_the_answer_says_which_limit_and_by_how_much(name: str) -> None:
    solution = run(problem(cluster=boards(memory_bytes=1000.0)), name)
    assert solution.plan is None
    if solution.status is not Status.DECLINED:
        assert "memory" in solution.reason or "bytes" in solution.reason


@pytest.mark.parametrize("name", SOLVERS)
def test_a_time_limit_is_kept(name: str) -> None:
    started = time.monotonic()
    solve(problem(workload="bert_base", cluster=boards(4, 1e12)), name, time_limit_s=1.0)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("name", SOLVERS)
def test_the_default_is_never_worse(name: str) -> None:
    what = problem()
    best, other = run(what, "best"), run(what, name)
    if other.score is not None:
        assert best.score is not None and best.score <= other.score * (1 + 1e-12)
