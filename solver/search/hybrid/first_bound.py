"""First bound: what no search is needed for, on hybrid pipelines of any size."""

from __future__ import annotations

import math

from models.errors import InputError
from solver.batch_tables import check_family
from solver.lowering.context import Context
from solver.plan import Stage, pipeline_plan
from solver.problem import Problem
from solver.search.hybrid.bound_quick import quick_bounds

WHOLE_STEP = ("time", "energy", "carbon")
"""Objectives whose quick bound, at the least micro-batch count, holds for all."""


def first_bound(problem: Problem) -> float | None:
    """Return a bound on the score of all hybrid pipelines; ``None`` where none is known.

    It is infinite where a limit is below what every one of them takes at least.

    Parameters
    ----------
    problem
        What is decided.

    Notes
    -----
    Known for chains that are trained by the program's own cost rule; see
    :func:`solver.search.hybrid.bound_quick.quick_bounds`.
    """
    if problem.settings.transfers != "link":
        return None
    counts = problem.micro_batch_counts
    whole = Stage(blocks=problem.workload.order, shares={problem.usable[0]: problem.job.batch // counts[-1]})
    plan = pipeline_plan(problem, [whole], counts[-1])
    try:
        check_family(Context(plan, problem.workload, problem.cluster, problem.settings))
    except InputError:
        return None
    # The larger the micro-batches, the less the overhead: what holds for the least count holds for all.
    least = quick_bounds(problem, counts[0])
    job = problem.job
    limits = {"time": job.deadline_s, "energy": job.energy_budget_j, "carbon": job.carbon_budget_g}
    asked = [*limits.items(), *problem.at_most.items()]
    if any(limit is not None and least[name] > limit for name, limit in asked if name in WHOLE_STEP):
        return math.inf
    if problem.objective == "bottleneck":
        return least["time"] / counts[-1]
    return least.get(problem.objective)
