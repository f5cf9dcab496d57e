"""Pareto: the non-dominated plans of two or more objectives, by epsilon constraints (Haimes et al., 1971).

First each objective is minimised alone: that gives the ranges. Then the first one is minimised again and
again while the others are held below steps of their ranges, down to the least known of each; each search
begins from the best plan known that keeps them. Points between which no weighting of the objectives would
choose are found too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from models.errors import Fault, InputError
from solver.evaluate import evaluate, judge, score
from solver.plan import Plan
from solver.problem import OBJECTIVES, Problem
from solver.report import Report
from solver.solve import begun, solve

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class FrontPoint:
    """A plan and its figures.

    Parameters
    ----------
    plan, report
        The plan and what it costs.
    figures
        By objective, in its unit.
    found_by
        What was minimised, under which limits.
    """

    plan: Plan
    report: Report
    figures: dict[str, float]
    found_by: str


@dataclass(frozen=True)
class Front:
    """Non-dominated plans.

    Parameters
    ----------
    objectives
        Names; all are minimised.
    points
        By increasing figure of the first objective; none is at least as good as another in everything.
    num_searches
        How often a solver was asked.
    wall_s
        How long it took.
    """

    objectives: tuple[str, ...]
    points: tuple[FrontPoint, ...]
    num_searches: int
    wall_s: float

    def to_json(self) -> dict[str, Any]:
        """Return the front as plain data, without the plans."""
        return {
            "objectives": {name: OBJECTIVES[name][1] for name in self.objectives},
            "points": [{**point.figures, "found_by": point.found_by} for point in self.points],
            "num_searches": self.num_searches,
            "wall_s": self.wall_s,
        }


def pareto(
    problem: Problem,
    objectives: Sequence[str],
    solver: str = "best",
    *,
    num_steps: int = 8,
    time_limit_s: float = math.inf,
    work_limit: int | None = None,
    seed: int = 0,
    start: Plan | None = None,
    progress: Progress | None = None,
    mip: str = "cbc",
) -> Front:
    """Find non-dominated plans.

    Parameters
    ----------
    problem
        What is decided; its own objective is not used, its limits hold.
    objectives
        Two or more names of objectives.
    solver
        Asked for every point.
    num_steps
        Steps into which the range of every objective but the first is divided.
    time_limit_s, work_limit
        For everything together; shared out evenly.
    seed, start, mip
        As for :func:`solver.solve.solve`.
    progress
        Called with (message, figure of the first objective) after every search.

    Raises
    ------
    InputError
        If the objectives are not two or more different ones.
    """
    if faults := tuple(front_faults(objectives, num_steps)):
        raise InputError(faults, "pareto")
    walk = _Walk(problem, tuple(objectives), solver, seed, start, progress, mip)
    searches = len(objectives) + num_steps ** (len(objectives) - 1)
    walk.share(time_limit_s, work_limit, searches)
    for name in objectives:
        walk.minimise(name, {})
    if walk.found:
        for limits in _grid(walk.found, objectives, num_steps):
            walk.minimise(objectives[0], limits)
    return Front(
        tuple(objectives),
        tuple(_non_dominated(walk.found, objectives)),
        walk.num_searches,
        time.monotonic() - walk.began,
    )


def front_faults(objectives: Sequence[str], num_steps: int = 2) -> Iterator[Fault]:
    """Yield why there is no front of such objectives.

    Parameters
    ----------
    objectives, num_steps
        As in :func:`pareto`.
    """
    known = [name for name in OBJECTIVES if name != "weighted"]
    for i, name in enumerate(objectives):
        if name not in known:
            yield Fault(f"objectives.{i}", f"no objective {name!r}; there are: {', '.join(known)}")
    if len(set(objectives)) < 2 or len(set(objectives)) < len(objectives):
        yield Fault("objectives", "give two or more different objectives, as time,energy")
    if num_steps < 2:
        yield Fault("num_steps", f"must be 2 or more; given: {num_steps}")


class _Walk:
    """Searches one after another; every plan found is kept."""

    def __init__(
        self,
        problem: Problem,
        objectives: tuple[str, ...],
        solver: str,
        seed: int,
        start: Plan | None,
        progress: Progress | None,
        mip: str,
    ) -> None:
        self.problem, self.objectives, self.solver = problem, objectives, solver
        self.seed, self.progress, self.mip = seed, progress, mip
        self.began = time.monotonic()
        self.found: list[FrontPoint] = []
        self.num_searches = 0
        if start is not None:
            start = begun(problem, start)
            if judge(problem, start)[0].is_feasible:
                self._keep(start, "start")

    def share(self, time_limit_s: float, work_limit: int | None, searches: int) -> None:
        """Divide the limits evenly."""
        self.until, self.left = self.began + time_limit_s, searches
        self.work = None if work_limit is None else max(1, work_limit // searches)

    def minimise(self, name: str, limits: dict[str, float]) -> None:
        """Minimise one objective below limits on others, from the best plan known that keeps them."""
        at_most = {**self.problem.at_most}
        for other, limit in limits.items():
            at_most[other] = min(limit, at_most.get(other, math.inf))
        seconds = (self.until - time.monotonic()) / max(1, self.left)
        self.left -= 1
        if seconds <= 0:
            return
        within = [p for p in self.found if all(p.figures[n] <= at for n, at in limits.items())]
        nearest = min(within, key=lambda point: point.figures[name], default=None)
        solution = solve(
            replace(self.problem, objective=name, weights={}, at_most=at_most),
            self.solver,
            time_limit_s=seconds,
            work_limit=self.work,
            seed=self.seed,
            start=nearest.plan if nearest else None,
            mip=self.mip,
        )
        self.num_searches += 1
        if solution.plan is not None:
            words = ", ".join(f"{other} <= {limit:.4g}" for other, limit in limits.items())
            point = self._keep(solution.plan, f"least {name}" + (f" with {words}" if words else ""))
            if self.progress:
                self.progress(f"{self.num_searches} searches", point.figures[self.objectives[0]])

    def _keep(self, plan: Plan, words: str) -> FrontPoint:
        problem = self.problem
        report = evaluate(plan, problem.workload, problem.cluster, problem.settings)
        figures = {name: score(report, name) for name in self.objectives}
        self.found.append(FrontPoint(plan, report, figures, words))
        return self.found[-1]


def _grid(found: list[FrontPoint], objectives: Sequence[str], num_steps: int) -> Iterator[dict[str, float]]:
    """Yield limits on all objectives but the first, the loosest ones first."""
    axes = []
    for name in objectives[1:]:
        figures = [point.figures[name] for point in found]
        axes.append(np.linspace(max(figures), min(figures), num_steps + 1)[1:])
    for values in product(*axes):
        yield dict(zip(objectives[1:], map(float, values), strict=True))


def _non_dominated(found: list[FrontPoint], objectives: Sequence[str]) -> Iterator[FrontPoint]:
    """Yield the points that no other one matches in everything, each once."""
    seen: list[tuple[float, ...]] = []
    for point in sorted(found, key=lambda point: tuple(point.figures[name] for name in objectives)):
        values = tuple(point.figures[name] for name in objectives)
        if not any(all(a <= b for a, b in zip(other, values, strict=True)) for other in seen):
            seen.append(values)
            yield point
