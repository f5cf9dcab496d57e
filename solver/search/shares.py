"""Shares in proportion to speed, and cuts of a chain that balance work: what the textbook solvers share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from solver.layout import apportion
from solver.plan import Plan, Stage
from solver.problem import Problem
from solver.program import Floats
from solver.schedule import compiled
from solver.search.incumbent import Search


def speeds(problem: Problem, samples: int) -> dict[str, float]:
    """Return the samples per second each usable device trains (or serves) of the whole workload.

    Parameters
    ----------
    problem
        What is decided.
    samples
        Samples computed at once: measured profiles are not linear in them.
    """
    found = {}
    costs, order = problem.costs, problem.workload.order
    flop = np.array([(costs.block(block).forward_flop, costs.block(block).backward_flop) for block in order])
    for name in problem.usable:
        device = problem.cluster.by_name[name]
        if device.times(problem.workload):
            seconds = sum(sum(costs.time_s(block, device, samples)) for block in order)
        else:
            times = flop * samples / device.flop_per_s[problem.job.precision].value
            seconds = sum(times.sum(axis=1).tolist())
        seconds += device.overhead_s.value * len(problem.workload.order)
        found[name] = samples / seconds if seconds else 1.0
    return found


def work_flop(problem: Problem) -> list[float]:
    """Return (num_blocks,), operations of both passes of every block per sample, in topological order.

    Parameters
    ----------
    problem
        What is decided.
    """
    costs = [problem.costs.block(name) for name in problem.workload.order]
    return [cost.forward_flop + cost.backward_flop for cost in costs]


def by_speed(problem: Problem, samples: int, units: int) -> dict[str, int]:
    """Share out units in proportion to device speed by largest remainder; who would get none is left out.

    Parameters
    ----------
    problem
        What is decided.
    samples
        Samples of a micro-batch.
    units
        What is shared out: samples, heads, columns or tokens.
    """
    shares = apportion(speeds(problem, samples), units)
    return {name: share for name, share in shares.items() if share}


def even_cut(weights: Sequence[float], num_parts: int, speeds: Sequence[float] | None = None) -> list[int]:
    """Cut a list into parts that are not empty, so that the heaviest part is as light as possible.

    Parameters
    ----------
    weights
        (num_items,), not negative.
    num_parts
        At most the number of items.
    speeds
        (num_parts,), by which the weight of each part is divided; all alike if ``None``.

    Returns
    -------
    list of int
        (num_parts + 1,), where each part begins, and the end.

    Notes
    -----
    Dynamic programming over prefixes, O(num_items ** 2 * num_parts).
    """
    n = len(weights)
    before = np.concatenate(([0.0], np.cumsum(np.array(weights, float))))
    choice = _first_cuts(before, np.ones(num_parts) if speeds is None else np.array(speeds, float))
    cuts = [n]
    for places in choice[::-1].tolist():
        cuts.append(places[cuts[-1]])
    return cuts[::-1]


@compiled
def _first_cuts(before: Floats, speeds: Floats) -> Any:
    """Return (num_parts, num_items + 1), where the last of so many parts of the first items begins."""
    size, num_parts = len(before), len(speeds)
    best = np.full(size, np.inf)
    best[0] = 0.0
    choice = np.zeros((num_parts, size), np.int64)
    for part in range(num_parts):
        found = np.full(size, np.inf)
        for end in range(1, size):
            for start in range(end):
                value = max(best[start], (before[end] - before[start]) / speeds[part])
                if value < found[end]:
                    found[end], choice[part, end] = value, start
        best = found
    return choice


def chain_stages(problem: Problem, cuts: Sequence[int], devices: Sequence[str], samples: int) -> list[Stage]:
    """Return stages of one device each, cut along the topological order.

    Parameters
    ----------
    problem
        What is decided.
    cuts
        (num_stages + 1,), where each stage begins in ``workload.order``, and the end.
    devices
        (num_stages,), device of each stage.
    samples
        Samples of a micro-batch.
    """
    order = problem.workload.order
    return [
        Stage(blocks=order[cuts[s] : cuts[s + 1]], shares={device: samples})
        for s, device in enumerate(devices)
    ]


def offer_all(search: Search, plans: Iterator[Plan]) -> float:
    """Offer plans one by one.

    Parameters
    ----------
    search
        Judges them.
    plans
        What is offered.

    Returns
    -------
    float
        The best score among these plans; infinite if none keeps every limit.

    Raises
    ------
    Interrupted
        When it is time to stop.
    """
    best = math.inf
    for plan in plans:
        search.tick()
        best = min(best, search.offer(plan))
    return best
