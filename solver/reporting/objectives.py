"""Objectives in words: figures with their units."""

from __future__ import annotations

from collections.abc import Callable

from solver.problem import OBJECTIVES
from solver.reporting import units

_WORDS: dict[str, Callable[[float], str]] = {
    "s": units.seconds,
    "J": units.energy,
    "g": units.grams,
    "bytes": units.size,
}


def in_words(objective: str, value: float) -> str:
    """Return the figure of an objective with its unit.

    Parameters
    ----------
    objective
        A key of :data:`solver.problem.OBJECTIVES` that has a unit.
    value
        The figure.
    """
    return _WORDS[OBJECTIVES[objective][1]](value)
