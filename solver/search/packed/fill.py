"""Packed fill: how hybrid pipelines as arrays are filled: shares by speed, balanced cuts, cap patterns."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from solver.problem import Problem
from solver.program import Floats, Longs
from solver.schedule import compiled
from solver.search.packed.points import Points, empty
from solver.search.shares import speeds

COUNT, CAP = 8, 9
"""Kinds of moves that not every problem allows; see :mod:`solver.search.packed.moves`."""
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
    weights
        (3, C, D), what new shares follow, by flavour: samples per second, memory, and the geometric mean of
        both; 0 where a device cannot compute.
    movable
        Devices that can compute.
    num_micro_batches, num_samples
        (C,), micro-batches of a step, and samples of each.
    loads
        (3, C, L + 1), what cuts follow, by flavour: time and memory of all blocks before a block, as parts
        of the whole, and the mean of both.
    drawn
        (10,), kinds of moves by cumulated probability.
    max_group
        Most devices of a stage.
    caps_are_free
        Whether caps may be chosen.
    """

    weights: Floats
    movable: Longs
    num_micro_batches: Longs
    num_samples: Longs
    loads: Floats
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
    table = _weights(problem, counts)
    kinds = np.array(WEIGHTS)
    serves = problem.job.kind == "serve"
    if len(counts) == 1:
        kinds[COUNT] = 0
    caps_are_free = problem.in_flight == "free" and problem.schedule == "1f1b" and not serves
    if not caps_are_free:
        kinds[CAP] = 0
    drawn = np.cumsum(kinds / kinds.sum())
    # Rounding must not leave room for a kind that is not allowed.
    drawn[drawn > 1 - 1e-9] = 1.0
    return Rule(
        weights=table,
        movable=np.flatnonzero(table[0, 0] > 0),
        num_micro_batches=np.array(counts),
        num_samples=np.array([problem.job.batch // count for count in counts]),
        loads=_loads(problem, counts),
        drawn=drawn,
        max_group=1 if serves else table.shape[2],
        caps_are_free=caps_are_free,
    )


def _weights(problem: Problem, counts: tuple[int, ...]) -> Floats:
    devices = problem.cluster.devices
    table = np.zeros((3, len(counts), len(devices)))
    for c, count in enumerate(counts):
        found = speeds(problem, problem.job.batch // count)
        table[0, c] = [found.get(device.name, 0.0) for device in devices]
    usable = table[0] > 0
    table[1] = [device.memory_bytes.value for device in devices]
    table[:2] = np.where(usable, np.maximum(table[:2], 1e-12 * table[:2].max((1, 2), keepdims=True)), 0)
    table[2] = np.sqrt(table[0] * table[1])
    return table


def _loads(problem: Problem, counts: tuple[int, ...]) -> Floats:
    """Return the loads of blocks; memory is counted with two micro-batches in flight."""
    costs, order = problem.costs, problem.workload.order
    speed = speeds(problem, 1)
    fastest = problem.cluster.by_name[max(speed, key=speed.__getitem__)]
    table = np.zeros((3, len(counts), len(order) + 1))
    blocks = [costs.block(name) for name in order]
    static = np.array([b.weight_bytes + b.trained_bytes + costs.state_bytes(b.trained_bytes) for b in blocks])
    kept = np.array([b.kept_bytes + b.output_bytes for b in blocks])
    for c, count in enumerate(counts):
        table[0, c, 1:] = [sum(costs.time_s(name, fastest, 1)) for name in order]
        table[1, c, 1:] = static + 2 * kept * (problem.job.batch // count)
    table = table.cumsum(axis=2)
    table /= np.maximum(table[..., -1:], 1e-300)
    table[2] = table[:2].mean(axis=0)
    return table


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
    points = empty(size, num_stages, rule.weights.shape[2])
    scatter(points, rng.random((size, 2 * rule.weights.shape[2] + 4)), rule)
    return points


@compiled
def pick(u: float, size: int) -> Any:
    """Return which of so many a number from 0 to 1 picks."""
    return min(int(u * size), size - 1)


@compiled
def flavour(u: float) -> Any:
    """Return what shares and cuts follow for a number from 0 to 1: mostly speed, else memory, else both."""
    return 0 if u < 0.6 else (1 if u < 0.8 else 2)


@compiled
def scatter(points: Points, draws: Floats, rule: Rule) -> Any:
    """Fill points at random.

    Parameters
    ----------
    points
        Filled; no device is in a stage yet.
    draws
        (B, 2 D + 4), from 0 to 1.
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
            rings[k] = -math.log(1 - u[3 + d]) / rule.weights[0, points.choice[b], d]
        first = np.argsort(rings)
        for k in range(num_used):
            d = rule.movable[first[k]]
            s = k if k < num else pick(u[3 + num_devices + d], num)
            if k < num or rule.max_group > 1:
                points.stage_of[b, d] = s
        points.num_stages[b] = num
        how = flavour(u[-1])
        for s in range(num):
            share_out(points, b, s, rule, how)
        balance(points, b, rule, how)


@compiled
def share_out(points: Points, b: int, s: int, rule: Rule, how: int) -> Any:
    """Share a micro-batch's samples out to a stage's devices: the fullest is as little full as it can be.

    Parameters
    ----------
    points, b, s
        Which point and stage; who gets no sample leaves the plan.
    rule, how
        Weights, samples, and which flavour of weights.
    """
    speed, stage_of, samples = rule.weights[how, points.choice[b]], points.stage_of[b], points.samples[b]
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
def balance(points: Points, b: int, rule: Rule, how: int) -> Any:
    """Cut so that stages have loads in proportion to the weights of their devices, and a block at least.

    Parameters
    ----------
    points, b
        Which point.
    rule, how
        Weights, loads, and which flavour of them.
    """
    weight, load = rule.weights[how, points.choice[b]], rule.loads[how, points.choice[b]]
    num, last = points.num_stages[b], len(load) - 1
    total = 0.0
    for d in rule.movable:
        if points.stage_of[b, d] >= 0:
            total += weight[d]
    passed = 0.0
    start = 0
    for s in range(num):
        for d in rule.movable:
            if points.stage_of[b, d] == s:
                passed += weight[d]
        aim = passed / total * load[last]
        end = np.searchsorted(load, aim)
        if end > start + 1 and aim - load[end - 1] < load[min(end, last)] - aim:
            end -= 1
        start = min(max(end, start + 1), last - (num - 1 - s))
        points.ends[b, s] = start
    points.ends[b, num - 1] = last


@compiled
def fill_point(points: Points, b: int, rule: Rule, how: int, pattern: int) -> Any:
    """Give a point whose devices are in their stages shares, cuts and caps.

    Parameters
    ----------
    points, b
        Which point.
    rule, how, pattern
        What is followed: its flavour, and the pattern of caps.
    """
    for s in range(points.num_stages[b]):
        share_out(points, b, s, rule, how)
    balance(points, b, rule, how)
    points.pattern[b] = pattern
    set_caps(points, b, rule)


@compiled
def set_patterns(points: Points, patterns: Longs, rule: Rule) -> Any:
    """Set patterns of caps of all points.

    Parameters
    ----------
    points
        Changed in place.
    patterns
        (B,), the new ones; a negative one leaves a point as it is.
    rule
        Micro-batches.
    """
    for b in range(len(patterns)):
        if patterns[b] >= 0:
            points.pattern[b] = patterns[b]
            set_caps(points, b, rule)


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
