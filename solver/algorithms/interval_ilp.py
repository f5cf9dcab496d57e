"""interval_ilp: exact plans of chains with one device a stage, by a mixed-integer programme on intervals.

Source: set partitioning with one column per (machine, interval), as in the pipeline planners that follow
Tarnawski et al., "Efficient algorithms for device placement of DNN graph operators", NeurIPS 2020,
arXiv:2006.16423 (section 5 has the programme on contiguous sets); here columns carry their depth, which
memory depends on, and those that cannot be in a plan better than a quickly found one are never made.
Solved by the CBC that PuLP carries. Memory, lanes and shared media are those of the evaluator.

CBC's tolerances are not ours: its solutions are costed anew, and it is asked again for something strictly
better, with the columns that cannot be in it removed and the lanes that are too busy cut off as sets of
variables, until it proves that there is nothing.

Assumes a chain that is trained; declines others. Claim: exact under ``bottleneck`` for every micro-batch
count allowed; under ``time`` a plan and a valid bound.
"""

from __future__ import annotations

import math

import numpy as np

from solver.formulations.cbc import solve_cbc
from solver.formulations.interval_columns import (
    SCALE,
    Programme,
    add_boundaries,
    add_boundary_lanes,
    add_column_lanes,
    add_fill,
    add_medium,
    build,
)
from solver.problem import Problem
from solver.program import Floats
from solver.search.chain import Bools, ChainTables
from solver.search.chain_value import bottleneck_s, step_bound_s
from solver.search.exact_chain import Stages, solve_chain
from solver.search.incumbent import Interrupted, Search
from solver.search.orders import good_chain
from solver.search.threshold import PRECISION, Least
from solver.status import Outcome

BOUND_SLACK = 1e-6
"""Relative slack given to a bound that CBC computed in floating point."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Find the best chain of stages of one device each.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        With the reason.
    """
    return solve_chain(problem, search, ColumnMethod)


class ColumnMethod:
    """Programmes on interval columns for one micro-batch count.

    Parameters
    ----------
    tables
        Costs of stages.
    search
        Says when to stop.
    """

    def __init__(self, tables: ChainTables, search: Search) -> None:
        self.tables, self.search = tables, search
        self.place = {name: v for v, name in enumerate(tables.devices)}

    def feasible(self) -> Stages | None:
        """Return stages that fit into memory, if there are any."""
        quick = good_chain(self.tables, self.search, None)
        if quick is not None:
            return quick[1]
        programme = build(self.tables, self.tables.fits, np.zeros_like(self.tables.compute_s), 1.0)
        return None if programme is None else self._solved(programme)

    def least_bottleneck(self, known: Stages) -> Least[Stages]:
        """Return the stages with the least bottleneck, given some that fit."""
        quick = good_chain(self.tables, self.search, known)
        value, stages = quick if quick is not None else (bottleneck_s(self.tables, known), known)
        while True:
            limit = value * (1 - PRECISION)
            better = self._better(limit)
            if better is None:
                return Least(value, stages, limit)
            value, stages = bottleneck_s(self.tables, better), better
            self.search.offer(self.tables.plan(stages))

    def _better(self, limit: float) -> Stages | None:
        """Return stages with no lane above a limit; ``None``: proven that there are none."""
        tables = self.tables
        alike = tables.is_uniform
        programme = build(tables, tables.fits, tables.lane_s if alike else tables.compute_s, limit)
        if programme is None:
            return None
        add_column_lanes(programme, tables.lane_s if alike else tables.compute_s)
        if not alike:
            add_boundary_lanes(programme)
        elif len(tables.media):
            add_medium(programme)
        while True:
            stages = self._solved(programme)
            if stages is None or bottleneck_s(tables, stages) <= limit:
                return stages
            self._cut_off(programme, stages, limit)

    def _cut_off(self, programme: Programme, stages: Stages, limit: float) -> None:
        """Forbid together what makes a lane busier than the limit by less than CBC's tolerance."""
        tables = self.tables
        chosen = [variable for variable in programme.z if (variable.value() or 0) > 0.5]
        parts: list[list[object]] = []
        for s in range(len(stages)):
            near = stages[max(0, s - 1) : s + 2]
            if programme.x and bottleneck_s(tables, near) > limit:
                parts.append(self._variables(programme, stages, range(max(1, s), min(s + 2, len(stages)))))
        crossing = self._variables(programme, stages, range(1, len(stages)))
        programme.forbid(
            min(parts, key=len) if parts and tables.problem.settings.overlap else crossing or chosen
        )

    def _variables(self, programme: Programme, stages: Stages, boundaries: range) -> list[object]:
        return [
            programme.x[self.place[stages[b - 1][0]], self.place[stages[b][0]], stages[b][1]]
            for b in boundaries
            if programme.x
        ]

    def _solved(self, programme: Programme) -> Stages | None:
        """Return the best stages of a programme; ``None``: proven that there are none."""
        self.search.tick()
        answer = solve_cbc(programme.problem, self.search.remaining_s)
        if answer.found and not answer.finished:
            self.search.offer(self.tables.plan(programme.invert()))
        if not answer.finished:
            self.search.tick()
            raise Interrupted("CBC stopped without an answer")
        return programme.invert() if answer.found else None

    def least_step_bound(self, known: Stages) -> Least[Stages]:
        """Return stages with a small bound on their step, and a bound on that, given some that fit."""
        value, bound = step_bound_s(self.tables, known), 0.0
        for limit in (value, None):
            programme = self._filling(value * (1 - PRECISION) if limit is None else limit)
            if programme is None:
                return Least(value, known, value * (1 - PRECISION))
            self.search.tick()
            answer = solve_cbc(programme.problem, self.search.remaining_s)
            if answer.finished and not answer.found:
                return Least(value, known, programme.limit)
            bound = max(bound, min(value, answer.bound * programme.limit / SCALE * (1 - BOUND_SLACK)))
            if answer.found:
                stages = programme.invert()
                found = step_bound_s(self.tables, stages)
                value, known = min((value, known), (found, stages), key=lambda pair: pair[0])
        return Least(value, known, bound)

    def _filling(self, limit: float) -> Programme | None:
        """Return the programme of stages with a bound on the step that is not above a limit."""
        tables, count = self.tables, self.tables.num_micro_batches
        alone = count * tables.compute_s + tables.update_s
        if tables.is_uniform:
            alone = np.maximum(alone, count * tables.lane_s)
        programme = build(tables, tables.fits, alone, limit)
        if programme is not None:
            if not tables.is_uniform:
                add_boundaries(programme)
            add_fill(programme)
        return programme

    def least_factor(self) -> tuple[float, Stages] | None:
        """Return the least factor on all memories with which stages fit, and the stages."""
        ratio = self._ratio()
        high = float(ratio[np.isfinite(ratio)].max(initial=0.0))
        programme = build(self.tables, np.isfinite(ratio), ratio, high)
        if programme is None:
            return None
        add_column_lanes(programme, ratio)
        stages = self._solved(programme)
        if stages is None:
            return None
        last = len(stages)
        parts = [ratio[self.place[n], last - s, h, i] for s, (n, h, i) in enumerate(stages)]
        return float(max(parts)), stages

    def _ratio(self) -> Floats:
        tables = self.tables
        ratio = tables.need_bytes[None] / tables.limit_bytes[:, None, None, None]
        ratio[:, 0] = math.inf
        allowed: Bools = tables.allowed[:, None]
        found: Floats = np.where(allowed, ratio, math.inf)
        return found
