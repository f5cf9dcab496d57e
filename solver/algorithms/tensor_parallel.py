"""tensor_parallel: every device computes some heads and columns of every block, in proportion to its speed.

Source: Shoeybi et al., "Megatron-LM", arXiv:1909.08053, sections 3 (attention by heads, feed-forward by
columns, two all-reduces a layer and pass); departs from it in uneven shares, by largest remainder on speed,
as Galaxy (Ye et al., arXiv:2405.17245) does for unequal edge devices.

Assumes blocks that say how they are cut; blocks that cannot be cut are held by every device. Declines
serving, and workloads none of whose blocks can be cut. Claim: a heuristic; every micro-batch count is tried.
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
    """Offer one stage of all devices in mode tensor, with every micro-batch count.

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
        raise DeclinedError("tensor_parallel shares out training; a request is not shared out")
    units = _units(problem)
    if units < 2:
        message = f"no block of {problem.workload.name} can be cut over heads or columns; use data_parallel"
        raise DeclinedError(message)
    best = offer_all(search, _plans(problem, units))
    space = Space(("tensor",), None, 1, problem.micro_batch_counts, share_step=None)
    return Outcome(space, reason="every micro-batch count was tried" if best < math.inf else "")


def _units(problem: Problem) -> int:
    """Return the most heads of a block; without heads the most columns; 0 if nothing can be cut."""
    cuts = [block.tensor for block in problem.workload.blocks if block.tensor is not None]
    heads = [cut.heads for cut in cuts if cut.heads is not None]
    columns = [cut.columns for cut in cuts if cut.columns is not None]
    return max(heads or columns, default=0)


def _plans(problem: Problem, units: int) -> Iterator[Plan]:
    for count in problem.micro_batch_counts:
        shares = by_speed(problem, problem.job.batch // count, units)
        yield pipeline_plan(
            problem, [Stage(blocks=problem.workload.order, mode="tensor", shares=dict(shares))], count
        )
