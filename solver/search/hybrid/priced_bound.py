"""Priced bound: how long a step of any hybrid pipeline takes at least, for any number of devices.

A cut-off on the step time is refuted if, at some prices on devices that add up to 1, the cheapest path of
stages that keeps it costs more than 1, whatever devices it uses twice (Lagrangean relaxation of "no device
stands in two stages"). Prices begin at what devices are worth by their speed, and rise on those that the
cheapest path uses more often than there are. Every refuted cut-off is a bound.
"""

from __future__ import annotations

import math

import numpy as np

from solver.problem import Problem
from solver.program import Floats
from solver.search.hybrid.allowance import Allowance
from solver.search.hybrid.bound_tables import HybridTables
from solver.search.hybrid.priced_paths import find_paths
from solver.search.hybrid.priced_stages import PricedTables, cheapest_use, fill_prices
from solver.search.incumbent import Search

FINE = 4
"""Distances of mean seconds to one of tails."""
MOST_CELLS = 40_000_000
"""Prices a table may list."""
MOST_ROOM = 160_000_000
"""Prices of a single depth, above which nothing is tried: 0.64 GB."""
MOST_TAILS, LEAST_TAILS = 256, 32
"""Tails that are told apart."""
MOST_STEPS, STEPS = 8e8, 1e8
"""Steps of one search of paths, roughly, and those that are one unit of work."""
OVER = 1 + 1e-3
"""Price above which a path is refuted: with room for rounding."""
PRECISION = 1.005
"""Ratio of two cut-offs, one refuted and one not, at which it stops."""
HOPELESS = 0.85
"""Price of the cheapest path below which others are not tried."""
FIRST_CHANGE = 0.15
"""How much prices rise and fall at first; half of it after each that does not help."""
STEP = 1 / 3
"""Part of the way up, by ratio, of the next cut-off."""
FAR = 1000.0
"""Times the first bound at which it stops where no plan is known: perhaps none fits into memory."""
TURNS = 5
"""Prices tried at one cut-off, at most."""


def is_priced(problem: Problem, num_micro_batches: int) -> bool:
    """Return whether tables of a problem have room.

    Parameters
    ----------
    problem, num_micro_batches
        What is decided.
    """
    size, num = len(problem.workload.order) + 1, len(problem.usable)
    samples = problem.job.batch // num_micro_batches
    return num * size * samples <= MOST_CELLS and num * size**2 <= MOST_CELLS


class PricedBound:
    """Cut-offs at one number of micro-batches.

    Parameters
    ----------
    problem, num_micro_batches
        What is decided under the objective time.
    """

    def __init__(self, problem: Problem, num_micro_batches: int) -> None:
        self.count = num_micro_batches
        self.tables = HybridTables(problem, num_micro_batches)
        self.priced = PricedTables(self.tables)
        self.prices: Floats = self.priced.speeds
        self.bound_s = 0.0
        self._shape()

    def _shape(self) -> None:
        """Choose how many tails, seconds and depths are told apart."""
        size, classes = self.tables.num_blocks + 1, len(self.priced.sizes)
        self.most, self.tails = self.priced.most_part, MOST_TAILS

        def steps() -> float:
            along = self.tails * max(1.0, self.tails / self.count)
            return len(self.most) * size**2 / 2 * classes * along

        while self.tails > LEAST_TAILS and steps() > MOST_STEPS:
            self.tails //= 2
        self.fine = max(1, min(FINE, MOST_TAILS * self.count // self.tails))
        self.num_seconds = self.fine * self.tails // self.count + 3
        while len(self.most) > 1 and len(self.most) * size**2 * classes * self.num_seconds > MOST_CELLS:
            self.most = self.most[: (len(self.most) + 1) // 2]
        self.has_room = len(self.most) * size**2 * classes * self.num_seconds <= MOST_ROOM
        self.units = max(1, round(steps() / STEPS))

    def raise_bound(self, low_s: float, high_s: float, allowance: Allowance) -> None:
        """Raise ``bound_s`` by refuting cut-offs between two, from below: those are refuted at once.

        Parameters
        ----------
        low_s, high_s
            A bound, and the step of a plan; may be infinite.
        allowance
            When to give up.
        """
        if low_s <= 0 or not self.has_room:
            return
        self.bound_s = low_s
        while high_s > self.bound_s * PRECISION and self.bound_s < FAR * low_s:
            ratio = high_s / self.bound_s if math.isfinite(high_s) else 2 ** (1 / STEP)
            cut_s = self.bound_s * ratio**STEP
            answer = self.is_refuted(cut_s, allowance)
            if answer is None:
                return
            if answer:
                self.bound_s = cut_s
            else:
                high_s = cut_s

    def is_refuted(self, limit_s: float, allowance: Allowance) -> bool | None:
        """Return whether it is proven that every plan takes longer; ``None`` if that was given up.

        Parameters
        ----------
        limit_s
            Cut-off, seconds.
        allowance
            When to give up.

        Raises
        ------
        Interrupted
            When it is time to stop.
        """
        paths = _Paths(self, limit_s / self.tails, allowance.search)
        prices, over, least, share = self.prices, np.ones(len(self.prices)), -math.inf, FIRST_CHANGE
        for _ in range(TURNS):
            if allowance.is_spent:
                return None
            allowance.search.tick(self.units)
            value = paths.cheapest(prices)
            if value > OVER:
                self.prices = prices
                return True
            if value > least:
                self.prices, least = prices, value
                over = paths.use(prices) / self.priced.counts
            else:
                share /= 2
            if least < HOPELESS:
                return False
            prices = self.prices * np.exp(share * (over - 1).clip(-1, 1))
            prices = prices / (prices * self.priced.counts).sum()
        return False


class _Paths:
    """The paths of one cut-off, and room for their search.

    Parameters
    ----------
    bound
        What is cut off.
    step_s
        Distance of two tails.
    search
        Asked, between depths, whether time is up.
    """

    def __init__(self, bound: PricedBound, step_s: float, search: Search) -> None:
        self.bound, self.step_s, self.search = bound, step_s, search
        depths, size = len(bound.most), bound.tables.num_blocks + 1
        shape = depths, size, size, len(bound.priced.sizes), bound.num_seconds
        self.price = np.full(shape, np.inf, np.float32)
        self.best = np.full((depths, size, bound.tails + 1), np.inf, np.float32)
        self.choice = np.zeros(self.best.shape, np.int64)

    def cheapest(self, prices: Floats) -> float:
        """Return the price of the cheapest path."""
        bound, priced = self.bound, self.bound.priced
        unit_s = self.step_s / bound.fine
        for k in range(len(bound.most)):
            self.search.tick(0)
            most, price = bound.most[k : k + 1], self.price[k : k + 1]
            fill_prices(unit_s, prices, priced.counts, priced.before, most, priced.sizes, price)
        found = find_paths(
            self.step_s,
            bound.fine,
            bound.count,
            priced.sizes,
            priced.crossing_s,
            priced.finish_s,
            self.price,
            self.best,
            self.choice,
        )
        return float(found)

    def use(self, prices: Floats) -> Floats:
        """Return how many devices of every kind the cheapest path uses."""
        bound, priced = self.bound, self.bound.priced
        found = np.zeros(len(prices))
        last, classes = len(bound.most) - 1, len(priced.sizes)
        k, h, j = int(self.best[:, 0, -1].argmin()), 0, bound.tails
        while h < bound.tables.num_blocks:
            code, c = divmod(int(self.choice[k, h, j]), bound.num_seconds)
            code, g = divmod(code, classes)
            e, x = divmod(code, bound.tails + 1)
            cheapest_use(
                c * self.step_s / bound.fine,
                (h, e),
                int(priced.sizes[g, 1]),
                prices,
                priced.counts,
                priced.before,
                np.ascontiguousarray(bound.most[k, :, h, e]),
                found,
            )
            if e < bound.tables.num_blocks and last > 0:
                k = k if k == last and self.best[k, e, x] <= self.best[k - 1, e, x] else k - 1
            h, j = e, x
        return found
