"""What stages of groups cost at prices on devices, at least, for clusters too large for tables of groups.

Every device has a price; all together cost 1. A stage must pass one micro-batch in some mean seconds c, and
the cheapest group that can is asked for: a knapsack of devices, relaxed to fractions of them. Devices that
are alike are one kind, so that 64 boards of 15 kinds cost no more than 15 boards.

A device that takes the fraction y of a micro-batch adds y (F + R y) to the mean over its samples (see
:mod:`solver.search.hybrid.bound_tables`), F and R y its fixed seconds and those that grow with the samples.
Fractions of a group add up to 1, so for every margin m its mean is at least m less the sum over its devices
of the largest of (m - F) y - R y^2, with y what memory allows at most. With m = 2 c, the margin at which
equal devices meet c, a group within c satisfies: the sum of those values, over c, is 1 or more. A second
knapsack says that what memory allows at most adds up to 1 or more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from solver.program import Floats, Longs
from solver.schedule import compiled
from solver.search.chains.chain import Bools
from solver.search.hybrid.bound_tables import HybridTables
from solver.search.hybrid.exhaustive import barred_before

MOST_KINDS = 12
"""Depths that are told apart: deeper ones need no less memory than the last."""
SIZES = (1, 2, 4, 8)
"""Group sizes up to which bounds on links and reductions are told apart; the last class has no end."""

KEEP, SLACK = 1 - 1e-6, 1e-9
"""Prices are kept in single precision; sums are rounded."""
HALVINGS = 4
"""Of the price on the number of devices of a group."""


@dataclass(frozen=True)
class PricedTables:
    """Kinds of devices, and what stages need on them, for one number of micro-batches.

    Parameters
    ----------
    tables
        What stages of a hybrid pipeline need; of these only what does not list groups.
    """

    tables: HybridTables

    @cached_property
    def _lines(self) -> tuple[Floats, Floats]:
        """(D, L) each: lines below the seconds of a block: fixed, and for a whole micro-batch."""
        samples = self.tables.samples
        times = np.diff(self.tables.times_s.sum(axis=0), axis=-1)[:, 1:]
        counts = np.arange(1, samples + 1)[None, :, None]
        low, high = times[:, 0], times[:, -1]
        slope = (high - low) / max(1, samples - 1)
        line = low[:, None] + slope[:, None] * (counts - 1)
        straight = (times >= line * (1 - 1e-12)).all(axis=1) & (slope >= 0) & (slope <= low)
        fixed = np.where(straight, low - slope, 0.0)
        grows = np.where(straight, slope, (times / counts).min(axis=1))
        return fixed, grows * samples

    @cached_property
    def _kinds(self) -> tuple[Longs, Longs]:
        """Return the first device of every kind, and how many there are."""
        tables = self.tables
        fixed, grows = self._lines
        barred = barred_before(tables.problem)[tables.numbers]
        rows = np.column_stack([fixed, grows, tables.limit_bytes, barred])
        _, firsts, counts = np.unique(rows, axis=0, return_index=True, return_counts=True)
        return firsts, counts

    @property
    def counts(self) -> Longs:
        """(T,): devices of every kind."""
        return self._kinds[1]

    @cached_property
    def before(self) -> tuple[Floats, Floats]:
        """(T, L + 1) each: fixed and growing seconds of all blocks before a block."""
        found = []
        for part in self._lines:
            zero = np.zeros((len(self.counts), 1))
            found.append(np.concatenate([zero, part[self._kinds[0]].cumsum(axis=1)], axis=1))
        return found[0], found[1]

    @cached_property
    def speeds(self) -> Floats:
        """(T,): how fast a device is, as a part of all together."""
        seconds = self.before[0][:, -1] + self.before[1][:, -1]
        if (seconds <= 0).any():
            return np.full(len(self.counts), 1 / self.counts.sum())
        speeds = 1 / seconds
        found: Floats = speeds / (speeds * self.counts).sum()
        return found

    @cached_property
    def most_part(self) -> Floats:
        """(K, T, L + 1, L + 1): largest part of a micro-batch that memory allows, by depth, at most 1."""
        tables, firsts = self.tables, self._kinds[0]
        found: list[Floats] = []
        room = tables.limit_bytes[firsts][:, None, None] - tables.static_bytes[None]
        barred = barred_before(tables.problem)[tables.numbers][firsts]
        kept_out = barred[:, None, :] - barred[:, :, None] > 0
        for depth in range(1, min(MOST_KINDS, tables.max_depth) + 1):
            need = tables.peak_bytes(depth)[None]
            with np.errstate(divide="ignore", invalid="ignore"):
                most = np.floor(room / need * (1 + 1e-12))
            most = np.where(need <= 0, np.where(room >= 0, tables.samples, 0), most)
            part = np.where(kept_out, 0, np.clip(most, 0, tables.samples)) / tables.samples
            if found and np.array_equal(part, found[-1]):
                break
            found.append(part)
        return np.array(found)

    @cached_property
    def sizes(self) -> Longs:
        """(G, 2): least and most devices of a class of groups."""
        most = min(int(self.counts.sum()), self.tables.samples)
        ends = [size for size in SIZES if size < most] + [most]
        return np.array([(low + 1, high) for low, high in zip([0, *ends], ends, strict=False)], np.int64)

    @cached_property
    def crossing_s(self) -> tuple[Floats, Floats]:
        """Return (L + 1,) latencies and (G, L + 1) seconds of messages over a boundary, both ways, at least.

        Of the latter a stage counts half: what its own group makes of it.
        """
        tables = self.tables
        latency, rate = self._best_link
        ways = 1 + tables.way_back
        inner = np.zeros(len(ways))
        inner[1:-1] = 1.0
        whole = tables.sample_bytes * tables.samples / rate * ways * inner
        return latency * ways * inner, whole[None] / (2 * self.sizes[:, 1:])

    @cached_property
    def _best_link(self) -> tuple[float, float]:
        """Return the least latency and the largest rate between two devices."""
        links = self.tables.pair_links
        apart = ~np.eye(len(links), dtype=bool)
        if not apart.any():
            return 0.0, np.inf
        return float(links["latency_s"][apart].min()), float(links["bytes_per_s"][apart].max())

    @cached_property
    def _ring_rates(self) -> Floats:
        """(G,): rate of the slowest link of a ring of the least group of a class, at most.

        A ring of links of a rate or more lies among devices that such links join.
        """
        rates = self.tables.pair_links["bytes_per_s"]
        needed = self.sizes[:, 0]
        found = np.full(len(needed), np.inf)
        for rate in np.unique(rates[~np.eye(len(rates), dtype=bool)])[::-1]:
            joined = _largest_joined(np.maximum(rates, rates.T) >= rate)
            found[np.isinf(found) & (needed > 1) & (needed <= joined)] = rate
            if not np.isinf(found[needed > 1]).any():
                break
        return found

    @cached_property
    def finish_s(self) -> Floats:
        """(G, L + 1, L + 1): reduction and update of a stage, at least."""
        tables = self.tables
        trained = tables.trained_bytes
        shape = (len(self.sizes), *trained.shape)
        if not tables.problem.settings.sync:
            return np.zeros(shape)
        boards = tables.usable_boards
        update = boards["overhead_s"].min() + boards["update_s_per_byte"].min() * trained
        low = self.sizes[:, :1, None]
        rate = self._ring_rates[:, None, None]
        ring = 2 * (low - 1) * self._best_link[0] + 2 * (low - 1) / low * trained / rate
        found: Floats = np.where(trained > 0, update + ring, 0.0)
        return found


def _largest_joined(near: Bools) -> int:
    """Return how many devices the largest connected part of a graph has."""
    left, most = set(range(len(near))), 0
    while left:
        part = [left.pop()]
        for u in part:
            others = [v for v in left if near[u, v]]
            part += others
            left.difference_update(others)
        most = max(most, len(part))
    return most


@compiled
def fill_prices(
    step_s: float, prices: Floats, counts: Longs, before: Any, most: Floats, sizes: Longs, out: Any
) -> Any:
    """Fill in the least price of stages.

    Parameters
    ----------
    step_s
        Distance of two numbers of mean seconds.
    prices, counts
        (T,) price of a device, and devices of every kind.
    before, most, sizes
        See :class:`PricedTables`.
    out
        (K, L + 1, L + 1, G, C), filled: of a stage that passes a micro-batch in ``c * step_s`` or less, by
        depth and class of groups; infinite where no group can.
    """
    depths, num_kinds, size, _ = most.shape
    worth, room, used, other = np.zeros((4, num_kinds))
    order = np.zeros(num_kinds, np.int64)
    out[:] = np.inf
    for k in range(depths):
        for e in range(1, size):
            for h in range(e):
                room[:] = most[k, :, h, e]
                for g in range(len(sizes)):
                    least = 0.0
                    if g > 0:
                        least = group_price(sizes[g, 1], prices, counts, room, room, order, other)
                    if np.isinf(least):
                        continue
                    for c in range(out.shape[4] - 1, 0, -1):
                        find_worth(c * step_s, before, h, e, room, worth)
                        if g == 0:
                            keep_able(c * step_s, before, h, e, room, worth)
                        price = group_price(sizes[g, 1], prices, counts, worth, room, order, used)
                        if np.isinf(price):
                            break
                        out[k, h, e, g, c] = KEEP * max(least, price)
    return 0


@compiled
def group_price(
    most: int, prices: Floats, counts: Longs, worth: Floats, room: Floats, order: Longs, used: Floats
) -> Any:
    """Return the least price of at most so many devices worth 1 together; note who they are.

    Groups of one and two devices are whole, and have room for 1 too; larger ones may be fractions of
    devices. Infinite where there is no such group.
    """
    num = len(prices)
    used[:] = 0.0
    least = np.inf
    if most <= 2:
        first = second = -1
        for t in range(num):
            if worth[t] >= 1 - SLACK and room[t] >= 1 - SLACK and prices[t] < least:
                least, first, second = prices[t], t, -1
            if most == 1 or prices[t] >= least:
                continue
            for u in range(t if counts[t] > 1 else t + 1, num):
                price = prices[t] + prices[u]
                if price < least and worth[t] + worth[u] >= 1 - SLACK and room[t] + room[u] >= 1 - SLACK:
                    least, first, second = price, t, u
        if first >= 0:
            used[first] += 1
        if second >= 0:
            used[second] += 1
        return least
    if not is_worth(most, counts, worth, order):
        return np.inf
    best = cheapest(0.0, prices, counts, worth, order, used)
    if used.sum() <= most:
        return best
    low, high = 0.0, prices.max()
    for _ in range(HALVINGS):
        extra = (low + high) / 2
        best = max(best, cheapest(extra, prices, counts, worth, order, used) - extra * most)
        if used.sum() > most:
            low = extra
        else:
            high = extra
    return best


@compiled
def find_worth(seconds: float, before: Any, h: int, e: int, room: Floats, worth: Floats) -> Any:
    """Fill in how much each device is worth to a group that passes a micro-batch in so many mean seconds."""
    for t in range(len(worth)):
        left = 2 * seconds - (before[0][t, e] - before[0][t, h])
        grows = before[1][t, e] - before[1][t, h]
        y = room[t]
        if grows > 0:
            y = min(y, left / (2 * grows))
        worth[t] = max(0.0, (left - grows * y) * y / seconds) if left > 0 else 0.0
    return 0


@compiled
def keep_able(seconds: float, before: Any, h: int, e: int, room: Floats, worth: Floats) -> Any:
    """Make worthless what alone takes longer than so many seconds or has no room."""
    for t in range(len(worth)):
        own = before[0][t, e] - before[0][t, h] + before[1][t, e] - before[1][t, h]
        worth[t] = 1.0 if own <= seconds * (1 + SLACK) and room[t] >= 1 - SLACK else 0.0
    return 0


@compiled
def cheapest(extra: float, prices: Floats, counts: Longs, worth: Floats, order: Longs, used: Floats) -> Any:
    """Return the least price of devices, or fractions of them, worth 1 together; note which.

    Parameters
    ----------
    extra
        Added to every price.
    prices, counts, worth
        (T,) of every kind; all together are worth 1 at least.
    order, used
        (T,), room, and filled.
    """
    num = 0
    used[:] = 0.0
    for t in range(len(prices)):
        if worth[t] > 0:
            x = num
            rate = (prices[t] + extra) / worth[t]
            while x > 0 and (prices[order[x - 1]] + extra) / worth[order[x - 1]] > rate:
                order[x] = order[x - 1]
                x -= 1
            order[x] = t
            num += 1
    left, price = 1.0, 0.0
    for x in range(num):
        t = order[x]
        taken = min(float(counts[t]), left / worth[t])
        price += taken * (prices[t] + extra)
        left -= taken * worth[t]
        used[t] = taken
        if left <= 0:
            break
    return price


@compiled
def cheapest_use(
    seconds: float,
    stage: Any,
    most: int,
    prices: Floats,
    counts: Longs,
    before: Any,
    room: Floats,
    found: Floats,
) -> Any:
    """Add how many devices of every kind the cheapest group of a stage [h, e) takes.

    Parameters
    ----------
    seconds, stage, most
        Mean seconds of a micro-batch; h and e; devices at most.
    prices, counts, before
        As for :func:`fill_prices`.
    room
        (T,): largest part of a micro-batch that memory allows.
    found
        (T,), added to.
    """
    worth, of_time, of_memory = np.zeros((3, len(prices)))
    order = np.zeros(len(prices), np.int64)
    find_worth(seconds, before, stage[0], stage[1], room, worth)
    if most == 1:
        keep_able(seconds, before, stage[0], stage[1], room, worth)
    price = group_price(most, prices, counts, worth, room, order, of_time)
    least = 0.0 if most == 1 else group_price(most, prices, counts, room, room, order, of_memory)
    found += of_memory if least > price else of_time
    return 0


@compiled
def is_worth(most: int, counts: Longs, worth: Floats, order: Longs) -> Any:
    """Return whether so many whole devices can be worth 1 together."""
    num = 0
    for t in range(len(worth)):
        if worth[t] > 0:
            x = num
            while x > 0 and worth[t] > worth[order[x - 1]]:
                order[x] = order[x - 1]
                x -= 1
            order[x] = t
            num += 1
    total = 0.0
    for x in range(num):
        t = order[x]
        taken = min(counts[t], most)
        most -= taken
        total += taken * worth[t]
        if total >= 1 - SLACK or most == 0:
            break
    return total >= 1 - SLACK
