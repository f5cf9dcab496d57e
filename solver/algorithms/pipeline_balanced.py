"""pipeline_balanced: as many stages as devices, cut so that all take about the same time.

Source: ``pipeline_even`` (Huang et al., "GPipe", arXiv:1811.06965) for devices of unequal speed: the work of
a stage is divided by the speed of its device, and the slowest stage is made as quick as possible. Devices
stand in the order of the cluster, from the fastest to the slowest, and the other way round; all are offered.

Assumes nothing of the workload: a DAG is cut along its topological order. Every device gets a stage, whatever
it adds; memory and links are not considered. Never declines. Claim: a heuristic; every micro-batch count is
tried.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from solver.plan import Plan, pipeline_plan
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.shares import chain_stages, even_cut, offer_all, speeds, work_flop
from solver.space import Space
from solver.status import Outcome


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer the cut by speed in three orders of the devices, with every micro-batch count.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """
    best = offer_all(search, _plans(problem))
    space = Space(num_micro_batches=problem.micro_batch_counts)
    return Outcome(
        space, reason="three orders and every micro-batch count were tried" if best < math.inf else ""
    )


def _plans(problem: Problem) -> Iterator[Plan]:
    work = work_flop(problem)
    num_stages = min(len(problem.usable), len(work))
    speed = speeds(problem, 1)
    fastest = tuple(sorted(problem.usable, key=lambda name: -speed[name]))
    orders = dict.fromkeys(order[:num_stages] for order in (problem.usable, fastest, fastest[::-1]))
    cuts = {order: even_cut(work, num_stages, [speed[name] for name in order]) for order in orders}
    for count in problem.micro_batch_counts:
        for order, cut in cuts.items():
            yield pipeline_plan(problem, chain_stages(problem, cut, order, problem.job.batch // count), count)
