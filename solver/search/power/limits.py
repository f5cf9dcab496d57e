"""Power limits: which problems chains of least energy are proven for, and the limits that bounds know."""

from __future__ import annotations

import math

from models.errors import InputError
from solver.batch_tables import check_family
from solver.errors import DeclinedError
from solver.lowering.context import Context
from solver.plan import Stage, pipeline_plan
from solver.problem import Problem
from solver.search.chains.chain import decline_unless_chain


def decline_unless_chains(problem: Problem) -> None:
    """Raise unless least energy of a problem's chains can be proven.

    Parameters
    ----------
    problem
        What is decided.

    Raises
    ------
    DeclinedError
        With the reason and what to use instead.
    """
    if problem.objective != "energy":
        raise DeclinedError(f"this solver minimises energy, not {problem.objective}; use best")
    decline_unless_chain(problem)
    if problem.placement is not None:
        raise DeclinedError("this solver knows no rules of placement; use best")
    whole = Stage(blocks=problem.workload.order, shares={problem.usable[0]: problem.job.batch})
    plan = pipeline_plan(problem, [whole], 1)
    try:
        check_family(Context(plan, problem.workload, problem.cluster, problem.settings))
    except InputError as error:
        raise DeclinedError(f"not of a family that is scored in batches: {error}") from error


def limits_of(problem: Problem) -> tuple[float, float]:
    """Return the longest step and the most energy that a problem accepts.

    Parameters
    ----------
    problem
        What is decided.
    """
    job, most = problem.job, problem.at_most
    seconds = (most.get("time", math.inf), math.inf if job.deadline_s is None else job.deadline_s)
    joules = (most.get("energy", math.inf), math.inf if job.energy_budget_j is None else job.energy_budget_j)
    return min(seconds), min(joules)
