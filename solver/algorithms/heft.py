"""heft: heterogeneous earliest finish time: blocks by upward rank, each where it ends first.

Source: Topcuoglu, Hariri and Wu, "Performance-effective and low-complexity task scheduling for heterogeneous
computing", IEEE TPDS 13(3), 2002: upward ranks (equation 8) over mean times and messages, the device with
the earliest finish, gaps between earlier blocks used. Departs from it where the plan language does: a
device's blocks are stages, and in which order they take turns is the schedule's rule, not the list's; two
plans are offered, with as few stages as possible and with a stage for every block. Training: a block's time
is both passes, a message's time is there and back, for one micro-batch.

Assumes nothing of the graph; memory is not considered, as in the source (``m_etf`` considers it). Never
declines. Claim: a heuristic without bound; every micro-batch count is tried.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from solver.plan import Plan
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.literature.block_tables import BlockTables
from solver.search.literature.list_schedule import earliest_finish
from solver.search.placement import placed_plans
from solver.search.shares import offer_all
from solver.space import Space
from solver.status import Outcome


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer the placement by earliest finish with every micro-batch count.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """
    best = offer_all(search, _plans(problem))
    space = Space(num_micro_batches=problem.micro_batch_counts, stages_per_device=len(problem.workload.order))
    return Outcome(space, reason="every micro-batch count was tried" if best < math.inf else "")


def _plans(problem: Problem) -> Iterator[Plan]:
    for count in problem.micro_batch_counts:
        tables = BlockTables(problem, count)
        devices = [tables.devices[v] for v in earliest_finish(tables)[0]]
        yield from placed_plans(problem, devices, count)
