"""pipeline_even: as many stages as devices, cut so that all have about the same work.

Source: Huang et al., "GPipe", arXiv:1811.06965, section 2.1 (the partition minimises the variance of the
estimated costs of the parts); here the heaviest part is made as light as possible. Work is counted in
operations, whatever the devices' speed: that is what makes it the even split. Devices stand in the order of
the cluster, and from the fastest to the slowest; both are offered.

Assumes nothing of the workload: a DAG is cut along its topological order. Memory is not considered. Never
declines. Claim: a heuristic; every micro-batch count is tried.
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

RULES = ("program", "pipedream")


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer the even split in both orders of the devices, with every micro-batch count.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """
    best = offer_all(search, _plans(problem))
    space = Space(num_micro_batches=problem.micro_batch_counts)
    return Outcome(
        space, reason="both orders and every micro-batch count were tried" if best < math.inf else ""
    )


def _plans(problem: Problem) -> Iterator[Plan]:
    work = work_flop(problem)
    num_stages = min(len(problem.usable), len(work))
    cuts = even_cut(work, num_stages)
    speed = speeds(problem, 1)
    fastest = sorted(problem.usable, key=lambda name: -speed[name])
    for count in problem.micro_batch_counts:
        for devices in dict.fromkeys((problem.usable[:num_stages], tuple(fastest[:num_stages]))):
            yield pipeline_plan(
                problem, chain_stages(problem, cuts, devices, problem.job.batch // count), count
            )
