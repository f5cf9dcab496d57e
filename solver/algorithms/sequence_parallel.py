"""sequence_parallel: every device computes some tokens of every sample, in proportion to its speed.

Source: Li et al., "Sequence Parallelism: Long Sequence Training from System Perspective", arXiv:2105.13120
(weights on every device, keys and values exchanged); departs from it in uneven shares, by largest remainder
on speed.

Assumes blocks that say what they exchange when cut over tokens; other blocks are computed by every device.
Declines serving, and workloads none of whose blocks can be cut. Memory is not considered when shares are
chosen. Claim: a heuristic; every micro-batch count is tried.
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


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer one stage of all devices in mode sequence, with every micro-batch count.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        For serving, and if no block can be cut.
    """
    if problem.job.kind == "serve":
        raise DeclinedError("sequence_parallel shares out training; a request is not shared out")
    tokens = max((b.tokens for b in problem.workload.blocks if b.sequence is not None), default=0)
    if tokens < 2:
        message = f"no block of {problem.workload.name} can be cut over tokens; use data_parallel"
        raise DeclinedError(message)
    best = offer_all(search, _plans(problem, tokens))
    space = Space(("sequence",), None, 1, problem.micro_batch_counts, share_step=None)
    return Outcome(space, reason="every micro-batch count was tried" if best < math.inf else "")


def _plans(problem: Problem, tokens: int) -> Iterator[Plan]:
    for count in problem.micro_batch_counts:
        shares = by_speed(problem, problem.job.batch // count, tokens)
        yield pipeline_plan(
            problem, [Stage(blocks=problem.workload.order, mode="sequence", shares=dict(shares))], count
        )
