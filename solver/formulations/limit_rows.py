"""Limit rows: deadline, budgets of energy and carbon, and batteries, in a programme on interval columns.

A continuous T stands for the step time. It is not below what chains take at least, see
:mod:`solver.search.power.tree`, and not above the deadline. Waiting is energy: w is T where a device takes
part, and a budget is a row on columns, boundaries, w and T. With a column a battery lasts for a step of so
many seconds, less what radios take: a row on T for every device that has one. All are relaxations: what the
evaluator finds to break a limit nevertheless is forbidden one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from solver.formulations.energy_columns import LOOSE, longest_step_s
from solver.formulations.interval_columns import SCALE, Programme, Terms, boundary_both_s, passages
from solver.program import Floats
from solver.search.power.costs import Account, PowerModel


@dataclass(frozen=True)
class LimitRows:
    """The rows of one programme.

    Parameters
    ----------
    programme
        Changed; its boundaries must be there where links are unequal.
    model
        Costs of the same problem, devices as they are.
    """

    programme: Programme
    model: PowerModel

    @property
    def longest_s(self) -> float:
        """Seconds of the longest step, which ``SCALE`` stands for in T."""
        return min(self.model.limit_s, longest_step_s(self.model.costs, self.model.num_micro_batches)) * LOOSE

    def add(self) -> None:
        """Add all rows."""
        longest_s = self.longest_s
        step = self.programme.problem.add_variable("step", lowBound=0, upBound=SCALE)
        self._add_step(step, longest_s)
        waits: dict[int, Any] | None = None
        for objective in ("energy", "carbon"):
            if np.isfinite(self.model.limits.of(objective)):
                waits = self._waits(step, longest_s) if waits is None else waits
                self._add_budget(self.model.account(objective).as_parts, step, waits, longest_s)
        if np.isfinite(self.model.costs.most_s).any():
            for v in range(len(self.programme.tables.devices)):
                self._add_battery(v, step, longest_s)

    def _of(self, values: Floats, devices: tuple[int, ...] | None = None) -> Terms:
        """Return columns with their values, (D, L + 1, L + 1), of some devices or of all."""
        columns = zip(self.programme.columns.tolist(), self.programme.z, strict=True)
        return [(z, float(values[v, h, i])) for (v, h, i, _), z in columns if devices is None or v in devices]

    def _at_most(self, terms: Terms, most: float) -> None:
        import pulp

        self.programme.problem += pulp.LpAffineExpression(terms) <= most

    def _add_step(self, step: Any, longest_s: float) -> None:
        """Add what T is not below: passes after those before, each device alone, the pace of a round."""
        costs, count, problem = self.model.costs, self.model.num_micro_batches, self.programme.problem
        scale = SCALE / longest_s
        passed: Terms = []
        for h, (begin, end) in enumerate(passages(self.programme, longest_s)):
            if h:
                variable = problem.add_variable(f"t{h}", lowBound=0, upBound=SCALE)
                self._at_most([*end, *passed, (variable, -1.0)], 0)
                passed = [(variable, 1.0)]
            if begin:
                self._at_most([*begin, *passed, (step, -1.0)], 0)
        longest = problem.add_variable("longest", lowBound=0, upBound=SCALE)
        alone, single = scale * (count * costs.compute_s + costs.update_s), scale * costs.longest_s
        for v in range(len(self.programme.tables.devices)):
            self._at_most([*self._of(alone, (v,)), (step, -1.0)], 0)
            self._at_most([*self._of(single, (v,)), (longest, -1.0)], 0)
        self._at_most([*passed, (longest, count - 1), (step, -1.0)], 0)

    def _waits(self, step: Any, longest_s: float) -> dict[int, Any]:
        """Return for every device the time that it is awake as one that takes part."""
        import pulp

        costs, found = self.model.costs, {}
        alone = SCALE / longest_s * (self.model.num_micro_batches * costs.compute_s + costs.update_s)
        for v in np.unique(self.programme.columns[:, 0]).tolist():
            found[v] = self.programme.problem.add_variable(f"w{v}", lowBound=0, upBound=SCALE)
            mine = self._of(alone, (v,))
            held = pulp.lpSum(z for z, _ in mine)
            self.programme.problem += found[v] - step + SCALE - SCALE * held >= 0
            self._at_most([*mine, (found[v], -1.0)], 0)
        return found

    def _add_budget(self, account: Account, step: Any, waits: dict[int, Any], longest_s: float) -> None:
        """Add that no more is counted in an account than may be."""
        stage = account.stage
        terms: Terms = [(step, account.base * longest_s)]
        terms += [(w, float(account.waiting[v]) * longest_s) for v, w in waits.items()]
        if self.programme.tables.is_uniform:
            stage = stage + account.radio[:-1, None, None] * self._ends_s
        else:
            terms += [(x, SCALE * float(account.link[at])) for at, x in self.programme.x.items()]
        self._at_most([*terms, *self._of(SCALE * stage)], SCALE * LOOSE)

    @property
    def _ends_s(self) -> Floats:
        """(L + 1, L + 1): seconds of messages over both ends of a stage, where links are alike."""
        both = boundary_both_s(self.programme.tables)
        found: Floats = both[:, None] + both[None, :]
        return found

    def _add_battery(self, v: int, step: Any, longest_s: float) -> None:
        """Add that a step is no longer than a device's battery lasts, with the column that it has."""
        costs, tables = self.model.costs, self.programme.tables
        radio_s = self.model.num_micro_batches * float(costs.radio_waits[v])
        lasts = costs.most_s[v] / longest_s
        taken: Terms = []
        if tables.is_uniform:
            lasts = lasts - radio_s / longest_s * self._ends_s
        else:
            every = (
                (x, radio_s * float(costs.link_s[at])) for at, x in self.programme.x.items() if v in at[:2]
            )
            taken = [(x, seconds / longest_s) for x, seconds in every]
        # Two boundaries at most are used; where batteries last longer than that they say nothing.
        most = 1 + 2 * max((part for _, part in taken), default=0.0)
        least = np.zeros_like(costs.most_s)
        least[v] = 1 - np.clip(lasts, -most, most)
        terms = [(x, SCALE * part) for x, part in [*taken, *self._of(least, (v,))]]
        self._at_most([(step, 1.0), *terms], SCALE * LOOSE)
