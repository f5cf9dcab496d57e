"""dapple: DAPPLE's planner: stages of evenly shared devices, the longest step made as short as possible.

Source: Fan et al., "DAPPLE", PPoPP 2021, arXiv:2007.01045, and the planner published by its authors (dynamic
programming over blocks and devices for the longest step, stages and transfers being steps, then the estimate
of latency below to choose among the plans). Devices and links are alike there: here a device is the mean of
all, a link the median one. With one device a machine its placement policies (fresh, append, scatter) are one.
It departs from the source in that the dynamic programme keeps its plan for every number of stages, and in
offering each in the order of the cluster and from the fastest device to the slowest, which its figures do not
tell apart.

    latency = (M - 1) longest step + sum of compute steps + sum of transfers + max_i max(0, AR_i - i longest)

Assumes a chain that is trained; declines others, and problems whose tables do not fit. Memory is not
considered: the evaluator judges plans by their estimate until one keeps every limit. The problem's number of
micro-batches is taken; where it is open, 4, else 8, 2 or 1. Claim: a heuristic.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from solver.plan import Plan, Stage, pipeline_plan
from solver.problem import Problem
from solver.program import Floats, Longs
from solver.schedule import compiled
from solver.search.incumbent import Search
from solver.search.literature.group_tables import GroupTables, group_tables
from solver.search.shares import speeds
from solver.space import Space
from solver.status import Outcome


class Alike(NamedTuple):
    """Steps where devices and links are alike.

    Parameters
    ----------
    compute_s
        (R + 1, L + 1): all blocks before one, forward and backward, on each of r devices.
    transfer_s
        (L + 1,): a boundary's messages, forward and back; 0 at the ends.
    reduce_s
        (R + 1, L + 1): the gradients of all blocks before one over r devices, without latency.
    """

    compute_s: Floats
    transfer_s: Floats
    reduce_s: Floats


def solve(problem: Problem, search: Search) -> Outcome:
    """Offer the plans with the least estimate that keep every limit.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        Unless it is a chain that is trained, of moderate size.
    """
    tables = group_tables(problem)
    space = Space(max_group=None, num_micro_batches=(tables.num_micro_batches,), share_step=None)
    alike = steps_alike(tables)
    shapes = best_shapes(alike, len(tables.devices), search)
    ranked = sorted(shapes, key=lambda shape: estimate_s(alike, shape, tables.num_micro_batches))
    speed = speeds(problem, tables.samples)
    fastest = tuple(sorted(tables.devices, key=lambda name: -speed[name]))
    for devices in dict.fromkeys((tables.devices, fastest)):
        for shape in ranked:
            search.tick()
            if search.offer(_plan(tables, shape, devices)) < math.inf:
                break
    return Outcome(space, reason="its dynamic programme ended" if search.best_plan else "")


Shape = tuple[tuple[int, int], ...]
"""Stages, first to last: the block after the last, and how many devices."""


def steps_alike(tables: GroupTables) -> Alike:
    """Return the steps on the mean device and the median link.

    Parameters
    ----------
    tables
        Costs of stages.
    """
    num, samples = len(tables.devices), tables.samples
    mean = tables.times_s.sum(axis=0).mean(axis=0)
    most = min(num, samples)
    compute, reduce = np.full((2, most + 1, tables.num_blocks + 1), np.inf)
    rate, latency = tables.links
    off = ~np.eye(num, dtype=bool)
    per_byte = 1 / float(np.median(rate[off])) if num > 1 else 0.0
    wait = float(np.median(latency[off])) if num > 1 else 0.0
    for r in range(1, most + 1):
        compute[r] = mean[-(-samples // r)]
        reduce[r] = 2 * (r - 1) / r * tables.reduced_bytes * per_byte
    once = tables.cut_bytes * per_byte + wait
    transfer = once * (1 + tables.gradients)
    transfer[[0, -1]] = 0.0
    return Alike(compute, transfer, reduce)


def best_shapes(alike: Alike, num_devices: int, search: Search) -> list[Shape]:
    """Return for every number of stages the shape on all devices whose longest step is shortest.

    Parameters
    ----------
    alike
        Steps.
    num_devices
        How many devices there are, all of which are used if there are samples for them.
    search
        Says when to stop.
    """
    length = alike.transfer_s.shape[0]
    most = alike.compute_s.shape[0] - 1
    longest = np.full((num_devices + 1, length), np.inf)
    longest[0, 0] = 0.0
    choices: list[Longs] = []
    shapes = []
    for num_stages in range(1, min(num_devices, length - 1) + 1):
        found = np.full_like(longest, np.inf)
        choice = np.full((*longest.shape, 2), -1, np.int64)
        for used in range(num_devices):
            search.tick()
            _add_stage(used, longest, alike.compute_s, alike.transfer_s, found, choice)
        longest = found
        choices.append(choice)
        used = min(num_devices, num_stages * most)
        if np.isfinite(longest[used, -1]):
            shapes.append(_unwind(choices, used, length - 1))
    return shapes


@compiled
def _add_stage(
    used: int, longest: Floats, compute: Floats, transfer: Floats, found: Floats, choice: Longs
) -> None:
    """Put one more stage behind all plans on so many devices: the least longest step by blocks held."""
    for begin in range(longest.shape[1] - 1):
        value = max(longest[used, begin], transfer[begin])
        if value == np.inf:
            continue
        for r in range(1, min(compute.shape[0], longest.shape[0] - used)):
            for end in range(begin + 1, longest.shape[1]):
                step = max(value, compute[r, end] - compute[r, begin])
                if step < found[used + r, end]:
                    found[used + r, end] = step
                    choice[used + r, end, 0], choice[used + r, end, 1] = begin, r


def _unwind(choices: list[Longs], used: int, end: int) -> Shape:
    stages = []
    for choice in reversed(choices):
        begin, r = choice[used, end].tolist()
        stages.append((end, r))
        used, end = used - r, begin
    return tuple(reversed(stages))


def estimate_s(alike: Alike, shape: Shape, num_micro_batches: int) -> float:
    """Return DAPPLE's estimate of the latency of a step.

    Parameters
    ----------
    alike
        Steps.
    shape
        The stages.
    num_micro_batches
        M.
    """
    begins = [0, *(end for end, _ in shape[:-1])]
    compute = [alike.compute_s[r, e] - alike.compute_s[r, b] for b, (e, r) in zip(begins, shape, strict=True)]
    reduce = [alike.reduce_s[r, e] - alike.reduce_s[r, b] for b, (e, r) in zip(begins, shape, strict=True)]
    transfer = [alike.transfer_s[b] for b in begins[1:]]
    longest = max([*compute, *transfer])
    late = max(max(0.0, seconds - i * longest) for i, seconds in enumerate(reduce))
    return float(longest * (num_micro_batches - 1) + sum(compute) + sum(transfer) + late)


def _plan(tables: GroupTables, shape: Shape, devices: tuple[str, ...]) -> Plan:
    """Return the plan of a shape, its devices in an order, samples shared evenly."""
    problem, stages, begin, used = tables.problem, [], 0, 0
    for end, r in shape:
        each, more = divmod(tables.samples, r)
        given = {name: each + (j < more) for j, name in enumerate(devices[used : used + r])}
        shares = {name: given[name] for name in tables.devices if name in given}
        stages.append(Stage(blocks=problem.workload.order[begin:end], shares=dict(shares)))
        begin, used = end, used + r
    return pipeline_plan(problem, stages, tables.num_micro_batches)
