"""The best plan of every family of parallelism: which devices, how many micro-batches, which order and cut.

A family is a restriction of the plan language. Devices that are alike stand for one another, which needs
links that are alike too: clusters of one switch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations, permutations

from experiments.cases.orders import Order, pipelines
from experiments.frame.ours import PARALLELISMS, score_of
from solver.errors import DeclinedError
from solver.plan import Plan
from solver.problem import Problem
from solver.solve import solve

ONE_STAGE = {name: PARALLELISMS[name] for name in ("data", "sequence", "tensor")}
"""Families of one stage, and the solver of each: all its devices, shares by speed."""
FAMILIES = ("single", *ONE_STAGE, "pipeline", "hybrid", "any_mode")
"""From the simplest on. ``hybrid``: stages of groups in mode data; ``any_mode``: in any mode."""


def subsets(problem: Problem) -> Iterator[frozenset[str]]:
    """Yield every set of two usable devices or more, one of those that are alike.

    Parameters
    ----------
    problem
        Its cluster has equal links.
    """
    seen: set[tuple[str, ...]] = set()
    for size in range(2, len(problem.usable) + 1):
        for names in combinations(problem.usable, size):
            kinds = tuple(sorted(kind_of(problem, name) for name in names))
            if kinds not in seen:
                seen.add(kinds)
                yield frozenset(names)


def kind_of(problem: Problem, name: str) -> str:
    """Return what two devices share only if a plan may swap them under equal links."""
    return problem.cluster.by_name[name].model_copy(update={"name": ""}).model_dump_json()


def distinct_orders(problem: Problem) -> list[Order]:
    """Return the orders of the usable devices, one of those that are alike.

    Parameters
    ----------
    problem
        Its cluster has equal links.
    """
    kinds = {name: kind_of(problem, name) for name in problem.usable}
    found: dict[tuple[str, ...], Order] = {}
    for order in permutations(problem.usable):
        found.setdefault(tuple(kinds[name] for name in order), order)
    return list(found.values())


def family_plans(problem: Problem) -> dict[str, Plan | None]:
    """Return the best plan of every simple family; ``None`` where none keeps every limit.

    Parameters
    ----------
    problem
        A chain that is trained on a cluster of equal links.

    Notes
    -----
    ``single`` and ``pipeline`` are exact, over all orders, cuts and micro-batch counts. The families of one
    stage take every subset of the devices and micro-batch count, with shares by speed.
    """
    found: dict[str, Plan | None] = {"single": solve(problem, "single").plan}
    parts = [replace(problem, participants=names) for names in subsets(problem)]
    for family, solver in ONE_STAGE.items():
        found[family] = least(problem, (solve(part, solver).plan for part in parts))
    found["pipeline"] = least(problem, (plan for part in parts for plan in _pipelines(part)))
    return found


def _pipelines(problem: Problem) -> Iterator[Plan | None]:
    orders = distinct_orders(problem)
    for count in problem.micro_batch_counts:
        try:
            for one in pipelines(replace(problem, num_micro_batches=count), orders):
                yield one.plan
        except DeclinedError:  # no chain: its cuts are no list of numbers
            return


def least(problem: Problem, plans: Iterable[Plan | None]) -> Plan | None:
    """Return the plan with the least score that keeps every limit of a problem, the first of equal ones.

    Parameters
    ----------
    problem, plans
        What decides; ``None`` among the plans is passed over.
    """
    best, found = float("inf"), None
    for plan in plans:
        score = score_of(problem, plan) if plan is not None else None
        if score is not None and score < best:
            best, found = score, plan
    return found


def scores(problem: Problem, plans: Mapping[str, Plan | None]) -> dict[str, float | None]:
    """Return the score of every plan under a problem; ``None`` where there is none.

    Parameters
    ----------
    problem, plans
        What decides.
    """
    return {name: None if plan is None else score_of(problem, plan) for name, plan in plans.items()}
