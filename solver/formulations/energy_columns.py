"""Energy columns: the chain and power modes of least energy as a mixed-integer programme, and cuts for it.

A binary *column* y says that a device in one of its modes holds an interval [h, i) as a stage, with so many
stages from it to the end. Nodes are pairs (boundary, stages behind it); one unit flows from the end to
boundary 0, each device has one column at most. Columns that do not fit into memory, or with which a step
takes too long or too much energy whatever else there is, are not made. A continuous x says that a boundary
lies between two devices; it is whole where columns are.

The step time T is not below what :mod:`solver.search.power.tree` says that chains take: for every boundary k

    T >= passes and messages before k + all passes of the stage that begins at k + the first stage's update,

for every block the passes and the update of the stage it is in, and one micro-batch's round with the longest
pass or message for the others. Waiting is energy: a column's idle power times T, by w >= T - T_max (1 - y)
and w >= y times what the column computes.
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
from solver.search.power.costs import PowerCosts
from solver.search.power.expanded import Interval

SCALE = 1000.0
"""Value of the energy that is of no use inside the programme: CBC's tolerances are absolute."""
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
    base_w
        Power that is drawn at least.
    limit_s, limit_j
        Longest step, and most energy, that count; both finite.
    all_take_part
        Whether every device is in a stage.
    """

    costs: PowerCosts
    num_micro_batches: int
    base_w: float
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
            if d != e
        }
        self.step = self.problem.add_variable("step", 0, 1)  # parts of the longest step
        self.longest = self.problem.add_variable("longest", 0, 1)
        self._add_paths()
        self._add_boundaries()
        self._add_step()
        energy = self._energy()
        self.problem += energy
        self.problem += energy <= SCALE

    @property
    def _num_blocks(self) -> int:
        return int(self.costs.compute_s.shape[1]) - 1

    @property
    def _num_devices(self) -> int:
        return int(self.costs.link_s.shape[0]) - 1

    def _columns(self) -> Longs:
        """Return (C, 4): stand-in, first block, end, and stages from it to the end."""
        alone = self.num_micro_batches * self.costs.compute_s + self.costs.update_s
        possible = (alone <= self.limit_s) & (self._least_j(alone) <= self.limit_j)
        depth, v, h, i = np.nonzero(self.costs.fits & possible)
        # The last stage is one from the end, and has so many blocks behind it as there are stages.
        can_be = ((depth == 1) == (i == self._num_blocks)) & (self._num_blocks - i >= depth - 1)
        found: Longs = np.column_stack((v, h, i, depth))[can_be]
        return found

    def _least_j(self, alone: Floats) -> Floats:
        """Return (V, n, n): joules of a plan with a column, at least; other blocks where they take least."""
        costs, blocks = self.costs, np.arange(self._num_blocks)
        busy = np.isfinite(alone) & (alone > 0)
        rate = np.divide(costs.stage_j, alone, out=np.zeros_like(alone), where=busy)
        passes = self.num_micro_batches * costs.compute_s[:, blocks, blocks + 1]
        watts = rate[:, blocks, blocks + 1] + costs.waiting_w[:, None]
        others = np.concatenate([[0.0], np.cumsum((passes * watts).min(axis=0))])
        beside: Floats = others[-1] - others[None, :] + others[:, None]
        power = costs.waiting_w[:, None, None] + self.base_w
        return costs.stage_j + power * np.where(busy, alone, 0.0) + beside

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
                after, before = ([self.x[d, e, k] for e in others], [self.x[e, d, k] for e in others])
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

    def _energy(self) -> Any:
        """Return the energy; SCALE is what is of no use."""
        import pulp

        v, h, i, _ = self.columns.T
        unit = SCALE / self.limit_j
        joules = self.costs.stage_j[v, h, i]
        alone = self.num_micro_batches * self.costs.compute_s[v, h, i] + self.costs.update_s[v, h, i]
        terms = [(y, unit * float(joules[c])) for c, y in enumerate(self.y)]
        terms += [(x, unit * float(self.costs.link_j[place])) for place, x in self.x.items()]
        terms.append((self.step, unit * self.base_w * self.limit_s))
        for u, watts in enumerate(self.costs.waiting_w.tolist()):
            mine = self._of(v == u)
            if watts > 0 and mine:
                waits = self.problem.add_variable(f"w{u}", 0, 1)
                self.problem += waits - self.step + 1 - pulp.lpSum(mine) >= 0
                self._at_least(waits, self._terms(v == u, alone))
                terms.append((waits, unit * watts * self.limit_s))
        return pulp.LpAffineExpression(terms)

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
    """Return an energy that no chain exceeds whose step is not longer.

    Parameters
    ----------
    costs
        Of stages and links.
    base_w
        Power that is drawn at least.
    step_s
        Longest step.
    """
    blocks = range(costs.compute_s.shape[1] - 1)
    joules = sum(float(costs.stage_j[:, k, k + 1].max() + costs.link_j[:, :, k].max()) for k in blocks)
    return joules + float(base_w + costs.waiting_w.sum()) * step_s


def _largest(values: Iterable[float]) -> float:
    return max((float(value) for value in values if math.isfinite(value)), default=0.0)
