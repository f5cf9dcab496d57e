"""Packed scores: the figures and the limits are the evaluator's, in batches and one by one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.cluster import Cluster
from models.synthetic import random_chain, random_cluster
from models.workload import Workload
from solver.evaluate import judge
from solver.job import Job
from solver.problem import Problem
from solver.search.batch_figures import SCORED
from solver.search.incumbent import Interrupted, Search, excess
from solver.search.packed.points import to_plan
from solver.search.packed.scores import PackedScores, choice_of_counts
from solver.search.packed.start import Ground
from solver.settings import Settings
from tests import random_plans


def random_problem(seed: int, objective: str, **words: Any) -> Problem:
    rng = np.random.default_rng(seed)
    plain = random_chain(rng, 5).model_dump()
    for block in plain["blocks"]:
        block["capacity"] = None
    for edge in plain["edges"]:
        edge["share"] = 1.0
    boards = random_cluster(rng, 4, str(rng.choice(["switch", "rooms"]))).model_dump()
    for board in boards["devices"]:
        board |= {"idle_w": float(rng.integers(1, 4)), "busy_w": 9.0, "radio_w": 1.0}
    for d, board in enumerate(boards["devices"]):
        board |= {"trust": d % 2, "carbon_g_per_kwh": 300.0 * (d + 1), "battery_j": 1500.0}
    job = Job(batch=12, optimizer="adamw", **words)
    workload, cluster = Workload.model_validate(plain), Cluster.model_validate(boards)
    return Problem(workload, cluster, job, objective, in_flight="free")


@pytest.mark.parametrize("objective", SCORED)
@pytest.mark.parametrize(
    "limits",
    [
        *({}, {"deadline_s": 100.0, "energy_budget_j": 500.0}),
        *({"carbon_budget_g": 0.1, "steps": 10}, {"untrusted_limit_bytes": 0}, {"untrusted_limit_bytes": 90}),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_values_and_broken_limits_are_the_evaluators(
    seed: int, objective: str, limits: dict[str, float]
) -> None:
    what = random_problem(seed, objective, **limits)
    ground = Ground(what, Search(what, seed))
    points = ground.random(30)
    assert ground.scores.is_batch
    values, broken = ground.scores.score(points)
    for b in range(30):
        report, score = judge(what, to_plan(what, points, b, ground.counts))
        assert values[b] == pytest.approx(math.log(max(score, 1e-300)), abs=1e-8)
        assert broken[b] == pytest.approx(excess(report), rel=1e-6)


@pytest.mark.parametrize("words", [{}, {"objective": "weighted", "weights": {"time": 2.0, "energy": 0.1}}])
def test_weights_and_limits_on_objectives_are_the_evaluators(words: dict[str, Any]) -> None:
    what = replace(random_problem(4, "time"), at_most={"energy": 500.0, "memory": 1e3}, **words)
    ground = Ground(what, Search(what, 4))
    points = ground.random(30)
    assert ground.scores.is_batch
    values, broken = ground.scores.score(points)
    for b in range(30):
        report, score = judge(what, to_plan(what, points, b, ground.counts))
        assert values[b] == pytest.approx(math.log(score), abs=1e-8)
        assert broken[b] == pytest.approx(excess(report), rel=1e-6)
    assert (broken > 0).any()


def test_data_that_may_not_leave_keeps_blocks_at_home() -> None:
    what = random_problem(0, "time")
    plain = what.workload.model_dump()
    plain["blocks"][0]["data"] = {"name": "camera", "bytes_per_sample": 5}
    boards = what.cluster.model_dump()
    boards["devices"][2]["data"] = ["camera"]
    home = Problem(Workload.model_validate(plain), Cluster.model_validate(boards), what.job, in_flight="free")
    ground = Ground(home, Search(home))
    points = ground.random(40)
    _, broken = ground.scores.score(points)
    assert ground.scores.is_batch
    for b in range(40):
        report, _ = judge(home, to_plan(home, points, b, ground.counts))
        assert broken[b] == pytest.approx(excess(report), rel=1e-6)


def test_what_the_batch_does_not_cover_is_walked() -> None:
    what = replace(random_problem(1, "time"), settings=Settings(message_s=0.1))
    search = Search(what)
    ground = Ground(what, search)
    points = ground.random(5)
    values, broken = ground.scores.score(points)
    assert not ground.scores.is_batch and search.work == 5
    for b in range(5):
        report, score = judge(what, to_plan(what, points, b, ground.counts))
        assert (broken[b] > 0) == bool(report.violations)
        if report.is_feasible:
            assert values[b] == pytest.approx(math.log(max(score, 1e-300)))


@pytest.mark.parametrize("objective", ["time", "energy"])
@pytest.mark.parametrize("limits", [{}, {"deadline_s": 0.02}])
@pytest.mark.parametrize("seed", range(4))
def test_graphs_are_counted_and_judged_as_one_by_one(
    seed: int, limits: dict[str, float], objective: str
) -> None:
    rng = np.random.default_rng(seed)
    workload, cluster = random_plans.dag(rng, 6), random_plans.cluster(rng, 4)
    what = Problem(workload, cluster, Job(batch=12, **limits), objective, in_flight="free")
    seen = []
    for is_graph in (True, False):
        search = Search(what, seed, work_limit=35)
        ground = Ground(what, search)
        points = Ground(what, Search(what, seed)).random(30)
        assert ground.scores.is_graph and not ground.scores.is_batch
        ground.scores.is_graph = is_graph
        values, broken = ground.scores.score(points)
        with pytest.raises(Interrupted):
            ground.scores.score(points)
        key = search.best_plan.key if search.best_plan else None
        nearest = excess(search.nearest) if search.best_plan is None and search.nearest else None
        scores = [one.score for one in search.incumbents]
        seen.append((values.tolist(), broken.tolist(), search.work, scores, key, nearest))
    (values, broken, *one), (plain_values, plain_broken, *other) = seen
    assert one == other
    assert values == pytest.approx(plain_values, abs=1e-12)
    assert broken == pytest.approx(plain_broken, rel=1e-9)


def test_the_best_point_reaches_the_evaluator_even_when_work_runs_out() -> None:
    what = random_problem(2, "time")
    search = Search(what, work_limit=1)
    scores = PackedScores(what, search, choice_of_counts(what))
    points = Ground(what, Search(what)).random(300)
    with pytest.raises(Interrupted):
        scores.score(points)
    scores.flush()
    assert search.best_plan is not None or search.nearest is not None
