"""Orders of devices: exact pipelines for each, Asteroid's programme in any, and simple rules."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from experiments.cases.orders import hybrids, pipelines, ruled
from experiments.cases.regimes import Network, boards_of, over
from models import catalog
from solver.evaluate import judge
from solver.job import Job
from solver.plan import Stage, pipeline_plan
from solver.problem import Problem
from solver.solve import solve


@pytest.fixture
def problem() -> Problem:
    boards = boards_of("jetson_mixed")[:3]
    cluster = over(boards, Network("mixed", 3), "three")
    return Problem(catalog.workload("vit_digits"), cluster, Job(batch=8), num_micro_batches=2)


def test_the_pipeline_of_an_order_is_the_best_of_all_its_cuts(problem: Problem) -> None:
    found = {one.order: one.step_time_s for one in pipelines(problem)}
    assert len(found) == 6
    order = ("nx", "nano", "tx2")
    blocks, least = problem.workload.order, math.inf
    for a, b in combinations(range(1, len(blocks)), 2):
        parts = (blocks[:a], blocks[a:b], blocks[b:])
        stages = [Stage(blocks=part, shares={name: 4}) for part, name in zip(parts, order, strict=True)]
        least = min(least, judge(problem, pipeline_plan(problem, stages, 2))[1])
    assert found[order] == pytest.approx(least, rel=1e-12)


def test_the_hybrid_with_most_memory_first_is_that_of_the_solver_asteroid(problem: Problem) -> None:
    found = {one.order: one for one in hybrids(problem)}
    assert len(found) == 6
    assert found[ruled(problem)["memory_sorted"]].step_time_s == solve(problem, "asteroid").score


def test_an_order_in_which_nothing_fits_has_no_plan(problem: Problem) -> None:
    tight = [
        board.model_copy(update={"memory_bytes": board.memory_bytes.model_copy(update={"value": 1000.0})})
        for board in problem.cluster.devices
    ]
    cluster = over(tight, Network("switch", 100), "tight")
    small = Problem(problem.workload, cluster, problem.job, num_micro_batches=2)
    assert all(one.plan is None and one.step_time_s == math.inf for one in pipelines(small))


def test_rules_sort_by_memory_and_by_speed(problem: Problem) -> None:
    assert ruled(problem) == {
        "memory_sorted": ("tx2", "nx", "nano"),  # 6.5, 6.5 and 2.5 GB
        "fast_first": ("nx", "tx2", "nano"),
        "slow_first": ("nano", "tx2", "nx"),
        "as_listed": ("nano", "tx2", "nx"),
    }
