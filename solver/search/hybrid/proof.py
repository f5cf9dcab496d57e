"""Proofs of the step time of hybrid pipelines: cut-offs, one after another, for every micro-batch count."""

from __future__ import annotations

import math

from solver.problem import Problem
from solver.search.hybrid.allowance import Allowance
from solver.search.hybrid.bound import HybridBound, num_levels
from solver.search.hybrid.bound_quick import quick_bounds
from solver.search.hybrid.exhaustive import num_free_caps
from solver.search.hybrid.priced_bound import PricedBound, is_priced
from solver.search.incumbent import Interrupted, Search
from solver.search.step_limits import KEPT, step_limits

MOST_DEVICES = 10
"""Tables over pairs of sets of devices: beyond so many they are too large."""
MOST_CELLS = 10_000_000
"""Stages, groups aside, that tables may list: groups times pairs of boundaries."""
UNITS = 400
"""Units of work of an attempt where the search has no limit."""
FIRST_PART, PART = 0.5, 0.34
"""Part of what is left that the first attempt of a count may take, and every later one."""
PRECISION = 2e-3
"""Relative distance of the best plan and the bound at which no further cut-off is tried."""
WIDEST = 4.0
"""Largest ratio of two cut-offs, one after another, where nothing is known above."""


class Proof:
    """What is proven of each number of micro-batches.

    Parameters
    ----------
    problem, search
        What is decided under the objective time, and what judges it.
    """

    def __init__(self, problem: Problem, search: Search) -> None:
        self.problem, self.search = problem, search
        counts = problem.micro_batch_counts
        self._longest_s = step_limits(problem).step_s * KEPT
        self.bounds = {count: quick_bounds(problem, count)["time"] for count in counts}
        self._attempts: dict[int, HybridBound] = {}
        self.is_small = _is_small(problem)

    @property
    def bound(self) -> float:
        """No plan scores less; never above the best plan."""
        return min(self.search.best_score, *self.bounds.values())

    @property
    def is_closed(self) -> bool:
        """Whether no count can have a better plan that keeps the deadline."""
        enough = self.search.best_score * (1 - 1e-9), self._longest_s * (1 - 5e-10)
        return min(self.bounds.values()) >= min(enough)

    def run(self) -> str:
        """Prove what can be proven; return why it stopped."""
        try:
            if not self.is_small:
                return self._price()
            self._first_round()
            while not self.is_closed and self._one_more():
                pass
        except Interrupted as stop:
            return str(stop)
        return "all pipelines were covered" if self.is_closed else "no cut-off is left to try"

    def _price(self) -> str:
        """Raise the bounds by prices on devices, the least first; return what they are."""
        counts = sorted(self.bounds, key=lambda count: (self.bounds[count], count))
        for place, count in enumerate(counts):
            if self.bounds[count] >= self._most_s or not is_priced(self.problem, count):
                continue
            attempt = PricedBound(self.problem, count)
            allowance = Allowance(self.search, 1 / (len(counts) - place), UNITS)
            try:
                attempt.raise_bound(self.bounds[count], self._most_s, allowance)
            finally:
                self.bounds[count] = max(self.bounds[count], attempt.bound_s)
        return "too many devices or blocks for tables of groups: the bound is by prices on devices"

    def _first_round(self) -> None:
        """Ask every count for a plan better than the best, with those first that may have one.

        Where caps are free a quick bound comes first: plans are not scored, so the attempts rarely close.
        """
        counts = sorted(self.bounds, key=lambda count: (self.bounds[count], count))
        for place, count in enumerate(counts):
            part = FIRST_PART if place == len(counts) - 1 else 1 / (len(counts) - place + 1)
            if self.bounds[count] < self._most_s and num_free_caps(self.problem, count):
                self._ask(count, self._most_s * (1 - 1e-10), part, looks=False)
            if self.bounds[count] < self._most_s:
                self._ask(count, self._most_s * (1 - 1e-10), part)

    @property
    def _most_s(self) -> float:
        """Seconds from which on a plan is of no use."""
        return min(self.search.best_score, self._longest_s)

    def _one_more(self) -> bool:
        """Ask the count with the least bound for a cut-off between it and what failed."""
        count = min(self.bounds, key=lambda count: (self.bounds[count], count))
        low = self.bounds[count]
        high = min(self._failed.get(count, math.inf), self._most_s)
        if math.isinf(high) and low <= 0:
            return False
        if high <= low * (1 + PRECISION):
            return False
        cut = low * WIDEST if math.isinf(high) else math.sqrt(max(low, high / 64) * high)
        self._ask(count, cut, PART)
        return True

    @property
    def _failed(self) -> dict[int, float]:
        return {count: attempt.failed_s for count, attempt in self._attempts.items()}

    def _ask(self, count: int, limit_s: float, part: float, *, looks: bool = True) -> None:
        if count not in self._attempts:
            self._attempts[count] = HybridBound(self.problem, self.search, count)
        attempt = self._attempts[count]
        found = attempt.attempt(limit_s, Allowance(self.search, part, UNITS), looks=looks)
        if found is not None:
            self.bounds[count] = max(self.bounds[count], found)


def _is_small(problem: Problem) -> bool:
    num, size = len(problem.usable), len(problem.workload.order) + 1
    if num > MOST_DEVICES or (1 << num) * size**2 > MOST_CELLS:
        return False
    return num_levels(num, size, min(num, size - 1)) > 0
