"""Placements within memory: what rules that place block by block do for every micro-batch count."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from solver.plan import Plan
from solver.problem import Problem
from solver.program import Longs
from solver.search.incumbent import Search
from solver.search.literature.block_tables import BlockTables
from solver.search.placement import placed_plans
from solver.search.shares import offer_all
from solver.space import Space
from solver.status import Outcome

Place = Callable[[Longs], Sequence[int] | None]
"""From (L,), bytes of each block where it is, to (L,), device of each; ``None`` if there is no room."""


def offer_placements(problem: Problem, search: Search, rule: Callable[[BlockTables], Place]) -> Outcome:
    """Offer the plans of :func:`plans_within_memory`, and return what is said of them.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    rule
        As there.
    """
    best = offer_all(search, plans_within_memory(problem, rule))
    space = Space(num_micro_batches=problem.micro_batch_counts, stages_per_device=len(problem.workload.order))
    reason = "every micro-batch count was tried" if best < math.inf else "no placement had enough memory"
    return Outcome(space, reason=reason)


def plans_within_memory(problem: Problem, rule: Callable[[BlockTables], Place]) -> Iterator[Plan]:
    """Yield the plans of the different placements that a rule makes.

    Parameters
    ----------
    problem
        What is decided.
    rule
        Gives, for the tables of one micro-batch count, what places the blocks.

    Notes
    -----
    What is kept depends on the plan, so the rule is asked for 0, 1, 2, 4, ... micro-batches in flight.
    """
    for count in problem.micro_batch_counts:
        tables = BlockTables(problem, count)
        place, seen = rule(tables), set()
        for in_flight in tables.in_flight_choices:
            found = place(tables.need_bytes(in_flight))
            if found is not None and tuple(found) not in seen:
                seen.add(tuple(found))
                yield from placed_plans(problem, [tables.devices[v] for v in found], count)
