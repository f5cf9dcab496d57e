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

from functools import partial

from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.literature.block_placements import offer_placements
from solver.search.literature.list_schedule import earliest_start
from solver.status import Outcome


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer the placements by earliest start with every micro-batch count.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """
    return offer_placements(problem, search, lambda tables: partial(earliest_start, tables))
