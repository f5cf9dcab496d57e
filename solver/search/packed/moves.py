"""Packed moves: random small changes of many hybrid pipelines at once, compiled.

A move shifts a cut, moves a device to another stage, into the plan or out of it, exchanges two devices or
the groups of two stages, splits a stage, merges two, moves samples between members of a group, balances all
cuts, takes another number of micro-batches, or other caps on micro-batches in flight. Every point stays a
sound plan of the family; whether it fits into memory is for whoever scores it. Random numbers are drawn
outside, so a move is a plain function of a point and numbers, and the same seed gives the same points.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from solver.program import Floats
from solver.schedule import compiled
from solver.search.packed.fill import (
    CAP,
    COUNT,
    PATTERNS,
    Rule,
    balance,
    flavour,
    pick,
    set_caps,
    share_out,
)
from solver.search.packed.points import Points

SHIFT, MOVE, SWAP, SPLIT, MERGE, GIVE, EXCHANGE, BALANCE = range(8)
"""Kinds of moves, beside another micro-batch count and other caps."""
TRIES, NUMBERS = 3, 7
"""Moves that are tried on a point until one can be made, and random numbers of each."""
TWEAKED = 3.0
"""How often a new cap is that of one stage: this, over stages times micro-batches. The batch puts every
combination of caps in order once, which takes about so long."""
BALANCED = 0.25
"""How often cuts are balanced anew after a move of devices."""


def change(points: Points, rule: Rule, rng: np.random.Generator) -> None:
    """Change every point a little, in place; one on which no move drawn can be made stays.

    Parameters
    ----------
    points
        What is changed.
    rule
        What moves follow.
    rng
        Draws them.
    """
    change_all(points, rng.random((len(points.num_stages), TRIES, NUMBERS)), rule)


@compiled
def change_all(points: Points, draws: Floats, rule: Rule) -> Any:
    """Make the moves drawn.

    Parameters
    ----------
    points
        Changed in place.
    draws
        (B, tries, 7), from 0 to 1.
    rule
        What moves follow.
    """
    for b in range(len(points.num_stages)):
        for k in range(draws.shape[1]):
            if _change(points, b, draws[b, k], rule):
                break


@compiled
def _change(points: Points, b: int, u: Floats, rule: Rule) -> Any:
    kind = np.searchsorted(rule.drawn, u[0], side="right")
    if kind == SHIFT:
        return _shift(points, b, u)
    if kind == GIVE:
        return _give(points, b, u)
    if kind == BALANCE:
        balance(points, b, rule, flavour(u[6]))
        return points.num_stages[b] > 1
    if kind == COUNT:
        return _recount(points, b, u, rule)
    if kind >= CAP:
        return _cap(points, b, u, rule)
    if kind == MOVE:
        done = _move(points, b, u, rule)
    elif kind == SWAP:
        done = _swap(points, b, u, rule)
    elif kind == EXCHANGE:
        done = _exchange(points, b, u)
    elif kind == SPLIT:
        done = _split(points, b, u, rule)
    else:
        done = _merge(points, b, u, rule)
    if done and u[5] < BALANCED:
        balance(points, b, rule, flavour(u[6]))
    return done


@compiled
def _size(points: Points, b: int, s: int) -> Any:
    return (points.stage_of[b] == s).sum()


@compiled
def _start(points: Points, b: int, s: int) -> Any:
    return points.ends[b, s - 1] if s > 0 else 0


@compiled
def _shift(points: Points, b: int, u: Floats) -> Any:
    """Shift a cut, mostly by little."""
    num = points.num_stages[b]
    if num < 2:
        return False
    s = pick(u[1], num - 1)
    low, high = _start(points, b, s) + 1, points.ends[b, s + 1] - 1
    if u[2] < 0.1:
        place = low + pick(u[3], high - low + 1)
    else:
        step = 1 + int(-math.log2(1 - u[3]))
        place = points.ends[b, s] + (step if u[4] < 0.5 else -step)
    place = min(max(place, low), high)
    if place == points.ends[b, s]:
        return False
    points.ends[b, s] = place
    return True


@compiled
def _move(points: Points, b: int, u: Floats, rule: Rule) -> Any:
    """Move a device to another stage, into the plan, or out of it."""
    d = rule.movable[pick(u[1], len(rule.movable))]
    source, target = points.stage_of[b, d], pick(u[2], points.num_stages[b] + 1) - 1
    if source == target or (source >= 0 and _size(points, b, source) == 1):
        return False
    if target >= 0 and _size(points, b, target) >= rule.max_group:
        return False
    points.stage_of[b, d], points.samples[b, d] = target, 0
    if source >= 0:
        share_out(points, b, source, rule, flavour(u[6]))
    if target >= 0:
        share_out(points, b, target, rule, flavour(u[6]))
    return True


@compiled
def _swap(points: Points, b: int, u: Floats, rule: Rule) -> Any:
    """Exchange two devices, of which one may be unused."""
    d, e = rule.movable[pick(u[1], len(rule.movable))], rule.movable[pick(u[2], len(rule.movable))]
    s, t = points.stage_of[b, d], points.stage_of[b, e]
    if s == t:
        return False
    points.stage_of[b, d], points.stage_of[b, e] = t, s
    points.samples[b, d] = points.samples[b, e] = 0
    if s >= 0:
        share_out(points, b, s, rule, flavour(u[6]))
    if t >= 0:
        share_out(points, b, t, rule, flavour(u[6]))
    return True


@compiled
def _exchange(points: Points, b: int, u: Floats) -> Any:
    """Exchange the groups of two stages."""
    num = points.num_stages[b]
    s, t = pick(u[1], num), pick(u[2], num)
    if s == t:
        return False
    for d in range(points.stage_of.shape[1]):
        if points.stage_of[b, d] == s:
            points.stage_of[b, d] = t
        elif points.stage_of[b, d] == t:
            points.stage_of[b, d] = s
    return True


@compiled
def _split(points: Points, b: int, u: Floats, rule: Rule) -> Any:
    """Cut a stage in two; its devices are shared out, or an unused device takes a part."""
    num = points.num_stages[b]
    s = pick(u[1], num)
    start, end = _start(points, b, s), points.ends[b, s]
    free = 0
    for d in rule.movable:
        free += points.stage_of[b, d] < 0
    size = _size(points, b, s)
    divides = size > 1 and (free == 0 or u[2] < 0.5)
    if num == points.ends.shape[1] or end - start < 2 or (free == 0 and not divides):
        return False
    _insert_stage(points, b, s)
    points.ends[b, s] = start + 1 + pick(u[3], end - start - 1)
    if divides:
        _divide(points, b, s, 1 + pick(u[4], size - 1), u[2])
    else:
        chosen = pick(u[4], free)
        for d in rule.movable:
            if points.stage_of[b, d] < 0:
                if chosen == 0:
                    points.stage_of[b, d] = s + 1
                    break
                chosen -= 1
        if u[2] < 0.75:
            for d in rule.movable:
                if s <= points.stage_of[b, d] <= s + 1:
                    points.stage_of[b, d] = 2 * s + 1 - points.stage_of[b, d]
    share_out(points, b, s, rule, flavour(u[6]))
    share_out(points, b, s + 1, rule, flavour(u[6]))
    set_caps(points, b, rule)
    return True


@compiled
def _insert_stage(points: Points, b: int, s: int) -> Any:
    """Make room for a stage after stage s."""
    for t in range(points.num_stages[b], s, -1):
        points.ends[b, t] = points.ends[b, t - 1]
    for d in range(points.stage_of.shape[1]):
        points.stage_of[b, d] += points.stage_of[b, d] > s
    points.num_stages[b] += 1


@compiled
def _divide(points: Points, b: int, s: int, num_moved: int, u: float) -> Any:
    """Move some of a stage's devices, drawn by a small congruential generator, to the next stage."""
    left = _size(points, b, s)
    state = int(u * 2147483646) + 1
    for d in range(points.stage_of.shape[1]):
        if points.stage_of[b, d] == s:
            state = state * 48271 % 2147483647
            if state % left < num_moved:
                points.stage_of[b, d] = s + 1
                num_moved -= 1
            left -= 1


@compiled
def _merge(points: Points, b: int, u: Floats, rule: Rule) -> Any:
    """Join two neighbouring stages; all their devices stay, or only those of one."""
    num = points.num_stages[b]
    if num < 2:
        return False
    s, kept = pick(u[1], num - 1), pick(u[2], 3)
    if kept == 2 and _size(points, b, s) + _size(points, b, s + 1) > rule.max_group:
        return False
    for d in range(points.stage_of.shape[1]):
        t = points.stage_of[b, d]
        if kept < 2 and t == s + 1 - kept:
            points.stage_of[b, d], points.samples[b, d] = -1, 0
        elif t > s:
            points.stage_of[b, d] = t - 1
    for t in range(s, num - 1):
        points.ends[b, t] = points.ends[b, t + 1]
    points.num_stages[b] = num - 1
    share_out(points, b, s, rule, flavour(u[6]))
    set_caps(points, b, rule)
    return True


@compiled
def _give(points: Points, b: int, u: Floats) -> Any:
    """Give some samples of a micro-batch to another device of the group, mostly one."""
    s = pick(u[1], points.num_stages[b])
    group = np.flatnonzero(points.stage_of[b] == s)
    if len(group) < 2:
        return False
    i = pick(u[2], len(group))
    d, e = group[i], group[(i + 1 + pick(u[3], len(group) - 1)) % len(group)]
    given = min(1 + int(-math.log2(1 - u[4])), points.samples[b, d])
    points.samples[b, d] -= given
    points.samples[b, e] += given
    if points.samples[b, d] == 0:
        points.stage_of[b, d] = -1
    return True


@compiled
def _recount(points: Points, b: int, u: Floats, rule: Rule) -> Any:
    """Take the next larger or smaller number of micro-batches."""
    count = points.choice[b] + (1 if u[1] < 0.5 else -1)
    if count < 0 or count >= len(rule.num_samples):
        return False
    points.choice[b] = count
    for s in range(points.num_stages[b]):
        share_out(points, b, s, rule, flavour(u[6]))
    set_caps(points, b, rule)
    return True


@compiled
def _cap(points: Points, b: int, u: Floats, rule: Rule) -> Any:
    """Take another pattern of caps, or change the cap of one stage by one."""
    num, most = points.num_stages[b], rule.num_micro_batches[points.choice[b]]
    if u[2] < min(0.5, TWEAKED / (num * most)):
        if points.caps[b, 0] == 0:
            for s in range(num):
                points.caps[b, s] = min(2 * (num - s) - 1, most)
        s = pick(u[1], num)
        cap = points.caps[b, s] + (1 if u[3] < 0.5 else -1)
        if cap < 1 or cap > most:
            return False
        points.caps[b, s] = cap
        return True
    points.pattern[b] = (points.pattern[b] + 1 + pick(u[1], PATTERNS - 1)) % PATTERNS
    set_caps(points, b, rule)
    return True
