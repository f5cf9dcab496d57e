"""Price: what a limit costs: the best plan without it, and the best plans under several values of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from models.errors import Fault, InputError
from solver.evaluate import judge, score
from solver.plan import Plan
from solver.problem import OBJECTIVES, Problem, limit_faults
from solver.report import Report
from solver.solve import begun, solve
from solver.status import Status

MOST_PASSES = 3
"""Times that limits are searched under while the plan without them still gets better."""

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Limit:
    """A largest figure of an objective, as it was asked for.

    Parameters
    ----------
    objective
        A key of :data:`solver.problem.OBJECTIVES`.
    value
        In the objective's unit, or a part of the figure of the plan without the limit.
    is_part
        Whether it is such a part.
    """

    objective: str
    value: float
    is_part: bool = False


@dataclass(frozen=True)
class Priced:
    """The best plan found under a limit.

    Parameters
    ----------
    limit
        ``None``: without one.
    allowed
        Its value in the objective's unit.
    status, reason
        How the search ended; infeasible: why no plan keeps it.
    plan, report, score
        The plan, what it costs, and its figure of the problem's objective; ``None`` without a plan.
    """

    limit: Limit | None
    allowed: float
    status: Status
    reason: str
    plan: Plan | None = None
    report: Report | None = None
    score: float | None = None


@dataclass(frozen=True)
class PriceList:
    """What limits cost.

    Parameters
    ----------
    objective
        What is minimised.
    free
        Without any of the limits.
    rows
        By limit, as asked.
    figures
        Objectives that are shown of every plan: what is minimised, what is limited, time, energy, and what
        the cluster gives words for.
    """

    objective: str
    free: Priced
    rows: tuple[Priced, ...]
    figures: tuple[str, ...]

    def change(self, row: Priced, objective: str) -> float | None:
        """Return how much a figure is above that of the plan without limits, as a part of it.

        ``None`` where there is no plan, and for more than nothing.
        """
        if row.report is None or self.free.report is None:
            return None
        before, now = score(self.free.report, objective), score(row.report, objective)
        return now / before - 1 if before else (0.0 if now == 0 else None)

    def to_json(self) -> dict[str, Any]:
        """Return the list as plain data, without the plans."""
        return {
            "objective": self.objective,
            "units": {name: OBJECTIVES[name][1] for name in self.figures},
            "free": self._row_json(self.free),
            "limits": [self._row_json(row) for row in self.rows],
        }

    def _row_json(self, row: Priced) -> dict[str, Any]:
        found: dict[str, Any] = {"status": row.status.name, "reason": row.reason}
        if row.limit is not None:
            found = {"limit": row.limit.objective, "allowed": row.allowed, **found}
        if row.report is not None:
            found |= {name: score(row.report, name) for name in self.figures}
            found["change"] = {name: self.change(row, name) for name in self.figures}
        return found


def price(
    problem: Problem,
    limits: Sequence[Limit],
    solver: str = "best",
    *,
    time_limit_s: float = math.inf,
    work_limit: int | None = None,
    seed: int = 0,
    start: Plan | None = None,
    progress: Progress | None = None,
    mip: str = "cbc",
) -> PriceList:
    """Find the best plan without limits, and the best one under each of them.

    Parameters
    ----------
    problem
        What is decided; its own limits hold throughout.
    limits
        Priced one by one.
    solver
        Asked for every plan; it begins with the best one known that keeps the limit.
    time_limit_s, work_limit
        For everything together; shared out evenly.
    seed, start, mip
        As for :func:`solver.solve.solve`.
    progress
        Called with (message, score) after every search.

    Raises
    ------
    InputError
        If a limit is not on an objective that the cluster gives figures of.

    Notes
    -----
    A plan found under a limit counts for every limit that it keeps, so that a tighter one is never cheaper.
    Where it betters the plan without limits, those that are a part of that plan's figure are searched anew.
    """
    _check(problem, limits)
    walk = _Walk(problem, solver, seed, mip, progress, time_limit_s, work_limit, 1 + len(limits))
    if start is not None:
        walk.known.append(begun(problem, start))
    walk.find(None, math.inf)
    walk.under(limits)
    rows = {limit: walk.best_row(limit) for limit in (None, *limits)}
    return PriceList(
        problem.objective,
        rows[None],
        tuple(rows[limit] for limit in limits),
        _figures(problem, limits),
    )


class _Walk:
    """Searches one after another; every plan found is kept."""

    def __init__(
        self,
        problem: Problem,
        solver: str,
        seed: int,
        mip: str,
        progress: Progress | None,
        time_limit_s: float,
        work_limit: int | None,
        searches: int,
    ) -> None:
        self.problem, self.solver, self.seed, self.mip, self.progress = problem, solver, seed, mip, progress
        self.until, self.left = time.monotonic() + time_limit_s, searches
        self.work = None if work_limit is None else max(1, work_limit // searches)
        self.known: list[Plan] = []
        self.ended: dict[Limit | None, Priced] = {}

    def find(self, limit: Limit | None, allowed: float) -> Priced:
        """Search under a limit, unless the plan without one keeps it already."""
        held = self._held(limit, allowed)
        seconds = max(0.0, (self.until - time.monotonic()) / max(1, self.left))
        self.left -= 1
        best = self._best(held)
        free = self.ended.get(None)
        if best is not None and free is not None and best[1] is free.plan:
            found = replace(free, limit=limit, allowed=allowed, reason="the plan without the limit keeps it")
        else:
            start = best[1] if best is not None else None
            solution = solve(
                held,
                self.solver,
                time_limit_s=seconds,
                work_limit=self.work,
                seed=self.seed,
                start=start,
                mip=self.mip,
            )
            answer = solution.plan, solution.report, solution.score
            found = Priced(limit, allowed, solution.status, solution.reason, *answer)
        if found.plan is not None:
            self.known.append(found.plan)
        self.ended[limit] = found
        if self.progress:
            self.progress(f"{len(self.ended)} searches", math.nan if found.score is None else found.score)
        return found

    def under(self, limits: Sequence[Limit]) -> None:
        """Search under every limit, and again where it is a part of a figure that has become smaller since.

        A plan found under a limit may be better than the one found first without any.
        """
        asked: dict[Limit, float] = {}
        for _ in range(MOST_PASSES):
            free = self.best_row(None)
            allowed = {limit: _value(limit, free) for limit in limits}
            again = [limit for limit in limits if asked.get(limit) != allowed[limit]]
            if not again:
                return
            self.left = max(self.left, len(again))
            for limit in sorted(again, key=lambda limit: allowed[limit]):
                self.find(limit, allowed[limit])
            asked = allowed

    def best_row(self, limit: Limit | None) -> Priced:
        """Return the answer to a limit: the best of all plans found that keep it."""
        row = self.ended[limit]
        best = self._best(self._held(limit, row.allowed))
        if best is None or (row.score is not None and best[0] >= row.score):
            return row
        reason = "found under another limit"
        return replace(
            row, status=Status.FEASIBLE, reason=reason, plan=best[1], report=best[2], score=best[0]
        )

    def _held(self, limit: Limit | None, allowed: float) -> Problem:
        at_most = dict(self.problem.at_most)
        if limit is not None:
            at_most[limit.objective] = min(allowed, at_most.get(limit.objective, math.inf))
        return replace(self.problem, at_most=at_most)

    def _best(self, held: Problem) -> tuple[float, Plan, Report] | None:
        judged = [(judge(held, plan), plan) for plan in self.known]
        kept = [(value, plan, report) for (report, value), plan in judged if report.is_feasible]
        return min(kept, key=lambda one: one[0], default=None)


def _value(limit: Limit, free: Priced) -> float:
    """Return a limit in its unit; a part of nothing known is nothing."""
    if not limit.is_part:
        return limit.value
    return limit.value * score(free.report, limit.objective) if free.report is not None else 0.0


def _figures(problem: Problem, limits: Sequence[Limit]) -> tuple[str, ...]:
    asked = [problem.objective] if problem.objective != "weighted" else list(problem.weights)
    asked += [limit.objective for limit in limits]
    devices = problem.cluster.devices
    carbon = ["carbon"] if all(d.carbon_g_per_kwh is not None for d in devices) else []
    trust = ["untrusted"] if len({d.trust for d in devices}) > 1 else []
    return tuple(dict.fromkeys([*asked, "time", "energy", *carbon, *trust]))


def _check(problem: Problem, limits: Sequence[Limit]) -> None:
    faults = [] if limits else [Fault("limits", "give one at least, as untrusted=0")]
    for i, limit in enumerate(limits):
        wrong = list(limit_faults(limit.objective, limit.value))
        faults += [Fault(f"limits.{i}", message) for message in wrong]
        if not wrong:
            try:
                replace(problem, at_most={**problem.at_most, limit.objective: 1.0})
            except InputError as error:
                faults += [Fault(f"limits.{i}", fault.message) for fault in error.faults]
    if faults:
        raise InputError(faults, "price")
