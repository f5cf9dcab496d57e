"""Groups: every group of a cluster's devices planned for, what rules choose, what devices are worth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from experiments.frame.ours import literature, ours
from solver.participation.coalitions import Coalitions, Found
from solver.participation.game import Game, closed, largest_cost
from solver.participation.kinds import Counts, all_counts
from solver.participation.planner import Planner
from solver.participation.rules import rule_of
from solver.participation.shapley import exact
from solver.problem import Problem

GROUP_WORK, BEST_WORK = 60, 300
"""Units of work for every group, by a local search, and for those that a rule chooses, by the portfolio."""
RULES = ("single", "all", "fastest_half", "most_memory_half", "fastest", "add", "drop")
PAPERS = ("asteroid", "asteroid_subsets", "dapple")
"""Planners of the literature whose plans say who takes part."""


def planned(problem: Problem) -> tuple[Coalitions, dict[str, Counts | None], dict[str, float]]:
    """Return all groups planned for, whom rules choose, and the figures of the literature's own plans.

    Parameters
    ----------
    problem
        What is decided, over at most 10 devices.

    Raises
    ------
    WorseError
        If a plan of the literature is better than the optimum.
    """
    coalitions = Coalitions(problem, Planner("local_search", GROUP_WORK))
    coalitions.every_group()
    found = literature(problem)
    own = {name: one.score for name, one in found.items() if one.score is not None}
    heard = {name: coalitions.hear(one.plan) for name, one in found.items() if one.plan is not None}
    chosen = {name: rule_of(_rule(name, problem))(coalitions) for name in RULES}
    for name in PAPERS:
        plan = heard.get(name)
        chosen[name] = None if plan is None else coalitions.counts(plan.participants)
    _refine(coalitions, {counts for counts in chosen.values() if counts is not None})
    best = coalitions.best_known(coalitions.size)
    again = ours(problem, found, starts=[] if best is None else [best.plan], work_limit=BEST_WORK)
    if again.plan is not None:
        coalitions.hear(again.plan)
    return coalitions, chosen, own


def _rule(name: str, problem: Problem) -> str:
    """Return a rule's name with the number for its half, rounded up."""
    return name.replace("half", str(math.ceil(len(problem.usable) / 2)))


def _refine(coalitions: Coalitions, groups: set[Counts]) -> None:
    """Plan again for some groups with the portfolio, so that none loses for want of search."""
    planner = Planner("best", BEST_WORK)
    for counts in sorted(groups):
        known = coalitions.known.get(counts)
        start = None if known is None else known.plan
        found = planner(coalitions.problem, coalitions.group(counts), everyone=True, start=start)
        if found.plan is not None:
            coalitions.hear(found.plan)


def optimum(coalitions: Coalitions) -> Found:
    """Return the best plan of all groups."""
    best = coalitions.best_known(coalitions.size)
    assert best is not None, "no group has a plan"
    return best


def loss_percent(coalitions: Coalitions, counts: Counts | None) -> float | None:
    """Return how much worse a group is than the optimum, all of it taking part; ``None`` without a plan."""
    found = None if counts is None else coalitions.known.get(counts)
    return None if found is None else 100 * (found.score / optimum(coalitions).score - 1)


def evidence(name: str, found: Found | None) -> dict[str, Any]:
    """Return where the energy and the time of a plan go.

    Parameters
    ----------
    name
        How the columns begin.
    found
        The plan; ``None`` for empty columns.
    """
    words = ("megabytes", "idle_energy_percent", "busy_percent")
    if found is None:
        return dict.fromkeys(f"{name}_{word}" for word in words)
    report = found.report
    idle_j = sum(part.idle_j for part in report.energy.values())
    figures = (report.traffic_bytes / 1e6, 100 * idle_j / report.energy_j, 100 * (1 - report.bubble))
    return {f"{name}_{word}": value for word, value in zip(words, figures, strict=True)}


def random_groups(coalitions: Coalitions, num: int) -> dict[str, Any]:
    """Return the loss over all groups of so many devices, each as likely as any other.

    Parameters
    ----------
    coalitions
        All groups, planned for.
    num
        Devices.
    """
    losses: list[tuple[float, int]] = []
    every = 0
    for counts in all_counts(coalitions.kinds):
        if sum(counts) == num:
            ways = math.prod(math.comb(len(k), c) for k, c in zip(coalitions.kinds, counts, strict=True))
            every += ways
            loss = loss_percent(coalitions, counts)
            losses += [] if loss is None else [(loss, ways)]
    fit = sum(ways for _, ways in losses)
    return {
        "random_half_percent": sum(loss * ways for loss, ways in losses) / fit if fit else None,
        "random_half_least_percent": min((loss for loss, _ in losses), default=None),
        "random_half_most_percent": max((loss for loss, _ in losses), default=None),
        "random_half_no_plan": every - fit,
    }


def worths(coalitions: Coalitions) -> list[dict[str, Any]]:
    """Return what each device is worth: a row each, exact Shapley values over all groups.

    Parameters
    ----------
    coalitions
        All groups, planned for.
    """
    scores: Mapping[Counts, float] = {counts: found.score for counts, found in coalitions.known.items()}
    costs = closed(coalitions.size, scores)
    game = Game(coalitions.size, costs, largest_cost(costs), coalitions.problem.job.batch)
    saved, rate = exact(coalitions.size, game.saved), exact(coalitions.size, game.rate)
    total = game.rate(coalitions.size)
    kind_of = {name: k for k, kind in enumerate(coalitions.kinds) for name in kind}
    inside = optimum(coalitions).participants
    return [
        {
            "device": name,
            "in_optimum": name in inside,
            "saved": saved[kind_of[name]].value,
            "rate": rate[kind_of[name]].value,
            "share_percent": 100 * rate[kind_of[name]].value / total,
        }
        for name in coalitions.problem.usable
    ]
