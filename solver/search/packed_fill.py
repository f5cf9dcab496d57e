"""Packed fill: how hybrid pipelines as arrays are filled: shares by speed, balanced cuts, cap patterns."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from solver.problem import Problem
from solver.program import Floats, Longs
from solver.schedule import compiled
from solver.search.packed_points import Points, empty
from solver.search.shares import speeds

COUNT, CAP = 8, 9
"""Kinds of moves that not every problem allows; see :mod:`solver.search.packed_moves`."""
WEIGHTS = (4.0, 3.0, 3.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0)
"""How often each kind of move is drawn, relative to the others."""
PATTERNS = 5
"""Rules for caps: the schedule's own, just enough to fill the pipeline, one more, one, and no cap."""
MOST_STAGES = 24
"""Stages beyond which pipelines are not looked at."""


class Rule(NamedTuple):
    """What moves follow; C micro-batch counts, D devices, L blocks.

    Parameters
    ----------
    speeds
        (C, D), samples per second: new shares follow it; 0 where a device cannot compute.
    movable
        Devices that can compute.
    num_micro_batches, num_samples
        (C,), micro-batches of a step, and samples of each.
    work
        (L + 1,), work of all blocks before a block.
    drawn
        (10,), kinds of moves by cumulated probability.
    max_group
        Most devices of a stage.
    caps_are_free
        Whether caps may be chosen.
    """

    speeds: Floats
    movable: Longs
    num_micro_batches: Longs
    num_samples: Longs
    work: Floats
    drawn: Floats
    max_group: int
    caps_are_free: bool


def make_rule(problem: Problem, counts: tuple[int, ...]) -> Rule:
    """Return what moves follow in a problem.

    Parameters
    ----------
    problem
        What is decided. Caps change where its in-flight rule is free; serving has groups of one device.
    counts
        Micro-batch counts that may be chosen.
    """
    names = [device.name for device in problem.cluster.devices]
    table = np.zeros((len(counts), len(names)))
    for c, count in enumerate(counts):
        found = speeds(problem, problem.job.batch // count)
        table[c] = [found.get(name, 0.0) for name in names]
    table[table > 0] = np.maximum(table[table > 0], 1e-12 * table.max())
    fastest = problem.cluster.by_name[names[int(table[0].argmax())]]
    times = [sum(problem.costs.time_s(name, fastest, 1)) for name in problem.workload.order]
    weights = np.array(WEIGHTS)
    serves = problem.job.kind == "serve"
    if len(counts) == 1:
        weights[COUNT] = 0
    caps_are_free = problem.in_flight == "free" and problem.schedule == "1f1b" and not serves
    if not caps_are_free:
        weights[CAP] = 0
    drawn = np.cumsum(weights / weights.sum())
    # Rounding must not leave room for a kind that is not allowed.
    drawn[drawn > 1 - 1e-9] = 1.0
    return Rule(
        speeds=table,
        movable=np.flatnonzero(table[0] > 0),
        num_micro_batches=np.array(counts),
        num_samples=np.array([problem.job.batch // count for count in counts]),
        work=np.concatenate(([0.0], np.cumsum(times))),
        drawn=drawn,
        max_group=1 if serves else len(names),
        caps_are_free=caps_are_free,
    )


def most_stages(problem: Problem) -> int:
    """Return the most stages of a point.

    Parameters
    ----------
    problem
        What is decided.
    """
    return min(len(problem.workload.order), len(problem.usable), MOST_STAGES)


def random_points(rule: Rule, size: int, num_stages: int, rng: np.random.Generator) -> Points:
    """Return random points: some devices, fast ones more often, in random stages with balanced cuts.

    Parameters
    ----------
    rule
        What moves follow.
    size, num_stages
        B and S.
    rng
        Draws them.
    """
    points = empty(size, num_stages, rule.speeds.shape[1])
    scatter(points, rng.random((size, 2 * rule.speeds.shape[1] + 3)), rule)
    return points


@compiled
def pick(u: float, size: int) -> Any:
    """Return which of so many a number from 0 to 1 picks."""
    return min(int(u * size), size - 1)


@compiled
def scatter(points: Points, draws: Floats, rule: Rule) -> Any:
    """Fill points at random.

    Parameters
    ----------
    points
        Filled; no device is in a stage yet.
    draws
        (B, 2 D + 3), from 0 to 1.
    rule
        What moves follow.
    """
    num_devices = points.stage_of.shape[1]
    for b in range(len(points.num_stages)):
        u = draws[b]
        points.choice[b] = pick(u[0], len(rule.num_samples))
        num_used = 1 + pick(u[1], len(rule.movable))
        num = 1 + pick(u[2], min(num_used, points.ends.shape[1]))
        # Exponential clocks: whose rings first is drawn in proportion to its speed.
        rings = np.empty(len(rule.movable))
        for k, d in enumerate(rule.movable):
            rings[k] = -math.log(1 - u[3 + d]) / rule.speeds[points.choice[b], d]
        first = np.argsort(rings)
        for k in range(num_used):
            d = rule.movable[first[k]]
            s = k if k < num else pick(u[3 + num_devices + d], num)
            if k < num or rule.max_group > 1:
                points.stage_of[b, d] = s
        points.num_stages[b] = num
        for s in range(num):
            share_out(points, b, s, rule)
        balance(points, b, rule)


@compiled
def share_out(points: Points, b: int, s: int, rule: Rule) -> Any:
    """Share a micro-batch's samples out to a stage's devices: the slowest is as fast as it can be.

    Parameters
    ----------
    points, b, s
        Which point and stage; who gets no sample leaves the plan.
    rule
        Speeds and samples.
    """
    speed, stage_of, samples = rule.speeds[points.choice[b]], points.stage_of[b], points.samples[b]
    total = 0.0
    for d in rule.movable:
        if stage_of[d] == s:
            total += speed[d]
    needed = rule.num_samples[points.choice[b]]
    left = needed
    for d in rule.movable:
        if stage_of[d] == s:
            samples[d] = min(int(needed * speed[d] / total), left)
            left -= samples[d]
    while left > 0:
        best, least = -1, math.inf
        for d in rule.movable:
            if stage_of[d] == s and (samples[d] + 1) / speed[d] < least:
                best, least = d, (samples[d] + 1) / speed[d]
        samples[best] += 1
        left -= 1
    for d in rule.movable:
        if stage_of[d] == s and samples[d] == 0:
            stage_of[d] = -1


@compiled
def balance(points: Points, b: int, rule: Rule) -> Any:
    """Cut so that every stage has work in proportion to the speed of its devices, and a block at least.

    Parameters
    ----------
    points, b
        Which point.
    rule
        Speeds and work.
    """
    num, last = points.num_stages[b], len(rule.work) - 1
    total = 0.0
    for d in rule.movable:
        if points.stage_of[b, d] >= 0:
            total += rule.speeds[points.choice[b], d]
    passed = 0.0
    start = 0
    for s in range(num):
        for d in rule.movable:
            if points.stage_of[b, d] == s:
                passed += rule.speeds[points.choice[b], d]
        aim = passed / total * rule.work[last]
        end = np.searchsorted(rule.work, aim)
        if end > start + 1 and aim - rule.work[end - 1] < rule.work[min(end, last)] - aim:
            end -= 1
        start = min(max(end, start + 1), last - (num - 1 - s))
        points.ends[b, s] = start
    points.ends[b, num - 1] = last


@compiled
def set_caps(points: Points, b: int, rule: Rule) -> Any:
    """Set the caps of all stages by the point's pattern.

    Parameters
    ----------
    points, b
        Which point.
    rule
        Micro-batches.
    """
    num, most = points.num_stages[b], rule.num_micro_batches[points.choice[b]]
    points.caps[b] = 0
    for s in range(num):
        if points.pattern[b] == 1:
            points.caps[b, s] = min(num - s, most)
        elif points.pattern[b] == 2:
            points.caps[b, s] = min(num - s + 1, most)
        elif points.pattern[b] == 3:
            points.caps[b, s] = 1
        elif points.pattern[b] == 4:
            points.caps[b, s] = most
