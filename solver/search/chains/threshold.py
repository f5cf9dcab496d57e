"""Threshold: the least value of a minimax, by asking whether there is anything below a threshold."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

PRECISION = 1e-11
"""Relative distance at which what lies below the best answer has been ruled out."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Least(Generic[Answer]):
    """What was found.

    Parameters
    ----------
    value, answer
        The least value, and what has it.
    bound
        Nothing has a value below it.
    """

    value: float
    answer: Answer
    bound: float


def least(
    attempt: Callable[[float], tuple[float, Answer] | None],
    low: float,
    known: tuple[float, Answer],
    *,
    ceiling: float = math.inf,
    coarse: float = 1e-4,
) -> Least[Answer]:
    """Find the least value.

    Parameters
    ----------
    attempt
        Given a threshold, returns something with a value not above it, and that value; ``None`` if nothing
        has such a value.
    low
        Nothing has a value below it.
    known
        Something that exists, and its value.
    ceiling
        Values from here on are of no interest: if nothing is below, that is the bound.
    coarse
        Relative distance of bounds from which on it is asked for anything better at all.

    Notes
    -----
    Thresholds grow from ``low`` until something is found, since too small ones are refuted quickly, and
    then halve what is left; the last one lies ``PRECISION`` below the best value.
    """
    value, answer = known
    if ceiling < value:
        found = attempt(ceiling * (1 - PRECISION))
        if found is None:
            return Least(value, answer, max(low, ceiling * (1 - PRECISION)))
        value, answer = found
    step, found_one = 0.02, False
    while low < value * (1 - PRECISION):
        last = value * (1 - PRECISION)
        if value - low < coarse * value:
            threshold = last
        elif low <= 0:
            threshold = value / 1000
        elif found_one:
            threshold = (low + value) / 2
        else:
            threshold, step = min(low * (1 + step), last), 2 * step
        found = attempt(threshold)
        if found is None:
            low = threshold
        else:
            assert found[0] < value, "an attempt keeps its threshold"
            value, answer, found_one = *found, True
    return Least(value, answer, min(low, value))
