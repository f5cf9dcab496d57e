"""Annealing, the genetic algorithm and large neighbourhood search against all plans, and by seed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.cluster import Cluster
from solver.batch import BatchScorer
from solver.job import Job
from solver.plan import Pipeline, Stage, plan_of
from solver.problem import Problem
from solver.search.hybrid.plans import all_plans
from solver.solve import solve
from solver.status import Status
from tests import random_plans

SOLVERS = ("annealing", "genetic", "lns")
BLOCKS, DEVICES, SAMPLES, MICRO_BATCHES = 5, 3, 4, 2


def problem(seed: int, objective: str = "time", in_flight: str = "default") -> Problem:
    """Memory is large, or so tight that some plans do not fit."""
    rng = np.random.default_rng(seed)
    workload, boards = random_plans.chain(rng, BLOCKS), random_plans.cluster(rng, DEVICES).model_dump()
    for board in boards["devices"]:
        board["memory_bytes"] = {"value": 1e9 if seed % 2 else float(rng.uniform(2e6, 6e6))}
    job = Job(batch=SAMPLES * MICRO_BATCHES)
    return Problem(
        workload,
        Cluster.model_validate(boards),
        job,
        objective,
        num_micro_batches=MICRO_BATCHES,
        in_flight=in_flight,
    )


def least(what: Problem) -> float:
    scorer = BatchScorer(
        what.workload, what.cluster, what.job, num_micro_batches=MICRO_BATCHES, samples=SAMPLES
    )
    best = math.inf
    caps = MICRO_BATCHES if what.in_flight == "free" else 0
    for plans in all_plans(BLOCKS, range(DEVICES), DEVICES, SAMPLES, caps):
        scores = scorer.score(plans, energy=True)
        assert scores.energy_j is not None
        figure = scores.step_time_s if what.objective == "time" else scores.energy_j
        best = min(best, float(np.where(scores.memory_ok, figure, np.inf).min()))
    return best


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("in_flight", ["default", "free"])
@pytest.mark.parametrize("seed", [0, 3, 6])
def test_small_problems_are_solved_to_the_optimum(name: str, in_flight: str, seed: int) -> None:
    what = problem(seed, in_flight=in_flight)
    found, optimum = solve(what, name, work_limit=500), least(what)
    if math.isinf(optimum):
        assert found.plan is None
        return
    assert found.score is not None and found.score == pytest.approx(optimum, rel=1e-9)


@pytest.mark.parametrize("name", SOLVERS)
def test_energy_is_an_objective_like_time(name: str) -> None:
    what = problem(1, "energy")
    found = solve(what, name, work_limit=500)
    assert found.score == pytest.approx(least(what), rel=1e-9)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_start_is_never_lost(name: str) -> None:
    what = problem(3)
    best = solve(what, "annealing", work_limit=500)
    assert best.plan is not None
    assert solve(what, name, work_limit=1, start=best.plan).score == best.score


@pytest.mark.parametrize("name", SOLVERS)
def test_the_seed_decides(name: str) -> None:
    rng = np.random.default_rng(7)
    what = Problem(random_plans.chain(rng, 16), random_plans.cluster(rng, 6), Job(batch=24), in_flight="free")
    first, second = (solve(what, name, seed=3, work_limit=150) for _ in range(2))
    assert first.plan == second.plan and first.status is not Status.DECLINED
    assert [one.score for one in first.incumbents] == [one.score for one in second.incumbents]


@pytest.mark.parametrize("name", SOLVERS)
def test_other_kinds_of_plans_are_a_start_too(name: str) -> None:
    """Tensor parallelism is no hybrid pipeline: the search begins elsewhere and keeps the start's score."""
    rng = np.random.default_rng(1)
    workload = random_plans.with_heads(random_plans.chain(rng, 4))
    what = Problem(workload, random_plans.cluster(rng, 3), Job(batch=4), num_micro_batches=2)
    heads = {name: random_plans.HEADS // 3 for name in what.usable}
    stage = Stage(blocks=workload.order, mode="tensor", shares=dict(heads))
    start = plan_of(what, (Pipeline(micro_batches=2, samples=2, stages=(stage,)),))
    begun = solve(what, name, work_limit=40, start=start)
    alone = solve(what, name, work_limit=40)
    assert (begun.score or math.inf) <= (alone.score or math.inf)
