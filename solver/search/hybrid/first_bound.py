"""First bound: what no search is needed for, on hybrid pipelines of any size."""

from __future__ import annotations

import math

from models.errors import InputError
from solver.batch_tables import check_family
from solver.lowering.context import Context
from solver.plan import Stage, pipeline_plan
from solver.problem import Problem
from solver.search.hybrid.bound_quick import least_watts, quick_bounds
from solver.search.step_limits import step_limits


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
    if any(least[name] > limit for name, limit in _whole_step_limits(problem)):
        return math.inf
    watts, batteries_j = least_watts(problem), step_limits(problem).device_j
    names = [device.name for device in problem.cluster.devices]
    if any(watts[name] * least["time"] > most for name, most in zip(names, batteries_j, strict=True)):
        return math.inf
    if problem.objective == "bottleneck":
        return least["time"] / counts[-1]
    return least.get(problem.objective)


def _whole_step_limits(problem: Problem) -> list[tuple[str, float]]:
    """Return the limits on objectives of whole steps."""
    limits = step_limits(problem)
    return [("time", limits.step_s), ("energy", limits.energy_j), ("carbon", limits.carbon_g)]
