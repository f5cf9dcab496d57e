"""Threshold: the least value, with few questions and a bound that holds."""

from __future__ import annotations

import math

import pytest

from solver.search.chains.threshold import PRECISION, Least, least

VALUES = [2.0, 3.0, 3.0000001, 7.5, 100.0]


def attempt(limit: float) -> tuple[float, str] | None:
    below = [value for value in VALUES if value <= limit]
    return (below[-1], str(below[-1])) if below else None


@pytest.mark.parametrize("low", [0.0, 1.0, 1.9999, 2.0])
def test_the_least_is_found_and_proven(low: float) -> None:
    found = least(attempt, low, (100.0, "100.0"))
    assert (found.value, found.answer) == (2.0, "2.0")
    assert 2.0 * (1 - 2 * PRECISION) <= found.bound <= 2.0


def test_what_is_known_may_be_the_least() -> None:
    assert least(lambda limit: None, 1.0, (5.0, "known")).answer == "known"


def test_nothing_below_a_ceiling_is_all_that_is_asked() -> None:
    asked = []

    def counted(limit: float) -> tuple[float, str] | None:
        asked.append(limit)
        return attempt(limit)

    found = least(counted, 0.5, (100.0, "100.0"), ceiling=1.5)
    assert found == Least(100.0, "100.0", 1.5 * (1 - PRECISION))
    assert len(asked) == 1


def test_zero_cannot_be_beaten() -> None:
    assert least(attempt, 0.0, (0.0, "nothing")).value == 0.0


def test_a_ceiling_above_is_no_matter() -> None:
    assert least(attempt, 0.5, (100.0, "100.0"), ceiling=math.inf).value == 2.0
