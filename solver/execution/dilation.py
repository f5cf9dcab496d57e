"""Dilation: how much slower than the emulated devices a padded run has to go on this host."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from solver.program import Kind, Program

LOAD = 0.5
"""Largest part of its padded time that a computation or a transfer may really take."""

FLOOR_S = 0.02
"""Real time that the operations which matter should take at least, so that timer noise stays small."""

LONGEST_STEP_S = 2.0
"""A step is not stretched beyond this for the sake of noise alone."""

LONGEST_TRIAL_S, GROWTH = 20.0, 4.0
"""A padded rehearsal slows a step down to this at most, and by this factor at once: what it sees of a busy
host is partly chance."""

MATTERS = 0.01
"""An operation matters if it lasts at least this part of the step."""


def needed(program: Program, taken_s: Iterable[Mapping[int, float]]) -> float:
    """Return the dilation at which everything takes at most half of its padded time.

    Parameters
    ----------
    program
        The step.
    taken_s
        For every rehearsed step: index of a computation or transfer to the seconds it really took.

    Notes
    -----
    Per row the median over steps (the lower one) of the slowest occurrence: what happens once would follow a
    single preemption. Rows that last no time cannot be padded and are left out.
    """
    slowest: dict[int, list[float]] = {}
    for step in taken_s:
        worst: dict[int, float] = {}
        for index, seconds in step.items():
            row = int(program.row[index])
            worst[row] = max(worst.get(row, 0.0), seconds)
        for row, seconds in worst.items():
            slowest.setdefault(row, []).append(seconds)
    ratios = [0.0]
    for row, seen in slowest.items():
        target = program.rows[row].duration_s
        if target > 0:
            ratios.append(sorted(seen)[(len(seen) - 1) // 2] / target)
    return max(ratios) / LOAD


def choose(program: Program, step_s: float, work: float) -> float:
    """Return the dilation of a run.

    Parameters
    ----------
    program
        The step.
    step_s
        Its predicted time, seconds.
    work
        The largest of what the workers need (:func:`needed`).

    Returns
    -------
    float
        At least ``work``; more where operations that matter would be shorter than the timer's noise allows
        and the step stays short; rounded up to two digits.
    """
    kinds = (Kind.FORWARD, Kind.BACKWARD, Kind.SEND)
    lasting = [
        row.duration_s for row in program.rows if row.kind in kinds and row.duration_s >= MATTERS * step_s
    ]
    quiet = FLOOR_S / min(lasting, default=math.inf)
    affordable = LONGEST_STEP_S / step_s if step_s > 0 else 1.0
    return rounded_up(max(work, min(quiet, affordable), 1e-3))


def slower(now: float, wanted: float, step_s: float) -> float:
    """Return the dilation after a padded rehearsal.

    Parameters
    ----------
    now
        That of the rehearsal.
    wanted
        What it asks for (:func:`needed`), more than ``now``.
    step_s
        Predicted time of the step, seconds.
    """
    most = LONGEST_TRIAL_S / step_s if step_s > 0 else math.inf
    return max(now, rounded_up(min(wanted, GROWTH * now, most)))


def rounded_up(value: float) -> float:
    """Return the next number of two significant digits."""
    scale = 10.0 ** (math.floor(math.log10(value)) - 1)
    return round(math.ceil(value / scale - 1e-9) * scale, 12)
