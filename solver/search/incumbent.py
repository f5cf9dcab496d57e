"""Search: what an algorithm is given beside the problem: seed, stopping rule, incumbents, other solvers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from solver.evaluate import Known, judge
from solver.plan import Plan
from solver.problem import Problem
from solver.report import Report
from solver.space import Space
from solver.status import Bound, Incumbent, Outcome
from solver.stop import AnyOf, Stop, TimeLimit, WorkLimit
from solver.working_clock import working_s

Progress = Callable[[str, float], None]


ALIKE = 1e-12
"""Relative difference at which two scores are alike: figures are sums, rounded in another order."""


def excess(report: Report) -> float:
    """Return how far a plan breaks its limits: the relative excesses added up; 0 if it keeps them."""
    return sum(violation.excess for violation in report.violations)


def _num_stages(plan: Plan) -> int:
    return sum(len(pipeline.stages) for pipeline in plan.pipelines)


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
    parent
        The search that this one is a part of: it counts this one's work, and hears of its plans and bounds.
    known
        What plans cost that were judged before; ``None``: each is judged whenever it is offered.
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
    nearest_plan: Plan | None = None
    parent: Search | None = None
    known: Known | None = None
    bounds: list[Bound] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start the clock."""
        self.clock = TimeLimit(self.time_limit_s)
        rules: list[Stop] = [self.clock]
        if self.work_limit is not None:
            rules.append(WorkLimit(self.work_limit))
        self.stop: Stop = AnyOf(tuple(rules))
        self.rng = np.random.default_rng(self.seed)
        self.began = working_s()

    def tick(self, units: int = 1) -> None:
        """Count work; raise when it is time to stop.

        Raises
        ------
        Interrupted
            With the reason.
        """
        self.work += units
        if self.parent is not None:
            self.parent.tick(units)
        reason = self.stop(self.work)
        if reason:
            raise Interrupted(reason)

    @property
    def remaining_s(self) -> float:
        """Seconds left."""
        outer = math.inf if self.parent is None else self.parent.remaining_s
        return min(self.clock.remaining_s, outer)

    def part(
        self, share: float, *, most_s: float = math.inf, knows_best: bool = True, seed: int = 0
    ) -> Search:
        """Return a search that is a part of this one: what it finds counts here at once.

        Parameters
        ----------
        share
            Its part of the time, or of the work, that is left.
        most_s
            Most seconds where there is no work limit.
        knows_best
            Whether it begins with the best plan so far.
        seed
            Added to the seed.
        """
        work = None
        if self.work_limit is not None:
            work, most_s = max(1, round(share * (self.work_limit - self.work))), math.inf
        seconds = min(most_s, share * self.remaining_s)
        start, call, mip = self.start, self.call, self.mip
        inner = Search(self.problem, self.seed + seed, seconds, work, start, call=call, mip=mip, parent=self)
        inner.known = self.known
        if knows_best:
            inner.best_plan, inner.best_report = self.best_plan, self.best_report
            inner.best_score = self.best_score
        return inner

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
        report, score = judge(self.problem, plan, self.known)
        self._hear(plan, report, score)
        return score if report.is_feasible else math.inf

    def _hear(self, plan: Plan, report: Report, score: float) -> None:
        """Take note of a plan that was judged."""
        if self.parent is not None:
            self.parent._hear(plan, report, score)
        if not report.is_feasible:
            self.rejected.append(report)
            del self.rejected[:-1]
            if self.nearest is None or excess(report) < excess(self.nearest):
                self.nearest, self.nearest_plan = report, plan
        elif self.is_better(score, _num_stages(plan)):
            is_news = score < self.best_score * (1 - ALIKE)
            self.best_plan, self.best_report, self.best_score = plan, report, score
            if not is_news:
                return
            self.incumbents.append(Incumbent(working_s() - self.began, score))
            if self.progress:
                self.progress("better plan", score)

    def is_better(self, score: float, num_stages: int) -> bool:
        """Return whether a plan goes before the best one: by score, by fewer stages where those are alike.

        Parameters
        ----------
        score, num_stages
            Of a plan that keeps every limit.
        """
        if self.best_plan is None or abs(score - self.best_score) > ALIKE * abs(self.best_score):
            return score < self.best_score
        before = _num_stages(self.best_plan)
        return num_stages < before or (num_stages == before and score < self.best_score)

    def bound(self, value: float, space: Space) -> None:
        """Take note that no plan of a space scores less than a value.

        Parameters
        ----------
        value
            In the objective's unit; infinite if no plan of the space keeps every limit.
        space
            What it is said of.
        """
        if self.parent is not None:
            self.parent.bound(value, space)
        known = self.bound_of(space)
        if not math.isnan(value) and (known is None or value > known):
            self.bounds.append(Bound(working_s() - self.began, value, space))
            if self.progress and self.best_plan is not None:
                self.progress(f"bound {value:.6g}", self.best_score)

    def widest_bound(self) -> Bound | None:
        """Return the finite bound whose space covers most of the others'; ``None`` if there is none."""
        finite = [one for one in self.bounds if math.isfinite(one.value)]
        width = {one.space: sum(one.space.covers(other.space) for other in finite) for one in finite}
        return max(finite, key=lambda one: (width[one.space], one.value), default=None)

    def bound_of(self, space: Space) -> float | None:
        """Return the largest bound that holds for a space; ``None`` if there is none.

        Parameters
        ----------
        space
            A bound on a space that covers it holds for it.
        """
        return max((one.value for one in self.bounds if one.space.covers(space)), default=None)
