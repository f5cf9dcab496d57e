"""Asteroid's dynamic programme over stages, from the last to the first, over one or many sets of devices.

Devices stand in a fixed order, most memory first, and a stage takes some that follow one another. A state is
(devices that hold the last blocks, number of stages p, first of these blocks h). What follows a stage in that
order does not depend on the devices before it, so runs on many subsets of the devices share one table: a run
on a subset asks for nothing but states of what is left of it, in order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from solver.plan import Stage
from solver.program import Floats, Longs
from solver.schedule import compiled
from solver.search.incumbent import Search
from solver.search.literature.group_tables import GroupTables
from solver.search.literature.sample_shares import share_samples

Places = tuple[int, ...]
ROWS = 64
"""First blocks of a stage looked at between two questions whether it is time to stop."""


class Found(NamedTuple):
    """A plan by Asteroid's own figures.

    Parameters
    ----------
    latency_s
        Its latency by Eq. 4.
    target
        Its devices, places in the order.
    num_stages
        Its stages.
    """

    latency_s: float
    target: Places
    num_stages: int


class AsteroidTable:
    """The table for devices in a given order.

    Parameters
    ----------
    tables
        Costs of stages.
    order
        (N,), numbers of devices, in the order they stand in.
    targets
        Sets of devices to be planned for, all of each used: places in the order, increasing.
    search
        Says when to stop.
    ceiling_s
        Plans of this latency or more are of no interest. What a stage is put before never gets faster by it,
        so parts that are as slow are left out, and the plans that are found are the same.

    Notes
    -----
    Latency of a round, Eq. 4 to 6, over the 2 p - 1 steps s (stages and the transfers between them) with
    forward and backward seconds Ef, Eb, all-reduce seconds Ta, E = Ef + Eb, sums over the steps before s::

        max_s [ sum Ef + M E_dm + sum_{s <= i < dm} E_i (or - sum_{dm <= i < s} E_i) + Ta_s ]
          = D + R,    D = max_s [ M E_s + sum E ]  (dm is where it is reached, Eq. 11),
                      R = max_s [ Ta_s - sum Eb ]

    so a stage put before others changes D and R by what it is itself: O(1) a transition. Of every state the
    plan with the least D + R is kept, as the paper does; that is not exact, since a smaller R can be worth
    more than a smaller D further on. O(L ** 2) transitions for each group and devices after it.
    """

    def __init__(
        self,
        tables: GroupTables,
        order: Sequence[int],
        targets: Sequence[Places],
        search: Search,
        ceiling_s: float = math.inf,
    ) -> None:
        self.tables, self.order, self.targets = tables, tuple(order), tuple(targets)
        self.length = tables.num_blocks + 1
        self.max_depth = min(max(map(len, self.targets)), tables.num_blocks)
        self.groups, self.node, self._pairs = _structure(self.targets)
        shape = (len(self.node), self.max_depth + 1, self.length)
        self._value = np.full(shape, np.inf)
        self._dominant, self._tail = np.full(shape, np.inf), np.full(shape, np.inf)
        self._group, self._cut = np.full(shape, -1, np.int32), np.full(shape, -1, np.int32)
        self._value[0, 0, -1] = 0.0
        self._members = [np.array([self.order[j] for j in bits], np.int64) for bits in self.groups]
        self._fill(search, ceiling_s)

    def _fill(self, search: Search, ceiling_s: float) -> None:
        tables = self.tables
        rate, latency = tables.links
        costs = (
            *(tables.times_s, tables.static_bytes, tables.held_bytes, tables.reduced_bytes),
            *(tables.limit_bytes, tables.allowed, tables.cut_bytes, tables.gradients),
        )
        state = (self._value, self._dominant, self._tail, self._group, self._cut)
        everyone = np.array([np.resize(members, len(self.order)) for members in self._members])
        for g, members in enumerate(self._members):
            rates = rate[members].min(axis=0)[everyone].min(axis=1)
            waits = latency[members].max(axis=0)[everyone].max(axis=1)
            inner = (
                float(rate[np.ix_(members, members)].min()),
                float(latency[np.ix_(members, members)].max()),
            )
            for start in range(0, tables.num_blocks, ROWS):
                search.tick()
                rows = (start, min(start + ROWS, tables.num_blocks))
                extend_group(
                    *(g, members, rows, tables.num_micro_batches, self._pairs[g]),
                    *(costs, inner, (rates, waits), state, ceiling_s),
                )

    def found(self) -> list[Found]:
        """Return a plan for every target and number of stages that fits, least latency first."""
        plans = [
            Found(float(self._value[self.node[target], depth, 0]), target, depth)
            for target in self.targets
            for depth in range(1, self.max_depth + 1)
        ]
        return sorted(plan for plan in plans if np.isfinite(plan.latency_s))

    def latency_s(self, target: Places) -> float:
        """Return the least latency of any plan for a target; infinite if none fits."""
        return float(self._value[self.node[target], :, 0].min())

    def stages(self, plan: Found) -> tuple[Stage, ...]:
        """Return the stages of a plan that was found.

        Parameters
        ----------
        plan
            One of :meth:`found`.
        """
        tables, first, stages = self.tables, 0, []
        bits, depth = plan.target, plan.num_stages
        while depth:
            node = self.node[bits]
            g, end = int(self._group[node, depth, first]), int(self._cut[node, depth, first])
            members, shares = self._members[g], np.zeros(len(self._members[g]), np.int64)
            caps = np.zeros(len(members), np.int64)
            _caps(
                *(members, first, end, depth, tables.samples, tables.static_bytes, tables.held_bytes),
                *(tables.limit_bytes, tables.allowed, caps),
            )
            share_samples(members, caps, first, end, tables.times_s, tables.samples, shares)
            given = {tables.devices[v]: int(n) for v, n in zip(members, shares, strict=True) if n}
            in_order = {name: given[name] for name in tables.devices if name in given}
            blocks = tables.problem.workload.order[first:end]
            stages.append(Stage(blocks=blocks, shares=dict(in_order)))
            bits, depth, first = bits[len(members) :], depth - 1, end
        return tuple(stages)


def _structure(targets: Sequence[Places]) -> tuple[list[Places], dict[Places, int], list[Longs]]:
    """Return groups (last ones first), number of every set of devices, and (after, with it) by group."""
    sets = {target[k:] for target in targets for k in range(len(target) + 1)}
    node = {places: k for k, places in enumerate(sorted(sets))}
    uses = {(t[a:b], t[b:], t[a:]) for t in targets for a in range(len(t)) for b in range(a + 1, len(t) + 1)}
    pairs: dict[Places, list[tuple[int, int]]] = {}
    for group, after, here in sorted(uses):
        pairs.setdefault(group, []).append((node[after], node[here]))
    groups = sorted(pairs, key=lambda places: (-places[-1], places))
    return groups, node, [np.array(pairs[group], np.int64) for group in groups]


@compiled
def _caps(
    members: Longs,
    first: int,
    end: int,
    depth: int,
    samples: int,
    static: Longs,
    held: Floats,
    limits: Longs,
    allowed: Any,
    caps: Longs,
) -> int:
    """Fill in the most samples that fit on each member (Eq. 3); return their sum, -1 if one fits nothing."""
    room = 0
    need, each = static[end] - static[first], held[depth, first, end]
    for j in range(len(members)):
        v = members[j]
        if need > limits[v] or not allowed[v, first, end]:
            return -1
        left = float(limits[v] - need)
        caps[j] = samples if each * samples <= left else int(left / each)
        room += caps[j]
    return room


@compiled
def _ring_s(num: int, reduced: int, rate: float, latency: float) -> float:
    """Return the seconds of a ring all-reduce: 2 (n - 1) steps of a part each over the slowest link."""
    if num < 2 or reduced == 0:
        return 0.0
    return 2 * (num - 1) * (reduced / num / rate + latency)


@compiled
def extend_group(
    group: int,
    members: Longs,
    rows: Any,
    num_micro_batches: int,
    pairs: Longs,
    costs: Any,
    inner: Any,
    between: Any,
    state: Any,
    ceiling_s: float,
) -> None:
    """Put a group of devices before everything that may follow it, as the first stage.

    Parameters
    ----------
    group, members
        Its number, and its devices (G,).
    rows
        First blocks of the stage: from, to.
    num_micro_batches
        M.
    pairs
        (K, 2), sets of devices that may follow, and those sets with the group before them.
    costs
        Of :class:`GroupTables`: times, static, held and reduced bytes, limits, allowed, cuts, gradients.
    inner
        Slowest rate and longest latency inside the group.
    between
        (num_groups,) each: slowest rate and longest latency to another group.
    state
        (sets, depths, L + 1) each, filled in: value D + R, D, R, group and cut chosen.
    ceiling_s
        Values from here on are left out.
    """
    times, static, held, reduced, limits, allowed, cuts, gradients = costs
    value, _, _, chosen_group, _ = state
    samples, last = times.shape[2] - 1, times.shape[3] - 1
    caps, shares = np.zeros(len(members), np.int64), np.zeros(len(members), np.int64)
    for first in range(rows[0], rows[1]):
        for end in range(first + 1, last + 1):
            free = False  # whether the shares at hand were found without a cap that binds
            forward = backward = ring = 0.0
            lowest, highest = (1, 1) if end == last else (2, value.shape[1] - 1)
            for depth in range(lowest, highest + 1):
                if not _anything(pairs, value, depth - 1, end):
                    continue
                if _caps(members, first, end, depth, samples, static, held, limits, allowed, caps) < samples:
                    continue
                loose = caps.min() == samples
                if not (free and loose):
                    share_samples(members, caps, first, end, times, samples, shares)
                    free = loose
                    forward, backward = _slowest_s(members, shares, first, end, times)
                    ring = _ring_s(len(members), reduced[end] - reduced[first], inner[0], inner[1])
                if num_micro_batches * (forward + backward) >= ceiling_s:
                    if loose:
                        break
                    continue
                for k in range(len(pairs)):
                    if value[pairs[k, 0], depth - 1, end] == np.inf:
                        continue
                    there = back = 0.0
                    if depth > 1:
                        other = chosen_group[pairs[k, 0], depth - 1, end]
                        there = cuts[end] / between[0][other] + between[1][other]
                        back = there if gradients[end] else 0.0
                    steps = (forward, backward, ring, there, back)
                    _put(group, pairs[k], depth, first, end, num_micro_batches, steps, state, ceiling_s)


@compiled
def _anything(pairs: Longs, value: Floats, depth: int, end: int) -> bool:
    """Return whether there is anything of a depth to be put before."""
    least = np.inf
    for k in range(len(pairs)):
        least = min(least, value[pairs[k, 0], depth, end])
    return bool(least < np.inf)


@compiled
def _slowest_s(members: Longs, shares: Longs, first: int, end: int, times: Floats) -> Any:
    """Return forward and backward seconds of the slowest member (Eq. 8)."""
    forward = backward = 0.0
    for j in range(len(members)):
        v, n = members[j], shares[j]
        forward = max(forward, times[0, v, n, end] - times[0, v, n, first])
        backward = max(backward, times[1, v, n, end] - times[1, v, n, first])
    return forward, backward


@compiled
def _put(
    group: int,
    pair: Longs,
    depth: int,
    first: int,
    end: int,
    num_micro_batches: int,
    steps: Any,
    state: Any,
    ceiling_s: float,
) -> None:
    """Put a stage before what follows, if the whole is better than what is known."""
    value, dominant, tail, chosen_group, chosen_cut = state
    forward, backward, ring, there, back = steps
    after, here = pair[0], pair[1]
    both = forward + backward
    most, rest = num_micro_batches * both, ring
    if depth > 1:
        most = max(most, both + num_micro_batches * (there + back))
        most = max(most, both + there + back + dominant[after, depth - 1, end])
        rest = max(rest, tail[after, depth - 1, end] - backward - back)
    if most + rest < min(value[here, depth, first], ceiling_s):
        value[here, depth, first] = most + rest
        dominant[here, depth, first], tail[here, depth, first] = most, rest
        chosen_group[here, depth, first], chosen_cut[here, depth, first] = group, end
