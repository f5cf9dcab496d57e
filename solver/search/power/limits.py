"""Power limits: which problems chains of least energy, or of least carbon, are proven for."""

from __future__ import annotations

from models.errors import InputError
from solver.batch_tables import check_family
from solver.errors import DeclinedError
from solver.lowering.context import Context
from solver.plan import Stage, pipeline_plan
from solver.problem import Problem
from solver.search.batch_figures import SCORED, asked_of
from solver.search.chains.chain import decline_unless_chain


def decline_unless_chains(problem: Problem) -> None:
    """Raise unless least energy, or carbon, of a problem's chains can be proven.

    Parameters
    ----------
    problem
        What is decided.

    Raises
    ------
    DeclinedError
        With the reason and what to use instead.
    """
    if problem.objective not in ("energy", "carbon"):
        raise DeclinedError(f"this solver minimises energy or carbon, not {problem.objective}; use best")
    unknown = sorted(asked_of(problem) - set(SCORED))
    if unknown:
        raise DeclinedError(f"this solver knows no limits on {', '.join(unknown)}; use best")
    decline_unless_chain(problem)
    if problem.placement is not None:
        raise DeclinedError("this solver knows no rules of placement; use best")
    decline_unless_scored(problem)


def decline_unless_scored(problem: Problem) -> None:
    """Raise unless a problem's chains are scored in batches: then their costs are those of the power tables.

    Parameters
    ----------
    problem
        What is decided.

    Raises
    ------
    DeclinedError
        With the reason.
    """
    whole = Stage(blocks=problem.workload.order, shares={problem.usable[0]: problem.job.batch})
    plan = pipeline_plan(problem, [whole], 1)
    try:
        check_family(Context(plan, problem.workload, problem.cluster, problem.settings))
    except InputError as error:
        raise DeclinedError(f"not of a family that is scored in batches: {error}") from error
