"""gpipe: as many stages as devices, cut so that the variance of their estimated costs is least.

Source: Huang et al., "GPipe", arXiv:1811.06965, section 2: the user says how many partitions there are, their
cut minimises the variance of their estimated costs, and with 4 times as many micro-batches as stages the
bubble is negligible. Costs are operations, devices are alike and stand in the order of the cluster: GPipe
was made for equal accelerators. It departs from the source in the schedule, which is the problem's (GPipe's
own runs all forwards before all backwards and keeps every micro-batch: ask for it with schedule gpipe).

Assumes nothing of the workload: a DAG is cut along its topological order. Memory is not considered. Never
declines. Where the number of micro-batches is open it is the least divisor of the batch that is 4 times the
stages, or the batch. Claim: a heuristic; ``pipeline_even`` makes the heaviest part as light as possible.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from solver.plan import pipeline_plan
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.shares import chain_stages, work_flop
from solver.space import Space
from solver.status import Outcome


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer the cut of least variance.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """
    work = work_flop(problem)
    num_stages = min(len(problem.usable), len(work))
    counts = problem.micro_batch_counts
    count = next((one for one in counts if one >= 4 * num_stages), counts[-1])
    space = Space(num_micro_batches=(count,))
    cuts = least_variance_cut(work, num_stages, search)
    devices = problem.usable[:num_stages]
    stages = chain_stages(problem, cuts, devices, problem.job.batch // count)
    score = search.offer(pipeline_plan(problem, stages, count))
    return Outcome(space, reason="its one plan was judged" if score < math.inf else "")


def least_variance_cut(costs: Sequence[float], num_parts: int, search: Search) -> list[int]:
    """Cut a list into parts that are not empty, so that the variance of their sums is least.

    Parameters
    ----------
    costs
        (num_items,), not negative.
    num_parts
        At most the number of items.
    search
        Says when to stop.

    Returns
    -------
    list of int
        (num_parts + 1,), where each part begins, and the end.

    Notes
    -----
    The mean of a fixed number of parts is fixed, so the sum of squares is made least: dynamic programming
    over prefixes, O(num_items ** 2 * num_parts).
    """
    before = np.concatenate([[0.0], np.cumsum(costs)])
    scale = max(before[-1], 1e-300)
    square = ((before[None, :] - before[:, None]) / scale) ** 2
    square[np.tril_indices(len(before))] = np.inf
    best = np.where(np.arange(len(before)) == 0, 0.0, np.inf)
    starts = []
    for _ in range(num_parts):
        search.tick()
        sums = best[:, None] + square
        starts.append(sums.argmin(axis=0))
        best = sums.min(axis=0)
    cuts = [len(costs)]
    for start in reversed(starts):
        cuts.append(int(start[cuts[-1]]))
    return cuts[::-1]
