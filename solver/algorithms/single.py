"""single: the best single device, every micro-batch count tried.

Assumes nothing. Never declines. Claim: exact, for every objective, over plans of one stage on one device
(whose in-flight cap is the default, 1); so it also proves that no single device keeps every limit.

The baseline that must always be shown: where links are slow, one good device is hard to beat.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from solver.plan import Plan, pipeline_plan
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.shares import chain_stages, offer_all
from solver.space import Space
from solver.status import Outcome

RULES = ("program", "pipedream")


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer the whole workload on every device with every micro-batch count.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """
    best = offer_all(search, _plans(problem))
    space = Space(max_stages=1, num_micro_batches=problem.micro_batch_counts)
    if math.isinf(best):
        return Outcome(space, infeasible=True)
    return Outcome(space, bound=best, reason="every device and micro-batch count was tried")


def _plans(problem: Problem) -> Iterator[Plan]:
    for device in problem.usable:
        for count in problem.micro_batch_counts:
            cuts = [0, len(problem.workload.order)]
            yield pipeline_plan(
                problem, chain_stages(problem, cuts, [device], problem.job.batch // count), count
            )
