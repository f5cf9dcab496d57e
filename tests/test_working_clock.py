"""Working clock: stands still while numba compiles."""

from __future__ import annotations

import time

from numba import njit
from numba.core import event

from solver.stop import TimeLimit
from solver.working_clock import when_compiling, working_s


def test_compiling_does_not_count() -> None:
    began, wall = working_s(), time.monotonic()

    @njit
    def triangle(n):
        total = 0
        for i in range(n):
            total += i
        return total

    assert triangle(4) == 6
    compiled_s = (time.monotonic() - wall) - (working_s() - began)
    assert compiled_s > 0.5 * (time.monotonic() - wall) > 0


def test_what_compiles_inside_of_compiling_counts_once() -> None:
    told: list[bool] = []
    when_compiling(told.append)
    limit, began = TimeLimit(100.0), working_s()
    with event.trigger_event("numba:compile"):
        inside = working_s()
        with event.trigger_event("numba:compile"):
            time.sleep(0.05)
        time.sleep(0.02)
        assert working_s() == inside
    assert told == [True, False]
    assert 0 <= working_s() - began < 0.05
    assert limit.remaining_s > 100 - 0.05
