"""Energy columns: the chain and power modes of least energy, or carbon, by an integer programme, and cuts.

A binary *column* y says that a device in one of its modes holds an interval [h, i) as a stage, with so many
stages from it to the end. Nodes are pairs (boundary, stages behind it); one unit flows from the end to
boundary 0, each device has one column at most. Columns that do not fit into memory, or with which a step
takes too long or too much energy whatever else there is, are not made. A continuous x says that a boundary
lies between two devices; it is whole where columns are.

The step time T is not below what :mod:`solver.search.power.tree` says that chains take: for every boundary k

    T >= passes and messages before k + all passes of the stage that begins at k + the first stage's update,

for every block the passes and the update of the stage it is in, and one micro-batch's round with the longest
pass or message for the others. Waiting is energy: a column's idle power times T, by w >= T - T_max (1 - y)
and w >= y times what the column computes. Joules count in accounts, see :mod:`solver.search.power.costs`:
the objective is one, a budget of the other one is a row. A battery lasts for a step of so many seconds with a
column: T - T_max is at most that - T_max times y, less what radios take. Bytes to less trusted devices are a
row too, on x.

The least energy of the programme is thus a bound; a solution is judged by the evaluator and cut off, so that
the next one is another (logic-based Benders decomposition: Hooker and Ottosson, Math. Programming 96, 2003).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from solver.program import Floats, Longs
from solver.search.power.alone import least_with
from solver.search.power.costs import PowerCosts
from solver.search.power.expanded import Interval
from solver.search.step_limits import KEPT

SCALE = 1000.0
"""Value of the energy that is of no use inside the programme: CBC's tolerances are absolute."""
LOOSE = 1 + 1e-6
"""By how much rows of limits are wider than the limits: what keeps these only just is not to be lost."""
Terms = list[tuple[Any, float]]


@dataclass
class EnergyProgramme:
    """The mixed-integer programme of one number of micro-batches.

    Parameters
    ----------
    costs
        Of stages and links.
    num_micro_batches
        Micro-batches of a step.
    base
        What a second counts at least, in the objective's account and in the other one.
    limit_s, limit_j
        Longest step, and most of the objective, that count; both finite.
    all_take_part
        Whether every device is in a stage.
    """

    costs: PowerCosts
    num_micro_batches: int
    base: tuple[float, float]
    limit_s: float
    limit_j: float
    all_take_part: bool = False

    def __post_init__(self) -> None:
        """Build."""
        import pulp

        self.columns = self._columns()
        self.problem = pulp.LpProblem("least_energy", pulp.LpMinimize)
        self.y = [self.problem.add_variable(f"y{c}", cat="Binary") for c in range(len(self.columns))]
        self.x = {
            (d, e, k): self.problem.add_variable(f"x{d}_{e}_{k}", 0, 1)
            for k in range(1, self._num_blocks)
            for d in range(self._num_devices)
            for e in range(self._num_devices)
            if d != e and self.costs.sent_down[d, e, k] <= KEPT
        }
        self.step = self.problem.add_variable("step", 0, 1)  # parts of the longest step
        self.longest = self.problem.add_variable("longest", 0, 1)
        self._add_paths()
        self._add_boundaries()
        self._add_step()
        waits = self._waits()
        unit = 1 / self.limit_j
        stage, link = unit * self.costs.stage_j, unit * self.costs.link_j
        energy = self._account(waits, stage, unit * self.costs.waiting_w, link, unit * self.base[0])
        self.problem += energy
        self.problem += energy <= SCALE
        self._add_limits(waits)

    @property
    def _num_blocks(self) -> int:
        return int(self.costs.compute_s.shape[1]) - 1

    @property
    def _num_devices(self) -> int:
        return int(self.costs.link_s.shape[0]) - 1

    def _columns(self) -> Longs:
        """Return (C, 4): stand-in, first block, end, and stages from it to the end."""
        alone = self.num_micro_batches * self.costs.compute_s + self.costs.update_s
        longest = np.minimum(self.limit_s, self.costs.most_s)
        account = self.costs.stage_j, self.costs.waiting_w, self.base[0]
        least = least_with(self.costs, self.num_micro_batches, *account)
        possible = (alone <= longest) & (least <= self.limit_j)
        depth, v, h, i = np.nonzero(self.costs.fits & possible)
        # The last stage is one from the end, and has so many blocks behind it as there are stages.
        can_be = ((depth == 1) == (i == self._num_blocks)) & (self._num_blocks - i >= depth - 1)
        found: Longs = np.column_stack((v, h, i, depth))[can_be]
        return found

    def _of(self, wanted: Any) -> list[Any]:
        return [self.y[c] for c in np.flatnonzero(wanted).tolist()]

    def _add_paths(self) -> None:
        import pulp

        v, h, i, depth = self.columns.T
        self.problem += pulp.lpSum(self._of(depth == 1)) == 1
        for k in range(1, self._num_blocks):
            for q in range(1, len(self.costs.fits)):
                begins, ends = self._of((h == k) & (depth == q)), self._of((i == k) & (depth == q + 1))
                if begins or ends:
                    self.problem += pulp.lpSum(begins) == pulp.lpSum(ends)
        for d in range(self._num_devices):
            held = pulp.lpSum(self._of(self.costs.device[v] == d))
            self.problem += held == 1 if self.all_take_part else held <= 1

    def _add_boundaries(self) -> None:
        import pulp

        v, h, i, _ = self.columns.T
        on = self.costs.device[v]
        for k in range(1, self._num_blocks):
            for d in range(self._num_devices):
                others = [e for e in range(self._num_devices) if e != d]
                after = [self.x[d, e, k] for e in others if (d, e, k) in self.x]
                before = [self.x[e, d, k] for e in others if (e, d, k) in self.x]
                self.problem += pulp.lpSum(after) == pulp.lpSum(self._of((i == k) & (on == d)))
                self.problem += pulp.lpSum(before) == pulp.lpSum(self._of((h == k) & (on == d)))

    def _terms(self, wanted: Any, values: Any) -> Terms:
        """Return columns with their values, in parts of the longest step."""
        found = np.flatnonzero(wanted).tolist()
        return [(self.y[c], float(values[c]) / self.limit_s) for c in found]

    def _add_step(self) -> None:

        v, h, i, _ = self.columns.T
        passes, update = self.costs.compute_s[v, h, i], self.costs.update_s[v, h, i]
        single = self.costs.longest_s[v, h, i]
        count, round_trip = self.num_micro_batches, self._terms(h == 0, update)
        for k in range(self._num_blocks):
            if k:
                round_trip = [*round_trip, *self._messages(k, self.costs.link_s)]
                round_trip += self._terms(i == k, passes)
                self._at_least(self.longest, self._messages(k, self.costs.link_longest_s))
            self._at_least(self.step, [*round_trip, *self._terms(h == k, count * passes)])
            inside = (h <= k) & (k < i)
            self._at_least(self.step, self._terms(inside, count * passes + update))
            self._at_least(self.longest, self._terms(inside, single))
        whole = [*round_trip, *self._terms(i == self._num_blocks, passes), (self.longest, count - 1)]
        self._at_least(self.step, whole)

    def _messages(self, k: int, values: Any) -> Terms:
        return [(x, float(values[d, e, k]) / self.limit_s) for (d, e, at), x in self.x.items() if at == k]

    def _at_least(self, variable: Any, terms: Terms) -> None:
        import pulp

        self.problem += variable - pulp.LpAffineExpression(terms) >= 0

    def _waits(self) -> dict[int, Any]:
        """Return for every stand-in the time that it waits and computes, where that counts anything."""
        import pulp

        v, h, i, _ = self.columns.T
        alone = self.num_micro_batches * self.costs.compute_s[v, h, i] + self.costs.update_s[v, h, i]
        found = {}
        for u in np.flatnonzero((self.costs.waiting_w > 0) | (self.costs.other_w > 0)).tolist():
            mine = self._of(v == u)
            if mine:
                found[u] = self.problem.add_variable(f"w{u}", 0, 1)
                self.problem += found[u] - self.step + 1 - pulp.lpSum(mine) >= 0
                self._at_least(found[u], self._terms(v == u, alone))
        return found

    def _account(
        self, waits: dict[int, Any], stage: Floats, waiting: Floats, link: Floats, base: float
    ) -> Any:
        """Return what a solution counts in an account; SCALE is 1."""
        import pulp

        v, h, i, _ = self.columns.T
        terms = [(self.step, base * self.limit_s)]
        terms += [(y, value) for y, value in zip(self.y, stage[v, h, i].tolist(), strict=True) if value]
        terms += [(x, float(link[place])) for place, x in self.x.items() if link[place]]
        terms += [(w, float(waiting[u]) * self.limit_s) for u, w in waits.items() if waiting[u]]
        return pulp.LpAffineExpression([(variable, SCALE * value) for variable, value in terms])

    def _add_limits(self, waits: dict[int, Any]) -> None:
        """Add the rows of the other account's budget, of batteries, and of bytes to less trusted devices."""
        import pulp

        costs = self.costs
        other = self._account(waits, costs.other, costs.other_w, costs.link_other, self.base[1])
        if any(other.values()):
            self.problem += other <= SCALE * LOOSE
        for d in range(self._num_devices):
            self._add_battery(d)
        down = [(x, float(costs.sent_down[place])) for place, x in self.x.items() if costs.sent_down[place]]
        if down:
            self.problem += pulp.LpAffineExpression([(x, SCALE * part) for x, part in down]) <= SCALE * LOOSE

    def _add_battery(self, d: int) -> None:
        """Add that a step is no longer than the battery of a device lasts, with the column that it has."""
        import pulp

        costs, count, limit_s = self.costs, self.num_micro_batches, self.limit_s
        v, h, i, _ = self.columns.T
        mine = np.flatnonzero(costs.device[v] == d)
        lasts = costs.most_s[v, h, i][mine] / limit_s
        radio_s = count * float(costs.radio_waits[d]) * costs.link_s
        taken = [
            (x, float(radio_s[place]) / limit_s)
            for place, x in self.x.items()
            if d in place[:2] and radio_s[place]
        ]
        # Two boundaries at most are used; where batteries last longer than that they say nothing.
        most = 1 + 2 * max((part for _, part in taken), default=0.0)
        if not len(mine) or lasts.min() >= most:
            return
        terms = [(self.y[c], 1 - min(float(part), most)) for c, part in zip(mine, lasts, strict=True)]
        row = pulp.LpAffineExpression([(x, SCALE * part) for x, part in [(self.step, 1.0), *terms, *taken]])
        self.problem += row <= SCALE * LOOSE

    @property
    def energy_j(self) -> float:
        """Energy of the solution, as the programme counts it."""
        return float(self.problem.objective.value()) * self.limit_j / SCALE

    def invert(self) -> list[Interval]:
        """Return the stages of the solution, from the first to the last."""
        chosen = [c for c, y in enumerate(self.y) if (y.value() or 0) > 0.5]
        rows = sorted((int(h), int(i), int(v)) for v, h, i, _ in self.columns[chosen])
        return [(v, h, i) for h, i, v in rows]

    def cut_off(self, stages: list[Interval]) -> None:
        """Cut off a solution.

        Parameters
        ----------
        stages
            From the first to the last; columns that were not made cannot be in one.
        """
        depth = {stage: len(stages) - s for s, stage in enumerate(stages)}
        wanted = [c for c, (v, h, i, q) in enumerate(self.columns.tolist()) if depth.get((v, h, i)) == q]
        if len(wanted) == len(stages):
            self.problem += sum(self.y[c] for c in wanted) <= len(wanted) - 1


def longest_step_s(costs: PowerCosts, num_micro_batches: int) -> float:
    """Return a step time that no chain exceeds: everything one after another, where it takes longest.

    Parameters
    ----------
    costs
        Of stages and links.
    num_micro_batches
        Micro-batches of a step.
    """
    blocks = range(costs.compute_s.shape[1] - 1)
    passes = sum(_largest(costs.compute_s[:, k, k + 1]) for k in blocks)
    updates = _largest(costs.update_s[:, 0, -1]) + sum(_largest(costs.update_s[:, k, k + 1]) for k in blocks)
    messages = sum(float(costs.link_s[:, :, k].max()) for k in blocks)
    return num_micro_batches * (passes + messages) + updates


def most_energy_j(costs: PowerCosts, base_w: float, step_s: float) -> float:
    """Return an energy, or grams, above what any chain takes whose step is not longer.

    Parameters
    ----------
    costs
        Of stages and links.
    base_w
        What a second counts at least.
    step_s
        Longest step.
    """
    blocks = range(costs.compute_s.shape[1] - 1)
    joules = sum(float(costs.stage_j[:, k, k + 1].max() + costs.link_j[:, :, k].max()) for k in blocks)
    found = joules + float(base_w + costs.waiting_w.sum()) * step_s
    return found if found > 0 else 1.0


def _largest(values: Iterable[float]) -> float:
    return max((float(value) for value in values if math.isfinite(value)), default=0.0)
