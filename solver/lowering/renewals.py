"""Renewals: in which steps the copies of a plan are renewed, and how often each kind of step comes."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import lcm

from solver.plan import Plan

MOST_PERIODS = 6
"""Different periods of renewal a plan may have: the kinds of its steps double with each."""


def is_due(every: int, step: int) -> bool:
    """Return whether a copy that is renewed every so many steps is renewed after a step, counted from 0."""
    return (step + 1) % every == 0


def fullest_step(plan: Plan) -> int:
    """Return the number of a step, or of the first of a round, that renews every copy of a plan.

    Parameters
    ----------
    plan
        The plan; in rounds, copies are due after the last step of that round.
    """
    return lcm(plan.sync.every, *(backup.every for backup in plan.backup)) - plan.sync.every


def kinds_of_steps(plan: Plan) -> list[tuple[int, float]]:
    """Return for each kind of step the number of one, and which part of all steps is of that kind.

    Parameters
    ----------
    plan
        The plan.

    Notes
    -----
    Steps differ by the copies that are renewed after them; by inclusion and exclusion over the periods, which
    are at most :data:`MOST_PERIODS`. A plan of rounds has one kind: the round that renews all.
    """
    periods = sorted({backup.every for backup in plan.backup} - {1})
    if not periods or plan.sync.every > 1:
        return [(fullest_step(plan), 1.0)]
    subsets = [set(some) for n in range(len(periods) + 1) for some in combinations(periods, n)]
    found = []
    for due in subsets:
        wider = (other for other in subsets if due <= other)
        part = sum((Fraction((-1) ** len(other - due), lcm(*other)) for other in wider), Fraction(0))
        if part:
            found.append((lcm(*due) - 1, float(part)))
    return found
