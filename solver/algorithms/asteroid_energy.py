"""asteroid_energy: Asteroid's recursion with a score of time and energy, as a follow-up of it plans.

Source: public re-implementations of an unnamed energy-aware follow-up of Asteroid (arXiv:2408.08015): the
recursion over (layers, devices, stages) keeps the top plans by J = alpha |T - SLO| + (1 - alpha) E, with at
most (M + 1) / 2 stages, memory for 2 x (stages after) + 1 micro-batches in flight, backward passes of 1.75
forward passes, and no energy for messages, reductions or waiting. What the source leaves open is said in
:mod:`solver.search.literature.energy_dp`.

SLO is the job's deadline, or 0 s without one; alpha is 0.5, seconds against joules. It uses all devices, as
they are: power modes are not its decision. A step faster than the SLO is as bad to it as one that is slower.

Assumes a chain that is trained, and an objective that counts energy; declines others, and problems of more
than ``MOST_CELLS`` cells. Takes the count of micro-batches asked for, or Asteroid's choice. Plans are offered
from the least J on until one keeps every limit. Claim: a heuristic.
"""

from __future__ import annotations

import math

from solver.errors import DeclinedError
from solver.plan import pipeline_plan
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.literature.energy_dp import KEPT, EnergyTable
from solver.search.literature.group_tables import group_tables
from solver.space import Space
from solver.status import Outcome

MOST_CELLS = 4_000_000
"""Transitions times plans kept beyond which it takes minutes."""
OBJECTIVES = ("energy", "carbon", "weighted")


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer the plan with the least J by the source's own figures.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        With the reason.
    """
    if problem.objective not in OBJECTIVES:
        raise DeclinedError(f"asteroid_energy weighs energy; for {problem.objective} use asteroid")
    tables = group_tables(problem)
    num_blocks, num_devices = tables.num_blocks, len(tables.devices)
    cells = num_blocks**2 * num_devices**2 * min(num_blocks, num_devices) * KEPT // 4
    if cells > MOST_CELLS:
        raise DeclinedError(f"{cells} cells; asteroid_energy takes up to {MOST_CELLS}; use best")
    table = EnergyTable(tables, search)
    space = Space(max_group=None, num_micro_batches=(tables.num_micro_batches,), share_step=None)
    for part in table.found:
        if search.offer(pipeline_plan(problem, table.stages(part), tables.num_micro_batches)) < math.inf:
            return Outcome(space, reason="its dynamic programme ended")
    return Outcome(space, reason="no plan that uses all devices keeps the limits by its own rule")
