"""Search: what an algorithm is given beside the problem: seed, stopping rule, incumbents, other solvers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from solver.evaluate import judge
from solver.plan import Plan
from solver.problem import Problem
from solver.report import Report
from solver.status import Incumbent, Outcome
from solver.stop import AnyOf, Stop, TimeLimit, WorkLimit

Progress = Callable[[str, float], None]


def excess(report: Report) -> float:
    """Return how far a plan breaks its limits: the relative excesses added up; 0 if it keeps them."""
    return sum((v.given - v.allowed) / v.allowed if v.allowed else 1.0 for v in report.violations)


class Interrupted(Exception):  # not an error: the best plan so far is kept
    """The person interrupted, or the stopping rule said so."""


@dataclass
class Search:
    """A search under way.

    Parameters
    ----------
    problem
        What is decided.
    seed
        Makes everything random repeatable.
    time_limit_s, work_limit
        When to stop; ``inf`` and ``None`` for never.
    start
        A plan to begin from.
    progress
        Called with (message, best score) on news.
    call
        Runs another solver by name on the same problem, inside this search.
    mip
        Mixed-integer back end, a name of :data:`solver.formulations.mip.BACK_ENDS`.
    """

    problem: Problem
    seed: int = 0
    time_limit_s: float = math.inf
    work_limit: int | None = None
    start: Plan | None = None
    progress: Progress | None = None
    call: Callable[[str, Search], Outcome] | None = None
    mip: str = "cbc"
    work: int = 0
    best_plan: Plan | None = None
    best_report: Report | None = None
    best_score: float = math.inf
    incumbents: list[Incumbent] = field(default_factory=list)
    rejected: list[Report] = field(default_factory=list)
    nearest: Report | None = None

    def __post_init__(self) -> None:
        """Start the clock."""
        self.clock = TimeLimit(self.time_limit_s)
        rules: list[Stop] = [self.clock]
        if self.work_limit is not None:
            rules.append(WorkLimit(self.work_limit))
        self.stop: Stop = AnyOf(tuple(rules))
        self.rng = np.random.default_rng(self.seed)
        self.began = time.monotonic()

    def tick(self, units: int = 1) -> None:
        """Count work; raise when it is time to stop.

        Raises
        ------
        Interrupted
            With the reason.
        """
        self.work += units
        reason = self.stop(self.work)
        if reason:
            raise Interrupted(reason)

    @property
    def remaining_s(self) -> float:
        """Seconds left."""
        return self.clock.remaining_s

    def offer(self, plan: Plan) -> float:
        """Let the evaluator judge a plan; keep it if it is feasible and the best so far.

        Parameters
        ----------
        plan
            A sound plan.

        Returns
        -------
        float
            Its score; infinite if it breaks a limit.
        """
        report, score = judge(self.problem, plan)
        if not report.is_feasible:
            self.rejected.append(report)
            del self.rejected[:-1]
            if self.nearest is None or excess(report) < excess(self.nearest):
                self.nearest = report
            return math.inf
        if score < self.best_score:
            self.best_plan, self.best_report, self.best_score = plan, report, score
            self.incumbents.append(Incumbent(time.monotonic() - self.began, score))
            if self.progress:
                self.progress("better plan", score)
        return score
