"""Planners of hybrid pipelines against all plans: none scores below the best of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.cluster import Cluster
from models.synthetic import random_cluster, transformer_chain
from solver.batch import BatchScorer
from solver.job import Job
from solver.problem import Problem
from solver.search.hybrid.plans import all_plans
from solver.solve import solve

PLANNERS = ("asteroid", "asteroid_subsets", "dapple", "eddl", "gpipe")


def tiny(seed: int) -> Problem:
    """Four transformer-like blocks on three boards; memory of some does not hold everything."""
    rng = np.random.default_rng(seed)
    words = random_cluster(rng, 3, str(rng.choice(["switch", "shared", "pairs", "rooms"]))).model_dump(
        mode="json", exclude_defaults=True
    )
    for device in words["devices"]:
        device["flop_per_s"] = {"fp32": float(rng.uniform(2e10, 3e11))}
        device["memory_bytes"] = float(rng.uniform(1.2e8, 6e8))
        device["overhead_s"] = 1e-3
    for link in (*words.get("segments", ()), *words.get("links", ())):
        link["bandwidth_bytes_per_s"] *= 1e6
        link["latency_s"] = 1e-3
    cluster = Cluster.model_validate(words)
    return Problem(transformer_chain(4, seed), cluster, Job(batch=12), num_micro_batches=4)


def least(what: Problem) -> float:
    """The best score of any plan of one pipeline in mode data."""
    scorer = BatchScorer(what.workload, what.cluster, what.job, num_micro_batches=4, samples=3)
    best = math.inf
    for plans in all_plans(4, range(3), 3, 3):
        scores = scorer.score(plans)
        best = min(best, float(np.where(scores.memory_ok, scores.step_time_s, math.inf).min()))
    return best


@pytest.mark.parametrize("seed", range(25))
def test_no_planner_beats_all_plans(seed: int) -> None:
    what = tiny(seed)
    best = least(what)
    for name in PLANNERS:
        score = solve(what, name).score
        assert score is None or score >= best * (1 - 1e-9), name


def test_the_planners_find_plans_and_are_not_all_best() -> None:
    """So that the test above can fail: scores are there, at the optimum and above it."""
    ratios = [
        score / least(what)
        for what in map(tiny, range(8))
        for name in PLANNERS
        if (score := solve(what, name).score) is not None
    ]
    assert len(ratios) >= 8 and min(ratios) < 1.02 and max(ratios) > 1.05
