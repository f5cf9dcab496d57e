"""Solve: run a solver on a problem; the evaluator alone says what its plan is worth."""

from __future__ import annotations

import math
from dataclasses import replace
from numbers import Real

from models.errors import Fault, InputError
from solver import catalog
from solver.errors import DeclinedError, InternalError, SolverError
from solver.evaluate import Known
from solver.formulations.mip import check_back_end
from solver.plan import Plan
from solver.problem import Problem
from solver.search.incumbent import Interrupted, Progress, Search
from solver.search.membership import belongs
from solver.search.shortfall import shortfall
from solver.space import Space
from solver.status import Outcome, Solution, Status
from solver.working_clock import working_s

TOLERANCE = 1e-9
"""Relative difference at which a bound counts as equal to a score."""

_LIMITS = ("deadline_s", "energy_budget_j", "carbon_budget_g", "steps", "untrusted_limit_bytes")


def solve(
    problem: Problem,
    solver: str = "best",
    *,
    time_limit_s: float = math.inf,
    seed: int = 0,
    start: Plan | None = None,
    work_limit: int | None = None,
    progress: Progress | None = None,
    mip: str = "cbc",
    known: Known | None = None,
) -> Solution:
    """Solve a problem.

    Parameters
    ----------
    problem
        What is to be decided.
    solver
        Name in the catalogue, or path of a Python file.
    time_limit_s, work_limit
        When to stop.
    seed
        Makes everything random repeatable.
    start
        A plan to begin from.
    progress
        Called with (message, best score) on news.
    mip
        Mixed-integer back end of the solvers that use one, a name of
        :data:`solver.formulations.mip.BACK_ENDS`.
    known
        What plans cost that were judged before, on the same workload and cluster: shared between calls, it
        saves time and changes no answer.

    Returns
    -------
    Solution
        Interrupting (Ctrl-C) keeps the best plan found so far.

    Raises
    ------
    InputError
        If there is no such solver, or the start plan is not sound or was made for another job, or the back
        end is not installed.
    SolverError
        If what the solver returned cannot be used.
    InternalError
        If a solver's bound is above the evaluator's score of a plan in the same space, or it says that a
        space which holds a plan that keeps every limit holds none.
    """
    name, function = catalog.load(solver)
    if mip != "cbc":
        check_back_end(mip)
    if start is not None:
        start = begun(problem, start)
    search = Search(problem, seed, time_limit_s, work_limit, start, progress, _call, mip)
    search.known = known
    if start is not None:
        search.offer(start)
    began = working_s()
    try:
        outcome = _checked(name, function(problem, search))
    except DeclinedError as error:
        return Solution(Status.DECLINED, name, seed, working_s() - began, Space(), reason=str(error))
    except (Interrupted, KeyboardInterrupt) as error:
        outcome = _stopped(search, str(error) or "interrupted")
    if outcome.plan is not None:
        search.offer(outcome.plan)
    return _conclude(name, search, outcome, working_s() - began)


def begun(problem: Problem, start: Plan) -> Plan:
    """Return a start plan under the limits of a problem's job, with left-out devices as the problem has them.

    Parameters
    ----------
    problem
        What is to be decided.
    start
        A plan to begin from.

    Raises
    ------
    InputError
        With every word of its job, but the limits, that is not the problem's: it would win by doing less.
    """
    faults = [
        Fault(f"job.{word}", f"the start plan was made for {theirs!r}, the problem has {ours!r}")
        for word, ours in problem.job
        if word not in _LIMITS and (theirs := getattr(start.job, word)) != ours
    ]
    if faults:
        raise InputError(faults, "start plan")
    return start.model_copy(update={"job": problem.job, "left_out": problem.left_out})


def _checked(name: str, outcome: object) -> Outcome:
    """Return what a solver returned, if it can be used."""
    if not isinstance(outcome, Outcome):
        raise SolverError(f"solver {name} returned {outcome!r:.80}; it must return a solver.status.Outcome")
    bound = outcome.bound
    if bound is not None and (not isinstance(bound, Real) or math.isnan(bound)):
        raise SolverError(f"solver {name} returned the bound {bound!r:.80}; it must be a number or None")
    for word, kind in (("space", Space), ("plan", Plan | None)):
        if not isinstance(value := getattr(outcome, word), kind):
            raise SolverError(f"solver {name} returned the {word} {value!r:.80}; it must be a {word}")
    return outcome


def _stopped(search: Search, reason: str) -> Outcome:
    """Return what a search has that was stopped from outside: its widest bound counts."""
    widest = search.widest_bound()
    if widest is None:
        return Outcome(Space(), reason=reason)
    return Outcome(widest.space, bound=widest.value, reason=reason)


def _call(name: str, search: Search) -> Outcome:
    """Run another solver inside a search; what it finds and proves counts in that search too."""
    _, function = catalog.load(name)
    outcome = _checked(name, function(search.problem, search))
    if outcome.plan is not None:
        search.offer(outcome.plan)
    if outcome.infeasible:
        search.bound(math.inf, outcome.space)
    elif outcome.bound is not None:
        search.bound(outcome.bound, outcome.space)
    return outcome


def _conclude(name: str, search: Search, outcome: Outcome, wall_s: float) -> Solution:
    plan, score, bound = search.best_plan, search.best_score, outcome.bound
    base = Solution(Status.UNKNOWN, name, search.seed, wall_s, outcome.space, reason=outcome.reason)
    if bound is not None and search.bound_of(outcome.space) is None:
        search.bound(bound, outcome.space)
    base = replace(base, bound=bound, incumbents=tuple(search.incumbents), bounds=tuple(search.bounds))
    if plan is None:
        return _without_plan(base, search, outcome)
    slack = TOLERANCE * max(abs(score), 1e-300)
    if outcome.infeasible and belongs(plan, outcome.space, search.problem):
        raise InternalError(f"solver {name}: it says that no plan keeps every limit; one does, of {score!r}")
    if bound is not None and not belongs(plan, outcome.space, search.problem):
        # The bound says nothing of this plan. With it the space has its least score at one of the two.
        base = replace(base, space=replace(outcome.space, others=True))
    elif bound is not None and bound > score + slack:
        message = f"solver {name}: bound {bound!r} is above the evaluator's score {score!r} of its own plan"
        raise InternalError(message)
    proven = bound is not None and bound >= score - slack
    return replace(
        base,
        status=Status.OPTIMAL if proven else Status.FEASIBLE,
        plan=plan,
        score=score,
        bound=min(bound, score) if bound is not None else None,
        report=search.best_report,
    )


def _without_plan(base: Solution, search: Search, outcome: Outcome) -> Solution:
    """Say which limit makes it so, and by how much."""
    missing = shortfall(search.problem)
    if missing:
        return replace(base, status=Status.INFEASIBLE, bound=None, reason=missing)
    status = Status.INFEASIBLE if outcome.infeasible else Status.UNKNOWN
    reason = outcome.reason
    if search.nearest is not None and not (outcome.infeasible and reason):
        broken = "; ".join(v.message for v in search.nearest.violations)
        reason = f"{reason}; the nearest plan: {broken}" if reason else f"the nearest plan: {broken}"
    return replace(base, status=status, bound=None, reason=reason or "nothing was found")
