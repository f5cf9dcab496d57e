"""interval_ilp: exact plans of chains with one device a stage, by a mixed-integer programme on intervals.

Source: set partitioning with one column per (machine, interval), as in the pipeline planners that follow
Tarnawski et al., "Efficient algorithms for device placement of DNN graph operators", NeurIPS 2020,
arXiv:2006.16423 (section 5 has the programme on contiguous sets); here columns carry their depth, which
memory depends on, and those that cannot be in a plan better than a quickly found one are never made.
Solved by the CBC that PuLP carries. Memory, lanes and shared media are those of the evaluator.

CBC's tolerances are not ours: its solutions are costed anew, and it is asked again for something strictly
better, with the columns that cannot be in it removed and lanes that are too busy cut off by cover
inequalities, until it proves that there is nothing.

The deadline, budgets of energy and carbon, batteries and a limit on bytes to less trusted devices are rows of
the programme, see :mod:`solver.formulations.limit_rows`; a solution that breaks a limit nevertheless, or
another limit, is forbidden by itself, so that what is proven is proven of plans that keep all limits.

Assumes a chain that is trained; declines others. Claim: exact under ``bottleneck`` for every micro-batch
count allowed; under ``time`` a plan and a valid bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np

from solver.errors import InternalError
from solver.formulations.interval_columns import (
    Programme,
    add_boundaries,
    add_boundary_lanes,
    add_fill,
    add_medium,
    build,
    least_pass_s,
)
from solver.formulations.limit_rows import LimitRows
from solver.formulations.mip import solve_mip
from solver.problem import Problem
from solver.program import Floats
from solver.search.batch_figures import has_limits
from solver.search.chains.beam import good_chain
from solver.search.chains.chain import Bools, ChainTables
from solver.search.chains.chain_value import bottleneck_s, step_bound_s
from solver.search.chains.exact_chain import Stages, solve_chain
from solver.search.chains.threshold import PRECISION, Least, least
from solver.search.chains.trust import untrusted_bytes, untrusted_limit
from solver.search.incumbent import Interrupted, Search
from solver.search.power.alone import kept_alone, limited_model
from solver.search.power.costs import PowerModel
from solver.status import Outcome

ROUNDING = 1e-12
"""Relative difference that is rounding; far less than the distance of two limits."""
CBC_TOLERANCE = 1e-6
"""Relative difference that CBC may overlook."""
STEP_COARSE = 0.02
"""Relative distance of bounds on a step from which on it is asked for anything better at all."""


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
        """Return stages that fit into memory, if there are any; good ones where they are quickly found."""
        quick = good_chain(self.tables, self.search)
        if quick is not None and self._keeps_limits(quick[1]):
            return quick[1]
        programme = build(self.tables, self._fits, np.zeros_like(self.tables.compute_s), math.inf)
        if programme is None:
            return None
        self._add_limits(programme)
        return self._solved(programme, self._keeps_limits)

    def least_bottleneck(self, known: Stages) -> Least[Stages]:
        """Return the stages with the least bottleneck, given some that fit."""
        value = bottleneck_s(self.tables, known)
        better = self._attempt(value * (1 - PRECISION))
        if better is None:
            return Least(value, known, value * (1 - PRECISION))
        return least(self._attempt, self.tables.work_s, better)

    def _attempt(self, limit: float) -> tuple[float, Stages] | None:
        stages = self._better(limit)
        if stages is None:
            return None
        self.search.offer(self.tables.plan(stages))
        return bottleneck_s(self.tables, stages), stages

    def _better(self, limit: float) -> Stages | None:
        """Return stages with no lane above a limit; ``None``: proven that there are none."""
        tables = self.tables
        alike = tables.is_uniform
        programme = build(tables, self._fits, tables.lane_s if alike else tables.compute_s, limit)
        if programme is None:
            return None
        if not alike:
            add_boundary_lanes(programme)
        elif len(tables.media):
            add_medium(programme)
        self._add_limits(programme)
        while True:
            stages = self._solved(programme, self._keeps_limits)
            if stages is None or bottleneck_s(tables, stages) <= limit * (1 + ROUNDING):
                return stages
            if not programme.cut_off():
                raise InternalError("a programme's lanes are not those of its tables")

    def _solved(self, programme: Programme, keeps: Callable[[Stages], bool]) -> Stages | None:
        """Return the best stages of a programme that keep limits; ``None``: proven that there are none."""
        while True:
            self.search.tick()
            answer = solve_mip(programme.problem, self.search.remaining_s, self.search.mip)
            if answer.found and not answer.finished:
                self.search.offer(self.tables.plan(programme.invert()))
            if not answer.finished:
                self.search.tick()
                raise Interrupted(f"{self.search.mip} stopped without an answer")
            stages = programme.invert() if answer.found else None
            if stages is None or keeps(stages):
                return stages
            programme.cut_off()
            programme.forbid()

    @cached_property
    def _model(self) -> PowerModel | None:
        return limited_model(self.tables.problem, self.tables.num_micro_batches)

    @cached_property
    def _fits(self) -> Bools:
        """Which stages fit, and keep every limit alone."""
        if self._model is None:
            return self.tables.fits
        found: Bools = self.tables.fits & kept_alone(self._model)[:, None]
        return found

    def _add_limits(self, programme: Programme) -> None:
        if self._model is not None:
            if not self.tables.is_uniform:
                add_boundaries(programme)
            LimitRows(programme, self._model).add()

    def _keeps_limits(self, stages: Stages) -> bool:
        """Return whether stages keep every limit, as the evaluator says where there are any."""
        problem = self.tables.problem
        if not has_limits(problem) and problem.placement is None:
            return True
        return math.isfinite(self.search.offer(self.tables.plan(stages)))

    def _is_trusted(self, stages: Stages) -> bool:
        return untrusted_bytes(self.tables, stages) <= untrusted_limit(self.tables.problem)

    def least_step_bound(self, known: Stages, floor: float, ceiling: float) -> Least[Stages]:
        """Return the stages with the least bound on their step, unless it is outside two limits."""
        tables, count = self.tables, self.tables.num_micro_batches
        alone = count * tables.compute_s + tables.update_s
        alone = np.maximum(alone, count * tables.compute_s + least_pass_s(tables)[None, :, None])
        if tables.is_uniform:
            alone = np.maximum(alone, count * tables.lane_s)

        def attempt(limit: float) -> tuple[float, Stages] | None:
            programme = build(tables, self._fits, alone, limit)
            if programme is None:
                return None
            if not tables.is_uniform:
                add_boundaries(programme)
            add_fill(programme)
            self._add_limits(programme)
            stages = self._solved(programme, self._keeps_limits)
            if stages is None:
                return None
            value = step_bound_s(tables, stages)
            return value if value < limit else limit * (1 - CBC_TOLERANCE), stages

        start = step_bound_s(tables, known), known
        found = least(attempt, floor, start, ceiling=ceiling, coarse=STEP_COARSE)
        return Least(step_bound_s(tables, found.answer), found.answer, found.bound)

    def least_factor(self) -> tuple[float, Stages] | None:
        """Return the least factor on all memories with which stages fit, and the stages."""
        ratio = self._ratio()

        def attempt(limit: float) -> tuple[float, Stages] | None:
            programme = build(self.tables, np.isfinite(ratio), ratio, limit)
            stages = None if programme is None else self._solved(programme, self._is_trusted)
            if stages is None:
                return None
            last = len(stages)
            parts = [ratio[self.place[n], last - s, h, i] for s, (n, h, i) in enumerate(stages)]
            return float(max(parts)), stages

        first = attempt(float(ratio[np.isfinite(ratio)].max(initial=0.0)))
        if first is None:
            return None
        found = least(attempt, 1.0 - 1e-9, first)
        return found.value, found.answer

    def _ratio(self) -> Floats:
        tables = self.tables
        ratio = tables.need_bytes[None] / tables.limit_bytes[:, None, None, None]
        ratio[:, 0] = math.inf
        allowed: Bools = tables.allowed[:, None]
        found: Floats = np.where(allowed, ratio, math.inf)
        return found
