"""Bounds of the step time of hybrid pipelines: how long a step of any of them takes at least.

An *attempt* asks whether a step can take less than a cut-off. Branch and bound over groups, their order and
cuts leaves the pipelines whose bound is below; all ways to share samples out on them are then scored, so what
is left below the cut-off is a better plan. If nothing is, the cut-off is a bound. The first cut-off is the
best plan known: then the bound is its score. If that attempt runs out of its allowance, lower ones follow.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from solver.batch import PackedPlans
from solver.problem import Problem
from solver.program import Longs
from solver.search.hybrid.allowance import Allowance
from solver.search.hybrid.bound_heads import find_heads, pair_numbers
from solver.search.hybrid.bound_shares import least_over_shares
from solver.search.hybrid.bound_stages import stage_tables
from solver.search.hybrid.bound_tables import HybridTables
from solver.search.hybrid.bound_tree import DONE, LEAVES_FULL, Branches, grow
from solver.search.hybrid.bound_walk import orders
from solver.search.hybrid.exhaustive import (
    allowed,
    barred_before,
    make_scorer,
    num_free_caps,
    offer_promising,
)
from solver.search.hybrid.plans import bounded_shares, falling_caps
from solver.search.incumbent import Search
from solver.working_clock import working_s

MARGIN = 1e-10
"""Relative distance below the best plan at which another counts as better; rounding is far smaller."""
NODES = 50_000
"""Nodes between two looks at the clock: one unit of work."""
PLANS = 40_000
"""Plans scored at once: one unit of work."""
STEPS, STEP_S = 1e8, 4e-9
"""Steps of making tables that are one unit of work, and seconds of each, roughly."""
MOST_STATES = 20_000_000
"""Ways to stages that tables may list."""
MOST_SHARES = 2_000_000
"""Ways to share samples out on one pipeline that are looked at; with more it keeps its bound."""
MOST_KEPT, MOST_CAPS, MOST_EXACT = 2_000, 1_000, 200_000
"""Where caps are free: ways to share out, caps, and both together that are scored for one pipeline."""


def num_levels(num_devices: int, size: int, max_depth: int) -> int:
    """Return how many depths the tables of ways tell apart; 0 if even one is too many.

    Parameters
    ----------
    num_devices, size, max_depth
        Usable devices, boundaries, and most stages.
    """
    return int(min(max_depth, MOST_STATES // (3**num_devices * size)))


class HybridBound:
    """Attempts at one number of micro-batches.

    Parameters
    ----------
    problem, search
        What is decided under the objective time, and what judges it.
    num_micro_batches
        Micro-batches of a step.
    """

    def __init__(self, problem: Problem, search: Search, num_micro_batches: int) -> None:
        self.problem, self.search, self.count = problem, search, num_micro_batches
        self.tables = HybridTables(problem, num_micro_batches)
        self.scorer = make_scorer(problem, num_micro_batches)
        self.caps_known = num_free_caps(problem, num_micro_batches) == 0
        self.failed_s = math.inf
        self.nodes = self.leaves = self.scored = 0

    @cached_property
    def _link(self) -> tuple[Any, ...]:
        rates, latencies, _ = self.tables.links
        size_bytes = self.tables.sample_bytes * self.tables.samples
        return rates, latencies, size_bytes, self.tables.way_back

    @cached_property
    def _most_caps(self) -> Longs:
        """Return the caps memory allows, where they are free; where a rule sets them, walks know better."""
        if not self.caps_known:
            return self.tables.most_caps
        size = self.tables.num_blocks + 1
        return np.full((1 << len(self.tables.numbers), size, size), self.count)

    @cached_property
    def _orders(self) -> tuple[Any, ...]:
        return orders(self.tables)

    def attempt(self, limit_s: float, allowance: Allowance, *, looks: bool = True) -> float | None:
        """Return seconds no plan takes less than, at most a cut-off; ``None`` if the allowance is spent.

        Parameters
        ----------
        limit_s
            Cut-off; may be infinite.
        allowance
            When to give up; then ``failed_s`` is the cut-off.
        looks
            Whether shares are looked at; without, it is quick, and the bound only that of all pipelines.

        Raises
        ------
        Interrupted
            When it is time to stop.
        """
        found = self._attempt(limit_s, allowance, looks)
        if found is None:
            self.failed_s = min(self.failed_s, limit_s)
        elif looks and found < min(limit_s, self.search.best_score) * (1 - 2 * MARGIN):
            self.failed_s = min(self.failed_s, found)
        return found

    def _attempt(self, limit_s: float, allowance: Allowance, looks: bool) -> float | None:
        tables = self.tables
        if not self._can_afford(allowance):
            return None
        stages, pairs, ends, ways = self._heads(limit_s)
        branches = Branches(
            tables.max_depth, len(tables.numbers), tables.num_blocks, self.count, tables.num_media
        )
        certified = limit_s
        reason = LEAVES_FULL
        while reason != DONE:
            self.search.tick()
            if allowance.is_spent:
                return None
            reason, nodes, num_leaves = grow(
                min(certified, self.search.best_score * (1 - MARGIN)),
                NODES,
                self.count,
                (self.problem.settings.overlap, self.caps_known),
                stages,
                tables.finish_s,
                self._link,
                tables.links[2],
                self._most_caps,
                tables.has_backward,
                pairs,
                ends,
                ways,
                self._orders,
                branches.state,
                branches.level,
                branches.values,
                branches.crossings,
                branches.room,
                branches.leaves,
                branches.leaf_s,
            )
            self.nodes += nodes
            for x in np.argsort(branches.leaf_s[:num_leaves], kind="stable").tolist():
                if allowance.is_spent:
                    return None
                limit_s = min(limit_s, self.search.best_score * (1 - MARGIN))
                if branches.leaf_s[x] < min(limit_s, certified) and not self._breaks_limits(branches, x):
                    value = float(branches.leaf_s[x])
                    if looks:
                        value = max(value, self._look(branches.leaves[x], limit_s))
                    certified = min(certified, value)
        return min(certified, limit_s, self.search.best_score * (1 - MARGIN))

    def _breaks_limits(self, branches: Branches, x: int) -> bool:
        """Return whether a pipeline breaks a limit however samples are shared out on it."""
        leaf, tables = branches.leaves[x], self.tables
        num = int(leaf[0])
        starts, groups = leaf[1 : 1 + 2 * num : 2], leaf[2 : 2 + 2 * num : 2]
        sent, step_s = tables.sample_bytes, float(branches.leaf_s[x])
        return tables.limits.breaks(starts, groups, step_s, sent, tables.way_back)

    def _can_afford(self, allowance: Allowance) -> bool:
        """Count the work of the tables; return whether there is time for them."""
        tables, num = self.tables, len(self.tables.numbers)
        size = tables.num_blocks + 1
        levels, samples = num_levels(num, size, tables.max_depth), min(tables.samples, 24)
        steps = 1.5 * (1 << num) * size**2 * samples**2 + levels * size * (3.0**num * size + 4.0**num)
        self.search.tick(1 + int(steps / STEPS))
        return working_s() + steps * STEP_S < allowance.until_s

    def _heads(self, limit_s: float) -> tuple[Any, ...]:
        """Return the least stages and the least ways to them under a cut-off."""
        tables, num = self.tables, len(self.tables.numbers)
        stages, pairs = tuple(stage_tables(tables, limit_s)), pair_numbers(num)
        size = tables.num_blocks + 1
        ends, ways = np.empty((2, num_levels(num, size, tables.max_depth), 3**num, size))
        find_heads(
            limit_s,
            self.count,
            stages,
            tables.finish_s,
            self._link,
            num,
            tables.num_blocks,
            pairs,
            ends,
            ways,
        )
        return stages, pairs, ends, ways

    def _look(self, leaf: Longs, limit_s: float) -> float:
        """Look at all ways to share samples out on a pipeline; return seconds that those not offered take.

        Where caps are free their steps are bounded, else scored; with too many ways nothing is known.
        """
        self.leaves += 1
        num = int(leaf[0])
        starts, groups = leaf[1 : 1 + 2 * num : 2], leaf[2 : 2 + 2 * num : 2]
        bounds = np.append(starts, self.tables.num_blocks)
        shares: list[Longs] = []
        for s in range(num):
            part = self._shares(int(groups[s]), num - s, int(starts[s]), int(bounds[s + 1]), limit_s)
            if part is None:
                return 0.0
            shares.append(part)
        total = math.prod(len(part) for part in shares)
        if total > MOST_SHARES:
            return 0.0
        if self.caps_known:
            for first in range(0, total, PLANS):
                sizes = [len(part) for part in shares]
                picked = np.unravel_index(np.arange(first, min(first + PLANS, total)), sizes)
                self._score(shares, np.column_stack(picked), bounds[1:], None)
            return math.inf
        return self._look_free(shares, groups, bounds, total, limit_s)

    def _look_free(
        self, shares: list[Longs], groups: Longs, bounds: Longs, total: int, limit_s: float
    ) -> float:
        """Bound all ways to share out under any caps; score those below the cut-off if they are few."""
        self.search.tick(1 + total // PLANS)
        num = len(shares)
        singles = 1 << np.arange(len(self.tables.numbers))
        rates, latencies, _ = self.tables.links
        kept = np.zeros((MOST_KEPT, num), np.int64)
        row_start = np.cumsum([0, *(len(part) for part in shares)])
        value, num_kept = least_over_shares(
            limit_s,
            self.count,
            np.concatenate(shares),
            row_start,
            bounds,
            self.tables.times_s,
            self.tables.finish_s[groups, bounds[:-1], bounds[1:]],
            self.tables.sample_bytes,
            self.tables.way_back,
            rates[np.ix_(singles, singles)],
            latencies[np.ix_(singles, singles)],
            kept,
        )
        most = self._most_caps[groups, bounds[:-1], bounds[1:]]
        caps = falling_caps(tuple(np.minimum.accumulate(most).tolist()), MOST_CAPS)
        if caps is None or num_kept > MOST_KEPT or num_kept * len(caps) > MOST_EXACT:
            return float(value)
        picked = kept[:num_kept] - row_start[:-1]
        part = max(1, PLANS // len(caps))
        for first in range(0, num_kept, part):
            self._score(shares, picked[first : first + part], bounds[1:], caps)
        return math.inf

    def _score(self, shares: list[Longs], picked: Longs, ends: Longs, caps: Longs | None) -> None:
        """Score choices of shares, each with all caps, and offer what is better than the best."""
        self.search.tick()
        num, width = len(shares), len(self.problem.cluster.devices)
        rows = np.zeros((len(picked), num, width), np.int64)
        for s in range(num):
            rows[:, s, self.tables.numbers] = shares[s][picked[:, s]]
        if caps is not None:
            rows, caps = np.repeat(rows, len(caps), axis=0), np.tile(caps, (len(picked), 1))
        plans = PackedPlans(np.full(len(rows), num), np.tile(ends, (len(rows), 1)), rows, caps)
        self.scored += len(rows)
        fine = allowed(barred_before(self.problem), plans)
        offer_promising(self.problem, self.search, self.scorer, plans, fine)

    def _shares(self, group: int, depth: int, start: int, end: int, limit_s: float) -> Longs | None:
        """Return (C, D) shares of a stage that no device is too slow or too small for; ``None``: too many."""
        num = len(self.tables.numbers)
        members = [d for d in range(num) if group >> d & 1]
        times = self.tables.times_s[..., end] - self.tables.times_s[..., start]
        counts = np.arange(self.tables.samples + 1)
        busy = self.count * times[:, members].sum(axis=0) < limit_s
        fine = busy & (counts <= self.tables.most_samples[depth - 1, members, start, end][:, None])
        most = tuple(int(counts[row].max(initial=0)) for row in fine)
        rows = bounded_shares(most, self.tables.samples, MOST_SHARES)
        if rows is None:
            return None
        rows = rows[fine[np.arange(len(members)), rows].all(axis=1)]
        found = np.zeros((len(rows), num), np.int64)
        found[:, members] = rows
        return found
