"""Packed cross: children of two hybrid pipelines: the first stages of one, the last stages of the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from solver.program import Floats
from solver.schedule import compiled
from solver.search.packed.fill import Rule, pick, set_caps, share_out
from solver.search.packed.points import Points


def cross(first: Points, second: Points, rule: Rule, rng: np.random.Generator) -> Points:
    """Return one child of every pair.

    Parameters
    ----------
    first, second
        Parents, as many of each.
    rule
        What shares follow.
    rng
        Draws where parents are cut.
    """
    children = first.copy()
    cross_all(children, second, rng.random(len(first.choice)), rule)
    return children


@compiled
def cross_all(children: Points, second: Points, draws: Floats, rule: Rule) -> Any:
    """Make children of copies of their first parents.

    Parameters
    ----------
    children
        Changed in place: stages up to the one drawn stay, and what follows comes from the second parent.
        Its devices that the first stages use already are left out there; a stage without devices goes to
        the stage before it.
    second
        The second parents.
    draws
        (B,), from 0 to 1: after which stage.
    rule
        What shares follow.
    """
    for b in range(len(draws)):
        num = children.num_stages[b]
        if num == 1:
            continue
        last = pick(draws[b], num - 1)
        for d in range(children.stage_of.shape[1]):
            if children.stage_of[b, d] > last:
                children.stage_of[b, d], children.samples[b, d] = -1, 0
        _append(children, second, b, last)
        for s in range(last + 1, children.num_stages[b]):
            share_out(children, b, s, rule, 0)
        set_caps(children, b, rule)


@compiled
def _append(children: Points, second: Points, b: int, last: int) -> Any:
    """Append the second parent's stages beyond the end of a child's last one."""
    start, at = children.ends[b, last], last
    for t in range(second.num_stages[b]):
        if second.ends[b, t] <= start:
            continue
        found = False
        for d in range(second.stage_of.shape[1]):
            if second.stage_of[b, d] == t and children.stage_of[b, d] < 0 and at + 1 < children.ends.shape[1]:
                children.stage_of[b, d] = at + 1
                found = True
        at += found
        children.ends[b, at] = second.ends[b, t]
    children.num_stages[b] = at + 1
