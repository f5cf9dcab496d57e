"""m_etf: earliest task first within memory: of all ready blocks and devices with room, who can start first.

Source: Jeon et al., "Baechi: fast device placement of machine learning graphs", SoCC 2020 (section 3.1.2),
after Hwang et al., "Scheduling precedence graphs in systems with interprocessor communication times", SIAM
Journal on Computing 18(2), 1989. Departs from it in unequal devices (a block's time and its messages are
those of the device) and in memory for training: what micro-batches in flight keep depends on the plan, so
the placement is made for 0, 1, 2, 4, ... of them, and the evaluator judges. Plans as in ``heft``.

Assumes nothing of the graph. Never declines. Claim: a heuristic without bound; every micro-batch count is
tried.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

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
    """Offer the placements by earliest start with every micro-batch count.

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
        seen = set()
        for in_flight in tables.in_flight_choices:
            found = earliest_start(tables, tables.need_bytes(in_flight))
            if found is not None and tuple(found) not in seen:
                seen.add(tuple(found))
                yield from placed_plans(problem, [tables.devices[v] for v in found], count)
