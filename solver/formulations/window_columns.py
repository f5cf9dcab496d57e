"""Window columns: the best stages for some blocks in a row and some devices, the rest of a pipeline fixed.

A column is an interval of the window's blocks on a group of its devices, so many stages before the window's
end. CP-SAT chooses a path of columns that covers the window and uses no device twice, such that

    (M - 1) * T + sum of what one micro-batch spends in each stage, with its reduction

is least, where T is the largest time of a stage, those outside the window included: what a pipeline of M
micro-batches takes if it is never held up. A surrogate: the evaluator says what the answer is worth. Columns
that need more memory than a member has are left out. Solved by one worker within deterministic time, so the
same window has the same answer on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np

from solver.formulations.cp_sat import new_solver, solve_cp
from solver.problem import Problem
from solver.program import Floats, Longs
from solver.search.literature.block_tables import BlockTables

TICKS = 10**6
"""Integer ticks of the largest time of a column."""
DETERMINISTIC_S = 0.1
"""Deterministic time of one answer."""
NEVER_S = 1e12
"""Time of a block on a device that may not hold it."""
MOST_CUTS = 9
"""Places where a window may be cut, ends included."""

Known = list[tuple[int, int, tuple[int, ...]]]
"""Stages: first block, the block after the last, and devices."""
Chosen = list[tuple[int, int, tuple[int, ...], int]]
"""The same, and what shares follow: 0 speed, 1 memory."""
Column = tuple[int, int, int, tuple[int, ...], int]
"""First block, the block after the last, stages to the window's end, devices, and what shares follow."""


@dataclass(frozen=True)
class Window:
    """What is decided anew.

    Parameters
    ----------
    start, end
        Its blocks.
    after
        Stages behind it.
    groups
        Groups of devices, each by numbers of usable devices, that a stage may have.
    known
        The stages it has now.
    floor_s
        Largest time of a stage outside it.
    """

    start: int
    end: int
    after: int
    groups: tuple[tuple[int, ...], ...]
    known: Known
    floor_s: float


class StageCosts:
    """What stages of groups cost, in the surrogate's terms.

    Parameters
    ----------
    problem, num_micro_batches
        What is decided.
    fills
        Whether caps are just enough to fill the pipeline, instead of the schedule's own.
    """

    def __init__(self, problem: Problem, num_micro_batches: int, *, fills: bool) -> None:
        self.tables = BlockTables(problem, num_micro_batches)
        self.num_micro_batches, self.fills = num_micro_batches, fills
        tables = self.tables
        compute = np.where(np.isfinite(tables.compute_s), tables.compute_s, NEVER_S)
        self.compute_s = np.concatenate((np.zeros((len(compute), 1)), compute.cumsum(axis=1)), axis=1)
        self.speed = 1 / np.maximum(self.compute_s[:, -1], 1e-300)
        blocks = [problem.costs.block(name) for name in problem.workload.order]
        self.static = _before([b.weight_bytes + b.trained_bytes for b in blocks])
        self.static += _before([problem.costs.state_bytes(b.trained_bytes) for b in blocks])
        self.kept = _before([b.kept_bytes for b in blocks])
        self.trained = _before([b.trained_bytes for b in blocks])
        latency, per_byte = tables.links
        off = ~np.eye(len(latency), dtype=bool)
        self.per_byte = per_byte
        self.boundary_s = np.zeros(len(blocks) + 1)
        for source, target, size, passes in tables.edges:
            # An edge crosses every boundary between its ends.
            if off.any():
                middle = float(np.median((latency + size * per_byte)[off]))
                self.boundary_s[source + 1 : target + 1] += passes * middle

    def parts(self, group: Sequence[int], how: int = 0) -> Floats:
        """Return the part of a micro-batch of every member, by speed (0) or memory (1)."""
        weight = self.tables.limit_bytes[list(group)] if how else self.speed[list(group)]
        parts: Floats = weight / weight.sum()
        return parts

    def stage_s(self, start: int, end: int, group: Sequence[int], how: int = 0) -> float:
        """Return the time of a stage for a micro-batch, or of its messages if that is more."""
        work = self.compute_s[list(group), end] - self.compute_s[list(group), start]
        compute = float((work * self.parts(group, how)).max())
        return max(compute, float(self.boundary_s[start]), float(self.boundary_s[end]))

    def once_s(self, start: int, end: int, group: Sequence[int], how: int = 0) -> float:
        """Return what one micro-batch spends in a stage and before it, and the stage's reduction."""
        reduction = 0.0
        if len(group) > 1:
            slowest = float(self.per_byte[np.ix_(group, group)].max())
            size = float(self.trained[end] - self.trained[start])
            reduction = 2 * (len(group) - 1) / len(group) * size * slowest
        return self.stage_s(start, end, group, how) + float(self.boundary_s[start]) + reduction

    def fits(self, start: int, end: int, depth: int, group: Sequence[int], how: int = 0) -> bool:
        """Return whether all members have room for a stage at a depth."""
        if (self.compute_s[list(group), end] - self.compute_s[list(group), start] >= NEVER_S).any():
            return False
        cap = min(self.num_micro_batches, depth if self.fills else 2 * depth - 1)
        if self.tables.problem.schedule == "gpipe":
            cap = self.num_micro_batches
        kept = float(self.kept[end] - self.kept[start]) * self.tables.samples * cap
        need = float(self.static[end] - self.static[start]) + kept * self.parts(group, how)
        return bool((need <= self.tables.limit_bytes[list(group)]).all())


def _before(values: list[int]) -> Longs:
    return np.concatenate(([0], np.cumsum(np.array(values, np.int64))))


def repair(costs: StageCosts, window: Window, seed: int, seconds: float) -> Chosen | None:
    """Return the window's best stages; ``None`` if none are found.

    Parameters
    ----------
    costs
        Of stages.
    window
        What is decided.
    seed
        Of the solver.
    seconds
        Most wall time.
    """
    from ortools.sat.python import cp_model

    columns = _columns(costs, window)
    if not columns:
        return None
    times = np.array([costs.stage_s(start, end, group, how) for start, end, _, group, how in columns])
    once = np.array([costs.once_s(start, end, group, how) for start, end, _, group, how in columns])
    scale = TICKS / max(float(times.max()), float(once.max()), window.floor_s, 1e-300)
    model = cp_model.CpModel()
    chosen = [model.new_bool_var(f"x{c}") for c in range(len(columns))]
    _add_path(model, window, columns, chosen)
    devices = sorted({d for group in window.groups for d in group})
    for d in devices:
        model.add_at_most_one(x for x, column in zip(chosen, columns, strict=True) if d in column[3])
    longest = model.new_int_var(int(window.floor_s * scale), 2 * TICKS, "T")
    ticks = np.rint(times * scale).astype(int).tolist()
    for k in sorted({column[0] for column in columns}):
        mine = [(x, t) for x, t, c in zip(chosen, ticks, columns, strict=True) if c[0] <= k < c[1]]
        model.add(sum(t * x for x, t in mine) <= longest)
    whole = np.rint(once * scale).astype(int).tolist()
    spent = sum(o * x for x, o in zip(chosen, whole, strict=True))
    model.minimize((costs.num_micro_batches - 1) * longest + spent)
    known = set(window.known)
    for x, column in zip(chosen, columns, strict=True):
        model.add_hint(x, (column[0], column[1], column[3]) in known)
    solver = new_solver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = seed
    solver.parameters.max_deterministic_time = DETERMINISTIC_S
    solver.parameters.max_time_in_seconds = min(seconds, 3600.0)
    if solve_cp(solver, model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    found = [column for x, column in zip(chosen, columns, strict=True) if solver.value(x)]
    return [(start, end, group, how) for start, end, _, group, how in sorted(found)]


def _columns(costs: StageCosts, window: Window) -> list[Column]:
    """Return all columns that fit; shares follow memory only where they do not fit by speed."""
    size = window.end - window.start
    evenly = np.linspace(window.start, window.end, min(MOST_CUTS, size + 1)).round().astype(int).tolist()
    cuts = sorted({*evenly, *(start for start, _, _ in window.known)})
    deepest = min(len({d for group in window.groups for d in group}), len(window.known) + 1)
    found: list[Column] = []
    for start, end in combinations(cuts, 2):
        levels = (1,) if end == window.end else range(2, deepest + 1)
        for level, group in product(levels, window.groups):
            ways = (0, 1) if len(group) > 1 else (0,)
            how = next((w for w in ways if costs.fits(start, end, window.after + level, group, w)), None)
            if how is not None:
                found.append((start, end, level, group, how))
    return found


def _add_path(model: Any, window: Window, columns: list[Column], chosen: list[Any]) -> None:
    """Add that the columns chosen cover the window, each before the one that is one level nearer its end."""
    begins: dict[tuple[int, int], list[Any]] = {}
    ends: dict[tuple[int, int], list[Any]] = {}
    for x, (start, end, level, _, _) in zip(chosen, columns, strict=True):
        begins.setdefault((start, level), []).append(x)
        ends.setdefault((end, level - 1), []).append(x)
    first = [x for (start, _), found in begins.items() if start == window.start for x in found]
    model.add_exactly_one(first)
    for node in {*begins, *ends}:
        if node[0] not in (window.start, window.end):
            into, out = begins.get(node, []), ends.get(node, [])
            model.add(sum(into) == sum(out))
