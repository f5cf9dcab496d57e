"""m_sct: small communication times within memory: earliest task first, with devices kept for favourites.

Source: Jeon et al., "Baechi: fast device placement of machine learning graphs", SoCC 2020 (section 3.1.3),
after Hanen and Munier, ETFA 1995: a linear programme says which reader of a block should follow it on its
device (its favourite child); while that reader waits, another block is let onto the device only if it need
not wait for messages there. Departs from it in unequal devices (the programme has mean times) and in memory,
as ``m_etf`` does; the ratio that the source proves does not carry over. Plans as in ``heft``.

Assumes nothing of the graph. Never declines. Claim: a heuristic without bound; every micro-batch count is
tried.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from solver.formulations.favourite_child import favourite_children
from solver.plan import Plan
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.literature.block_tables import BlockTables
from solver.search.literature.list_schedule import earliest_start
from solver.search.placement import placed_plans
from solver.search.shares import offer_all
from solver.space import Space
from solver.status import Outcome


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer the placements by favourites and earliest start with every micro-batch count.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """
    best = offer_all(search, _plans(problem))
    space = Space(num_micro_batches=problem.micro_batch_counts, stages_per_device=len(problem.workload.order))
    reason = "every micro-batch count was tried" if best < math.inf else "no placement had enough memory"
    return Outcome(space, reason=reason)


def _plans(problem: Problem) -> Iterator[Plan]:
    for count in problem.micro_batch_counts:
        tables = BlockTables(problem, count)
        favourite = favourite_children(tables)
        seen = set()
        for in_flight in tables.in_flight_choices:
            found = earliest_start(tables, tables.need_bytes(in_flight), favourite)
            if found is not None and tuple(found) not in seen:
                seen.add(tuple(found))
                yield from placed_plans(problem, [tables.devices[v] for v in found], count)
