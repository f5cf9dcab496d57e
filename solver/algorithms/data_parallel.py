"""data_parallel: every device holds the whole workload and computes samples in proportion to its speed.

Source: synchronous data parallelism with ring all-reduce, as PyTorch DDP (Li et al., "PyTorch Distributed",
VLDB 2020, arXiv:2006.15704); departs from it in uneven shares, by largest remainder on speed, so that
unequal devices finish together. Devices that would get no sample of a micro-batch are left out.

Assumes that what is shared are samples of training; declines serving. Memory is not considered when shares
are chosen: where a device cannot hold the whole workload the plan breaks its limit, and nothing is found.
Claim: a heuristic; every micro-batch count is tried.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from solver.errors import DeclinedError
from solver.plan import Plan, Stage, pipeline_plan
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.shares import by_speed, offer_all
from solver.space import Space
from solver.status import Outcome

RULES = ("program", "pipedream")


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer one stage of all devices, with every micro-batch count.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        For serving.
    """
    if problem.job.kind == "serve":
        raise DeclinedError("data_parallel shares out samples of training; a request is not shared out")
    best = offer_all(search, _plans(problem))
    space = Space(max_group=None, max_stages=1, num_micro_batches=problem.micro_batch_counts, share_step=None)
    return Outcome(space, reason="every micro-batch count was tried" if best < math.inf else "")


def _plans(problem: Problem) -> Iterator[Plan]:
    for count in problem.micro_batch_counts:
        samples = problem.job.batch // count
        shares = by_speed(problem, samples, samples)
        if len(shares) < min(2, len(problem.usable)):
            continue  # too few samples to share out: that is a single device, which has its own solver
        yield pipeline_plan(problem, [Stage(blocks=problem.workload.order, shares=dict(shares))], count)
