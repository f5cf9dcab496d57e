"""Small problems with levels of trust and supplies of different intensity, and all their hybrid plans."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from models.cluster import Cluster
from solver.evaluate import judge
from solver.job import Job
from solver.plan import Plan, pipeline_plan
from solver.problem import Problem
from solver.search.hybrid.exhaustive import make_scorer, usable_numbers
from solver.search.hybrid.plans import all_plans
from tests import random_plans


def small_problem(seed: int, num_devices: int = 3) -> Problem:
    """Four blocks over boards with room for all, trusted 0, 1, 2, 0, ...; two micro-batches of two."""
    rng = np.random.default_rng(seed)
    workload = random_plans.chain(rng, 4)
    plain = random_plans.cluster(rng, num_devices).model_dump()
    for board in plain["devices"]:
        board["memory_bytes"] = 1e9
    return Problem(workload, Cluster.model_validate(plain), Job(batch=4), num_micro_batches=2)


def every_plan(problem: Problem) -> Iterator[Plan]:
    """Yield all hybrid plans: the numbers of the batch scorer are not looked at."""
    count = problem.num_micro_batches or 1
    scorer = make_scorer(problem, count)
    sizes = len(problem.workload.order), usable_numbers(problem), len(problem.cluster.devices)
    for part in all_plans(*sizes, problem.job.batch // count, 0):
        for i in range(len(part)):
            yield pipeline_plan(problem, scorer.stages(part, i), count)


def least(problem: Problem, most_group: int | None = None) -> float:
    """Return the least score of all hybrid plans that keep every limit, each judged by the evaluator.

    With ``most_group`` only of those whose stages have no more devices.
    """
    plans = (
        plan
        for plan in every_plan(problem)
        if most_group is None or all(len(stage.shares) <= most_group for stage in plan.pipelines[0].stages)
    )
    found = (judge(problem, plan) for plan in plans)
    return min((score for report, score in found if report.is_feasible), default=math.inf)
