"""Figures of the benchmark, one file each: its name is the figure's, its `measure()` returns a Figure.

A figure is compared with a baseline measured in the same run, so that it says something on any machine.
A file whose name begins with an underscore is no figure.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """What was measured.

    `value` and `baseline` are in `unit`; `baseline_is` says what the baseline is; `lower_is_better` tells
    seconds from rates; `goal` is what the project promises, if it does; `details` are further numbers.
    """

    value: float
    unit: str
    baseline: float
    baseline_is: str
    lower_is_better: bool = False
    goal: float | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Value over baseline."""
        return self.value / self.baseline

    @property
    def is_met(self) -> bool:
        if self.goal is None:
            return True
        return self.value <= self.goal if self.lower_is_better else self.value >= self.goal


def median_s(work: Callable[[], object], repeats: int = 7) -> float:
    """Median seconds of some work, after one run that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
