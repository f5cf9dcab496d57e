"""asteroid_subsets: Asteroid's planner run again on subsets of the devices, as it must use all it is given.

Source: Wang et al., "Asteroid", MobiCom 2024, arXiv:2408.08015, as in the solver ``asteroid``; the subsets
are ours. Up to 8 devices every subset is planned for. Beyond, greedily: of the devices still in, the one is
left out without which Asteroid's own latency is least, until 8 are left, of which every subset is planned
for; where no plan without one of them has less than 1.5 times the least latency known, or any plan at all,
it is the one with least memory.

What is kept: of all these runs, one plan for each subset and number of stages, ranked by Asteroid's own
latency formula. The evaluator judges the first of them, and the next one only while that breaks a limit: once
after the run on all devices, so the answer is never worse than that of ``asteroid``, once after every device
left out, and once after all.

Assumes and declines what ``asteroid`` does. Claim: a heuristic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

from solver.plan import pipeline_plan
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.literature.asteroid_dp import AsteroidTable, Found, Places
from solver.search.literature.group_tables import GroupTables, group_tables
from solver.space import Space
from solver.status import Outcome

SLACK = 1.5
"""Plans of so many times the least latency known are of no interest."""
EVERY = 8
"""Up to so many devices every subset is planned for."""
WITHOUT = "no subset of the devices has a plan that keeps the limits of memory_bytes by its own rule"

Run = tuple[Found, AsteroidTable]


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer the plan on all devices, then the best one of all subsets by Asteroid's own formula.

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
    places: Places = tuple(range(len(order)))
    runs: list[Run] = []
    _plan_for(search, tables, order, [places], runs)
    while len(places) > EVERY:
        ones = [tuple(p for p in places if p != out) for out in places]
        table = _plan_for(search, tables, order, ones, runs)
        places = min(ones, key=lambda one: (table.latency_s(one), -one[-1]))
        if math.isinf(table.latency_s(places)):
            places = ones[-1]
    subsets = [one for size in range(1, len(places) + 1) for one in combinations(places, size)]
    _plan_for(search, tables, order, subsets, runs)
    space = Space(max_group=None, num_micro_batches=(tables.num_micro_batches,), share_step=None)
    return Outcome(space, reason="its dynamic programmes ended" if runs else WITHOUT)


def _plan_for(
    search: Search, tables: GroupTables, order: Sequence[int], targets: Sequence[Places], runs: list[Run]
) -> AsteroidTable:
    """Plan for sets of devices; offer the best plan of all runs so far."""
    ceiling_s = SLACK * min((plan.latency_s for plan, _ in runs), default=math.inf)
    table = AsteroidTable(tables, order, targets, search, ceiling_s)
    runs += [(plan, table) for plan in table.found()]
    _offer_best(search, tables, runs)
    return table


def _offer_best(search: Search, tables: GroupTables, runs: Sequence[Run]) -> None:
    """Offer plans by their own latency until one keeps every limit."""
    for plan, table in sorted(runs, key=lambda run: run[0]):
        search.tick()
        stages = table.stages(plan)
        if search.offer(pipeline_plan(search.problem, stages, tables.num_micro_batches)) < math.inf:
            return
