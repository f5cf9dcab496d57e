"""Planners that Asteroid is compared with, each at its best number of micro-batches where that is open."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from experiments.frame.ours import literature
from solver.layout import apportion
from solver.plan import Plan, Stage, pipeline_plan
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.space import Space
from solver.status import Solution, Status

CONVENTIONAL = ("data_even", "data_parallel", "pipeline_even", "gpipe")
"""Data parallelism in equal shares and in shares by speed; pipelines of one stage a device."""
HYBRIDS = ("eddl", "pipedream", "dapple", "hetpipe")
"""What the paper compares with, as earlier hybrids of both; of EDDL only the abstract is known."""
ASTEROIDS = ("asteroid", "asteroid_subsets")
PLANNERS = ("single", *CONVENTIONAL, *HYBRIDS, *ASTEROIDS)
MOST_MICRO_BATCHES = 32


def answers(problem: Problem, names: Iterable[str] = PLANNERS) -> dict[str, Solution]:
    """Return what each planner answers.

    Parameters
    ----------
    problem
        What is decided. Where its number of micro-batches is open every planner has its best one of the
        divisors of the batch up to ``MOST_MICRO_BATCHES``.
    names
        Of :data:`PLANNERS`.
    """
    counts = [n for n in problem.micro_batch_counts if n <= MOST_MICRO_BATCHES]
    fixed = [replace(problem, num_micro_batches=n) for n in counts]
    return {name: _best([_answer(one, name) for one in fixed]) for name in names}


def _answer(problem: Problem, name: str) -> Solution:
    return data_even(problem) if name == "data_even" else literature(problem, [name])[name]


def _best(found: Sequence[Solution]) -> Solution:
    return min(found, key=lambda one: math.inf if one.score is None else one.score)


def data_even(problem: Problem) -> Solution:
    """Return textbook data parallelism: every device the same number of samples, whatever its speed.

    Parameters
    ----------
    problem
        What is decided, with a number of micro-batches.
    """
    search, plan = Search(problem), _even(problem)
    if plan is not None:
        search.offer(plan)
    if search.best_plan is None:
        broken = search.nearest.violations if search.nearest is not None else ()
        reason = "; ".join(one.message for one in broken) or "fewer samples than devices"
        return Solution(Status.UNKNOWN, "data_even", 0, 0.0, Space(), reason=reason)
    given = {"plan": search.best_plan, "score": search.best_score, "report": search.best_report}
    return replace(Solution(Status.FEASIBLE, "data_even", 0, 0.0, Space()), **given)


def _even(problem: Problem) -> Plan | None:
    count = problem.micro_batch_counts[0]
    samples = problem.job.batch // count
    if samples < len(problem.usable):
        return None
    shares = apportion(dict.fromkeys(problem.usable, 1.0), samples)
    stage = Stage(blocks=problem.workload.order, shares=dict(shares))
    return pipeline_plan(problem, [stage], count)
