"""assignment_ilp: the textbook integer programme of placing a DAG's nodes on devices.

Source: Tarnawski et al., "Efficient algorithms for device placement of DNN graph operators", NeurIPS 2020,
arXiv 2006.16423; see :mod:`solver.formulations.assignment`. Largest load with and without the rule of
contiguity, and the latency of one sample. Solved by the mixed-integer back end chosen, CBC by default.

Assumes transfers through the host and memory of weights alone; declines other problems, and copies by devices
that stand for many. Claim: exact up to the tolerance of back ends, which the bound allows for, so that it
stays about 1e-6 below the score; ``assignment_cpsat`` proves more.
"""

from __future__ import annotations

import math

import numpy as np

from solver.errors import DeclinedError
from solver.formulations.assignment import build
from solver.formulations.mip import solve_mip
from solver.problem import Problem
from solver.program import Ints
from solver.search.incumbent import Search
from solver.search.splits.first_splits import first_split, value_s
from solver.search.splits.host_graph import HostGraph, host_graph
from solver.space import Space
from solver.status import Outcome

TOLERANCE = 2e-6
"""By how much back ends may be wrong, relative to the limit."""
MARGIN_S = 1.0
"""Seconds left for what comes after the back end."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Build the programme below a first split, and have it solved.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        With the reason.
    """
    host = host_graph(problem)
    if (host.copy_s[:, host.apart] > 0).any():
        raise DeclinedError("devices that stand for many must copy free of charge")
    if problem.objective == "latency" and not host.forward.all():
        raise DeclinedError("latency is for problems in which every device is called once")
    if search.work_limit is not None:
        raise DeclinedError("mixed-integer back ends stop by the clock; give a time limit, not a work limit")
    space = Space(stages_per_device=len(host.names))
    split = first_split(host, search.rng)
    if split is not None:
        search.offer(host.plan(split))
    limit_s = _limit_s(host, split)
    programme = build(host, limit_s)
    search.tick()
    answer = solve_mip(programme.problem, search.remaining_s - MARGIN_S, search.mip)
    if answer.finished and not answer.found and split is None:
        return Outcome(space, infeasible=True, reason="the integer programme has no solution")
    if answer.found:
        found = programme.invert()
        if host.is_feasible(found):
            search.offer(host.plan(found))
    parts = 1.0 if answer.finished and not answer.found else answer.bound
    bound = (parts - TOLERANCE) * limit_s if math.isfinite(parts) else None
    reason = "the integer programme is solved" if answer.finished else "time is up"
    return Outcome(space, bound=max(0.0, bound) if bound is not None else None, reason=reason)


def _limit_s(host: HostGraph, split: Ints | None) -> float:
    """Return what the best split does not exceed, seconds."""
    if split is not None:
        return max(value_s(host, split), 1e-12) * (1 + TOLERANCE)
    times = np.where(np.isfinite(host.time_s), host.time_s, 0.0).max(axis=1).sum()
    copies = (1 + len(host.kind)) * host.copy_s.max(axis=1).sum()
    return float(times + copies) * (1 + TOLERANCE) + 1e-12
