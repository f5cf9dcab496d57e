"""Power outer search: power modes around a solver of problems in which they are chosen already."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from solver.errors import DeclinedError
from solver.power_modes import chosen_in
from solver.problem import Problem
from solver.search.incumbent import Interrupted, Search
from solver.search.packed.polish import polish
from solver.search.power.assignments import Assignment, descend, fastest, thriftiest
from solver.search.power.bridge import bridge
from solver.space import Space
from solver.status import Outcome

Inner = Callable[[Problem, Search], Outcome]
EXACT, DESCENT = 0.3, 0.5
"""Parts of what is left for least energy, or carbon, of chains, and for the descent over modes."""
ENERGY = ("energy", "carbon")
"""Objectives that count joules."""


def solve_free(problem: Problem, search: Search, solve_own: Inner, space: Space) -> Outcome:
    """Solve a problem whose power modes are free by a solver of problems in which they are not.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    solve_own
        Solves the problem on devices as they are.
    space
        What bounds that are known already are said of; with free power modes.

    Notes
    -----
    Where no joules count and each device has a mode that is fastest in everything, that mode is taken: a
    chain's order of operations does not depend on how long they take, so a step only becomes longer
    otherwise, and bounds hold for all modes. Elsewhere the solver is asked with devices as they are, in their
    thriftiest and in their fastest modes, modes of the best plan are changed as long as that helps, and the
    solver goes on from there; chains of least energy are proven where there are few devices.
    """
    modes, dominates = fastest(problem)
    if dominates and not _counts_joules(problem) and problem.workload.is_chain:
        return _in_fastest(problem, search, solve_own, modes)
    reasons = [_exact(search)] if problem.objective in ENERGY else []
    assignments: list[Assignment] = [thriftiest(problem), modes, {name: None for name in modes}]
    distinct = [one for i, one in enumerate(assignments) if one not in assignments[:i]]
    for i, chosen in enumerate(distinct):
        _inside(search, chosen, 1 / (len(distinct) + 2 - i), solve_own)
    _descend(problem, search)
    if search.best_plan is not None:
        found = _inside(search, chosen_in(search.best_plan), 1.0, solve_own)
        reasons.append(f"in the modes of the best plan: {found}")
        _descend(problem, search)
    bound = search.bound_of(space)
    infeasible = search.best_plan is None and bound == math.inf
    finite = bound if bound is not None and math.isfinite(bound) else None
    return Outcome(space, bound=finite, infeasible=infeasible, reason="; ".join(filter(None, reasons)))


def _counts_joules(problem: Problem) -> bool:
    job = problem.job
    limited = job.energy_budget_j, job.carbon_budget_g, job.steps
    asked = {problem.objective, *problem.weights, *problem.at_most}
    return bool(asked & set(ENERGY)) or any(one is not None for one in limited)


def _in_fastest(problem: Problem, search: Search, solve_own: Inner, modes: Assignment) -> Outcome:
    inner = bridge(search, modes, 1.0)
    outcome = solve_own(inner.problem, inner)
    space = replace(outcome.space, power_modes="free")
    if outcome.bound is not None:
        search.bound(outcome.bound, space)
    reason = f"{outcome.reason}; every device in its fastest mode, which loses nothing here"
    return replace(outcome, space=space, plan=None, reason=reason)


def _inside(search: Search, chosen: Assignment, share: float, solve_own: Inner) -> str:
    """Ask the solver with devices in some modes; return why it ended."""
    inner = bridge(search, chosen, share)
    try:
        return solve_own(inner.problem, inner).reason
    except Interrupted as stop:
        search.tick(0)
        return str(stop)


def _descend(problem: Problem, search: Search) -> None:
    part = search.part(DESCENT)
    with suppress(Interrupted):
        descend(problem, part, polish)
    search.tick(0)


def _exact(search: Search) -> str:
    """Look for chains of least energy, or carbon; return what is proven of them."""
    if search.call is None:
        return ""
    part = search.part(EXACT)
    try:
        outcome = search.call("energy_exact", part)
    except (DeclinedError, Interrupted):
        search.tick(0)
        return ""
    search.tick(0)
    proven = outcome.bound is not None and outcome.bound >= part.best_score * (1 - 1e-9)
    return f"least {search.problem.objective} of chains of single devices is proven" if proven else ""
