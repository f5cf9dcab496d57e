"""hybrid_exact: proofs for hybrid pipelines: stages of any groups of devices, with any shares of samples.

Small spaces are searched exhaustively: every choice of groups, order, cuts and shares is scored by the batch
scorer. Larger ones get a lower bound by branch and bound.

Assumes a chain that is trained in one pipeline with stages in mode data and a ring in every step. Declines
everything else. Claim: exact where it ends; otherwise its bound holds for the space it states.
"""

from __future__ import annotations

from solver.errors import DeclinedError
from solver.problem import Problem
from solver.search.chain import decline_unless_chain
from solver.search.hybrid_exhaustive import SCORED, best_of_all, make_scorer, space_size
from solver.search.incumbent import Interrupted, Search
from solver.space import Space
from solver.status import Outcome

MOST_PLANS = 1_000_000
"""Spaces up to so many plans are searched exhaustively."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Prove how good a hybrid plan can be, and find the best where the space is small.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it; the best plan so far is the cut-off.

    Raises
    ------
    DeclinedError
        With the reason.
    """
    decline_unless_chain(problem)
    if problem.objective not in SCORED:
        raise DeclinedError(f"hybrid_exact has no proofs for {problem.objective}; use best")
    counts = problem.micro_batch_counts
    space = Space(("data",), None, num_micro_batches=counts, in_flight=problem.in_flight)
    sizes = {count: space_size(problem, count) for count in counts}
    make_scorer(problem, counts[0])
    try:
        if sum(sizes.values()) <= MOST_PLANS:
            for count in reversed(counts):
                best_of_all(problem, search, count)
            return _proven(search, space)
    except Interrupted as stop:
        return Outcome(space, reason=str(stop))
    return Outcome(space, reason="the space is too large")


def _proven(search: Search, space: Space) -> Outcome:
    if search.best_plan is None:
        return Outcome(space, infeasible=True, reason="memory: no hybrid plan fits, all were looked at")
    return Outcome(space, bound=search.best_score, reason="all plans of the space were looked at")
