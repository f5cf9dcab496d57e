"""Packed scores: what points of a search are worth, in batches where they cover the problem, else one by one.

The batch is equal to the evaluator, so a point it finds feasible and better than all before is decoded and
offered; nothing else reaches the evaluator. Graphs are scored at once too, but each plan counts as a unit of
work of its own, as if the evaluator had walked it. Where neither covers a problem (serving, other cost rules)
every point is lowered and walked.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from models.errors import InputError
from solver.batch import BatchScorer, BatchScores
from solver.batch_graph import GraphScorer
from solver.problem import Problem
from solver.program import Floats, Longs
from solver.search.batch_figures import (
    SCORED,
    asked_of,
    beyond_limits,
    needs_accounts,
    scorer_of,
    value_of,
)
from solver.search.incumbent import Search, excess
from solver.search.packed.fill import most_stages
from solver.search.packed.points import Points, to_plan, to_plans

POINTS_A_TICK = 256
"""Points of a batch that count as one unit of work: about what one plan costs the evaluator."""
MOST_ENTRIES = 10_000_000
"""Times of blocks on devices that are tabled at most, over all micro-batch counts that may be chosen."""
MOST_PASSES = 100_000
"""Micro-batches times the square of the most stages that are put in order at most."""
MOST_WALKED = 100_000
"""Micro-batches times stages of graphs that are walked, about, before the clock is looked at."""
BEYOND = 1000.0
"""Value of a point that breaks a limit is above it, where points are ranked strictly."""


def choice_of_counts(problem: Problem) -> tuple[int, ...]:
    """Return the micro-batch counts a search chooses from: all, of a big problem only large ones.

    Parameters
    ----------
    problem
        What is decided.

    Notes
    -----
    The batch tables times for every number of samples of a micro-batch, and puts micro-batches in order for
    every number of stages. So counts are taken from the largest down as long as there is room, without those
    of too many micro-batches; one is always taken.
    """
    counts = [count for count in problem.micro_batch_counts if _passes(problem, count) <= MOST_PASSES]
    left = MOST_ENTRIES
    kept = 0
    for count in reversed(counts):
        left -= _entries(problem, count)
        if left < 0:
            break
        kept += 1
    # Of a big problem with nothing between too many passes and too large micro-batches: the larger ones.
    return tuple(counts[-kept:] if kept else (counts or list(problem.micro_batch_counts[:1]))[-1:])


def _passes(problem: Problem, count: int) -> int:
    """Return how many stages and micro-batches are put in order for all numbers of stages."""
    return count * most_stages(problem) ** 2


def _entries(problem: Problem, count: int) -> int:
    """Return how many times are tabled for a micro-batch count."""
    samples = problem.job.batch // count
    return (samples + 1) * len(problem.workload.order) * len(problem.cluster.devices)


class PackedScores:
    """Scores points of a problem, counts the work, and offers the best.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    counts
        Micro-batch counts that ``Points.choice`` numbers.
    """

    def __init__(self, problem: Problem, search: Search, counts: tuple[int, ...]) -> None:
        self.problem, self.search, self.counts = problem, search, counts
        self._scorers: dict[int, BatchScorer] = {}
        self._pending: Points | None = None
        self._pending_value = math.inf
        self._owed = 0
        self._counts = needs_accounts(problem)
        self.is_batch = self._covered(BatchScorer)
        self.is_graph = not self.is_batch and problem.placement is None and self._covered(GraphScorer)

    def score(self, points: Points) -> tuple[Floats, Floats]:
        """Return how good points are.

        Parameters
        ----------
        points
            Hybrid pipelines.

        Returns
        -------
        tuple of arrays
            (B,) logarithms of their scores, and (B,) how far they break limits, 0 if they keep them.

        Raises
        ------
        Interrupted
            When it is time to stop; what was found before is not lost.
        """
        if not self.is_batch:
            return self._in_turn(points) if self.is_graph else self._one_by_one(points)
        values, broken = np.zeros(len(points.choice)), np.zeros(len(points.choice))
        for c in np.unique(points.choice).tolist():
            some = np.flatnonzero(points.choice == c)
            part = points.take(some)
            scores = self._scorer(c).score(to_plans(part), energy=self._counts)
            values[some] = np.log(np.maximum(value_of(self.problem, scores), 1e-300))
            broken[some] = self._broken(part, scores)
            self._note(part, values[some], broken[some])
            self._tick(len(some))
        return values, broken

    def strict(self, points: Points) -> Floats:
        """Return (B,) values of points; those that break a limit are worse than all that do not.

        Parameters
        ----------
        points
            Hybrid pipelines.
        """
        values, broken = self.score(points)
        found: Floats = np.where(broken > 0, BEYOND + broken, values)
        return found

    def flush(self) -> None:
        """Offer the best point found since the last time."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self.search.offer(to_plan(self.problem, pending, 0, self.counts))

    def _covered(self, kind: type[BatchScorer]) -> bool:
        """Return whether a kind of scorer knows the problem's figures; it is what scores from then on."""
        if not asked_of(self.problem) <= set(SCORED):
            return False
        self._kind = kind
        try:
            self._scorer(0)
        except InputError:
            return False
        return True

    def _scorer(self, c: int) -> BatchScorer:
        known = next(iter(self._scorers.values()), None)
        if c not in self._scorers and isinstance(known, GraphScorer):
            samples = self.problem.job.batch // self.counts[c]
            self._scorers[c] = known.with_samples(self.counts[c], samples)
        elif c not in self._scorers:
            self._scorers[c] = scorer_of(self.problem, self.counts[c], self._kind)
        return self._scorers[c]

    def _broken(self, points: Points, scores: BatchScores) -> Floats:
        """Return how far limits are broken, as :func:`solver.search.incumbent.excess` counts it."""
        broken = beyond_limits(self.problem, scores)
        if self._barred.any():
            broken += self._misplaced(points)
        if self.problem.participants is not None or self.problem.all_take_part:
            broken += self._other_participants(points)
        return broken

    def _other_participants(self, points: Points) -> Floats:
        """Return how many devices take part and may not, or must and do not."""
        used, usable = points.stage_of >= 0, np.isin(self._names, self.problem.usable)
        wrong = used & ~usable
        if self.problem.all_take_part:
            wrong = used != usable
        counted: Floats = wrong.sum(axis=1).astype(float)
        return counted

    @cached_property
    def _names(self) -> list[str]:
        return [device.name for device in self.problem.cluster.devices]

    @cached_property
    def _barred(self) -> Longs:
        """(D, L + 1): blocks before a block whose data a device does not own and may not get."""
        devices, order = self.problem.cluster.devices, self.problem.workload.order
        found = np.zeros((len(devices), len(order) + 1), np.int64)
        for k, name in enumerate(order):
            data = self.problem.workload.by_name[name].data
            if data is not None and not data.may_leave and any(data.name in d.data for d in devices):
                found[:, k + 1] = [data.name not in d.data for d in devices]
        return found.cumsum(axis=1)

    def _misplaced(self, points: Points) -> Floats:
        """Return how many blocks stand where their data may not go."""
        b, d = np.nonzero(points.stage_of >= 0)
        s = points.stage_of[b, d]
        start = np.where(s > 0, points.ends[b, s - 1], 0)
        wrong = self._barred[d, points.ends[b, s]] - self._barred[d, start]
        misplaced: Floats = np.bincount(b, wrong, len(points.choice)).astype(float)
        return misplaced

    def _note(self, points: Points, values: Floats, broken: Floats) -> None:
        """Remember the best point; offer the one that breaks limits least while there is nothing else."""
        kept = np.where(broken > 0, BEYOND + broken, values)
        best = int(kept.argmin())
        known = math.log(max(self.search.best_score, 1e-300)) if self.search.best_plan else math.inf
        if kept[best] < min(self._pending_value, known - 1e-12):
            self._pending, self._pending_value = points.take([best]), float(kept[best])

    def _tick(self, num_points: int) -> None:
        self._owed += num_points
        units, self._owed = divmod(self._owed, POINTS_A_TICK)
        self.search.tick(units)

    def _in_turn(self, points: Points) -> tuple[Floats, Floats]:
        """Score graphs some at once, then count and judge them in turn, as :meth:`_one_by_one` does."""
        walked = np.cumsum(np.array(self.counts)[points.choice] * points.num_stages)
        starts = np.flatnonzero(np.diff(walked // MOST_WALKED, prepend=-1))
        values, broken = np.zeros(len(walked)), np.zeros(len(walked))
        for some in np.split(np.arange(len(walked)), starts[1:]):
            self.search.tick(0)
            scores, broken[some] = self._figures(points.take(some))
            for b, score in zip(some.tolist(), scores.tolist(), strict=True):
                self.search.tick()
                if self._is_news(score, float(broken[b]), int(points.num_stages[b])):
                    self.search.offer(to_plan(self.problem, points, b, self.counts))
                values[b] = 0.0 if broken[b] > 0 else math.log(max(score, 1e-300))
        return values, broken

    def _figures(self, points: Points) -> tuple[Floats, Floats]:
        """Return (B,) figures of graphs under the objective, and how far they break limits."""
        values, broken = np.zeros(len(points.choice)), np.zeros(len(points.choice))
        for c in np.unique(points.choice).tolist():
            mine = np.flatnonzero(points.choice == c)
            part = points.take(mine)
            scores = self._scorer(c).score(to_plans(part), energy=self._counts)
            values[mine], broken[mine] = value_of(self.problem, scores), self._broken(part, scores)
        return values, broken

    def _is_news(self, score: float, broken: float, num_stages: int) -> bool:
        """Return whether a plan is the best so far, or the nearest to the limits while there is none."""
        search = self.search
        if broken == 0:
            return search.is_better(score, num_stages)
        return search.best_plan is None and (search.nearest is None or broken < excess(search.nearest))

    def _one_by_one(self, points: Points) -> tuple[Floats, Floats]:
        values, broken = np.zeros(len(points.choice)), np.zeros(len(points.choice))
        for b in range(len(points.choice)):
            self.search.tick()
            found = self.search.offer(to_plan(self.problem, points, b, self.counts))
            if math.isinf(found):
                broken[b] = excess(self.search.rejected[-1])
            else:
                values[b] = math.log(max(found, 1e-300))
        return values, broken
