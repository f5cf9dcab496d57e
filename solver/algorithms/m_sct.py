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

from functools import partial

from solver.formulations.favourite_child import favourite_children
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.literature.block_placements import Place, offer_placements
from solver.search.literature.block_tables import BlockTables
from solver.search.literature.list_schedule import earliest_start
from solver.status import Outcome


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer the placements by favourites and earliest start with every micro-batch count.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """
    return offer_placements(problem, search, _rule)


def _rule(tables: BlockTables) -> Place:
    return partial(earliest_start, tables, favourite=favourite_children(tables))
