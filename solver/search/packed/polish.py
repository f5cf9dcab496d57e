"""Packed polish: descend to a hybrid pipeline that no single move improves, nor most pairs of moves.

All single moves of a plan are scored at once: every cut shifted by little, samples given by every device of
a group to every other and to every unused device, every two devices exchanged with their samples, and every
stage merged into the next one; where none is better and caps are free, every cap. The best move is made until
none is better; then the moves of the ``WIDTH`` best neighbours may be looked at too. Claim: a local
optimum of single moves if it ends; at most ``MOST_MOVES`` moves of a plan, drawn at random, are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from solver.plan import Plan
from solver.problem import Problem
from solver.program import Longs
from solver.search.incumbent import Interrupted, Search
from solver.search.packed.points import Points, from_plan, joined
from solver.search.packed.start import Ground

STEPS = (-8, -4, -2, -1, 1, 2, 4, 8)
"""Blocks by which a cut is shifted, and cap changes."""
GIFTS = (1, 2, 4, 8, 16)
"""Samples that are given at once, beside all."""
WIDTH = 24
"""Neighbours whose own neighbours are looked at where no single move is better."""
MOST_MOVES, MOST_MOVES_SLOW = 2000, 50
"""Moves of a plan that are scored in a batch, and one by one."""
BETTER = 1e-9
"""Least difference of two logarithms of scores that counts."""
SHARE = 0.15
"""Part of the time that is left, at most."""


def polish(problem: Problem, search: Search, plans: Iterable[Plan] = ()) -> None:
    """Improve plans that are hybrid pipelines by single moves; stop when none helps.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    plans
        What is improved beside the best plan so far, which comes last.

    Raises
    ------
    Interrupted
        When the whole search is over.
    """
    part = search.part(SHARE)
    ground = Ground(problem, part)
    try:
        for plan in plans:
            _improve(ground, plan, second_ring=False)
        if search.best_plan is not None:
            _improve(ground, search.best_plan, second_ring=True)
    except Interrupted:
        ground.scores.flush()
    search.tick(0)


def _improve(ground: Ground, plan: Plan, *, second_ring: bool) -> None:
    point = from_plan(ground.problem, plan, ground.counts, ground.num_stages)
    if point is not None:
        descend(ground, point, second_ring=second_ring)


def descend(ground: Ground, point: Points, *, second_ring: bool = False) -> tuple[Points, float]:
    """Return a point that no move looked at improves, and its value.

    Parameters
    ----------
    ground
        What scores points.
    point
        One point.
    second_ring
        Whether pairs of moves are looked at too, where the batch scores them.
    """
    value = float(ground.scores.strict(point)[0])
    while True:
        better = None
        for near in _rings(ground, point, second_ring and ground.scores.is_batch):
            values = ground.scores.strict(near)
            if len(values) and values.min() < value - BETTER:
                best = int(values.argmin())
                better = near.take([best]), float(values[best])
                break
        ground.scores.flush()
        if better is None:
            return point, value
        point, value = better


def _rings(ground: Ground, point: Points, second_ring: bool) -> Iterator[Points]:
    """Yield what is looked at in turn: moves, caps, and moves of the best neighbours."""
    near = neighbours(ground, point)
    yield near
    if ground.rule.caps_are_free:
        caps = neighbours(ground, point, of_caps=True)
        yield caps
        near = joined([near, caps])
    if second_ring:
        _, first = np.unique(ground.scores.strict(near), return_index=True)
        for i in first[:WIDTH].tolist():
            yield neighbours(ground, near.take([i]))


def neighbours(ground: Ground, point: Points, *, of_caps: bool = False) -> Points:
    """Return the points one move away.

    Parameters
    ----------
    ground
        What may be moved.
    point
        One point.
    of_caps
        Whether only caps differ, or all else may.
    """
    changes = list(_caps(ground, point) if of_caps else _changes(ground, point))
    most = ground.population(MOST_MOVES, MOST_MOVES_SLOW)
    if len(changes) > most:
        kept = ground.search.rng.choice(len(changes), most, replace=False)
        changes = [changes[k] for k in np.sort(kept).tolist()]
    near = point.take(np.zeros(len(changes), int))
    for b, (word, places, entries) in enumerate(changes):
        if word == "merge":
            _merge(near, b, *places)
            continue
        if word == "caps":
            near.caps[b, : len(entries)] = entries
        elif word == "ends":
            near.ends[b, places] = entries
        else:
            near.stage_of[b, places], near.samples[b, places] = zip(*entries, strict=True)
    return near


Change = tuple[str, list[int], list[Any]]
"""What is changed, where, and what stands there then."""


def _changes(ground: Ground, point: Points) -> Iterator[Change]:
    num = int(point.num_stages[0])
    ends = point.ends[0, :num].tolist()
    yield from _shifts(num, ends)
    yield from _gifts(ground, point)
    yield from _exchanges(ground, point)
    for s in range(num - 1):
        yield "merge", [s, 0], []
        yield "merge", [s, 1], []


def _shifts(num: int, ends: list[int]) -> Iterator[Change]:
    starts = [0, *ends]
    for s in range(num - 1):
        for step in STEPS:
            if starts[s] < ends[s] + step < ends[s + 1]:
                yield "ends", [s], [ends[s] + step]
    for s in range(num - 2):  # a stage that moves along as it is
        for step in (-1, 1):
            if starts[s] < ends[s] + step and ends[s + 1] + step < ends[s + 2]:
                yield "ends", [s, s + 1], [ends[s] + step, ends[s + 1] + step]


def _gifts(ground: Ground, point: Points) -> Iterator[Change]:
    """Yield gifts of samples to devices of the same stage, or of none."""
    stage_of, samples = point.stage_of[0].tolist(), point.samples[0].tolist()
    sizes = np.bincount(point.stage_of[0][point.stage_of[0] >= 0])
    movable = ground.rule.movable.tolist()
    for d in movable:
        s = stage_of[d]
        if s < 0:
            continue
        for e in movable:
            if e == d or stage_of[e] not in (s, -1):
                continue
            if stage_of[e] < 0 and sizes[s] >= ground.rule.max_group:
                continue
            for gift in (*(n for n in GIFTS if n < samples[d]), samples[d]):
                left = (s, samples[d] - gift) if gift < samples[d] else (-1, 0)
                yield "devices", [d, e], [left, (s, samples[e] + gift)]


def _exchanges(ground: Ground, point: Points) -> Iterator[Change]:
    """Yield exchanges of two devices that are in different stages."""
    stage_of, samples = point.stage_of[0].tolist(), point.samples[0].tolist()
    movable = ground.rule.movable.tolist()
    for i, d in enumerate(movable):
        for e in movable[:i]:
            if stage_of[d] >= 0 and stage_of[e] >= 0 and stage_of[d] != stage_of[e]:
                yield "devices", [d, e], [(stage_of[e], samples[e]), (stage_of[d], samples[d])]


def _caps(ground: Ground, point: Points) -> Iterator[Change]:
    """Yield caps of single stages, and of all stages from or up to one: caps never grow along a pipeline."""
    num, most = int(point.num_stages[0]), int(ground.rule.num_micro_batches[point.choice[0]])
    rule = np.minimum(2 * (num - np.arange(num)) - 1, most)
    caps: Longs = np.where(point.caps[0, :num] > 0, point.caps[0, :num], rule)
    caps = np.minimum.accumulate(np.minimum(caps, most))
    for s in range(num):
        for step in STEPS:
            cap = int(caps[s]) + step
            if not 1 <= cap <= most:
                continue
            changed = caps.copy()
            changed[s] = cap
            # What is before may not be less, what is after may not be more.
            changed[:s] = np.maximum(changed[:s], cap)
            changed[s:] = np.minimum(changed[s:], cap)
            yield "caps", [], changed.tolist()
            shifted = caps.copy()
            shifted[: s + 1] += step
            yield "caps", [], np.minimum.accumulate(np.clip(shifted, 1, most)).tolist()


def _merge(points: Points, b: int, s: int, kept: int) -> None:
    """Join a stage and the next; the devices of one of them leave."""
    stage_of, num = points.stage_of[b], int(points.num_stages[b])
    gone = stage_of == s + 1 - kept
    points.samples[b, gone] = 0
    stage_of[stage_of > s] -= 1
    stage_of[gone] = -1
    points.ends[b, s : num - 1] = points.ends[b, s + 1 : num]
    points.caps[b, s : num - 1] = points.caps[b, s + 1 : num]
    points.num_stages[b] = num - 1
