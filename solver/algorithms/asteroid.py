"""asteroid: Asteroid's planner as published: all devices, most memory first, neighbours in groups.

Source: Wang et al., "Asteroid", MobiCom 2024, arXiv:2408.08015, Algorithms 1 and 2 and Equations 3 to 11 (the
formulas as three public re-implementations agree on them). Where they differ: the dominant step is the
argmax of M (Ef + Eb) plus the steps before it (Eq. 11), and the memory factor is that of the job's optimizer.
It departs from the source in what it reads, not in what it decides: activations at the peak are counted as
the lowering holds them, receive buffers included, where Eq. 3 takes K = 2 (P - p) - 1 times the activations
(the same K); and transfers and ring steps carry the latency of their link. As in the source every device of
a group must hold its stage's weights, and counts in the ring, even if Algorithm 1 gives it no sample; in the
plan it then takes no part, since a plan has no empty shares.

Assumes a chain that is trained, and the default in-flight rule. Declines others, and problems whose tables
do not fit. The problem's number of micro-batches is taken; where it is open, 4, else 8, 2 or 1. Its own
latency ranks plans of different numbers of stages; the evaluator judges the first, and the next one only if
that breaks a limit. Claim: a heuristic.
"""

from __future__ import annotations

import math

from solver.plan import pipeline_plan
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.literature.asteroid_dp import AsteroidTable
from solver.search.literature.group_tables import group_tables
from solver.space import Space
from solver.status import Outcome

WITHOUT = "no plan that uses all devices keeps the limits of memory_bytes by its own rule"


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer the plan with the least latency by Asteroid's own formula.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        Unless it is a chain that is trained, of moderate size.
    """
    tables = group_tables(problem)
    order = sorted(range(len(tables.devices)), key=lambda v: -tables.limit_bytes[v])
    table = AsteroidTable(tables, order, [tuple(range(len(order)))], search)
    space = Space(max_group=None, num_micro_batches=(tables.num_micro_batches,), share_step=None)
    found = table.found()
    for plan in found:
        if search.offer(pipeline_plan(problem, table.stages(plan), tables.num_micro_batches)) < math.inf:
            return Outcome(space, reason="its dynamic programme ended")
    return Outcome(space, reason="" if found else WITHOUT)
