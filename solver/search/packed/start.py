"""Packed start: where searches over hybrid pipelines begin: known plans, single devices, chains, chance."""

from __future__ import annotations

import numpy as np

from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.packed.fill import (
    PATTERNS,
    Rule,
    fill_point,
    make_rule,
    most_stages,
    random_points,
    set_patterns,
)
from solver.search.packed.points import Points, empty, from_plan, joined
from solver.search.packed.scores import PackedScores, choice_of_counts
from solver.search.rings import ring_rule
from solver.space import Space

MOST_CELLS = 4_000_000
"""Samples of devices in stages that a population has at most: what its plans take, unpacked."""


class Ground:
    """What searches over hybrid pipelines stand on.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """

    def __init__(self, problem: Problem, search: Search) -> None:
        self.problem, self.search = problem, search
        self.counts = choice_of_counts(problem)
        self.rule: Rule = make_rule(problem, self.counts)
        self.num_stages = most_stages(problem)
        self.scores = PackedScores(problem, search, self.counts)

    @property
    def space(self) -> Space:
        """The plans among which a search looks."""
        group = 1 if self.problem.job.kind == "serve" else None
        rings = ring_rule(self.problem)
        return Space(("data",), group, self.num_stages, self.counts, self.problem.in_flight, rings=rings)

    def population(self, wanted: int, wanted_slow: int) -> int:
        """Return how many points to hold at once.

        Parameters
        ----------
        wanted, wanted_slow
            How many where the batch scores them, and where the evaluator does, one by one.
        """
        if not self.scores.is_batch:
            return wanted_slow
        cells = self.num_stages * len(self.problem.cluster.devices)
        return max(16, min(wanted, MOST_CELLS // cells))

    def known(self) -> Points:
        """Return the search's plans that are such points, single devices, and even chains by speed."""
        listed = [self._textbook()]
        for plan in (self.search.best_plan, self.search.start):
            point = None if plan is None else from_plan(self.problem, plan, self.counts, self.num_stages)
            if point is not None:
                listed.insert(0, point)
        return joined(listed)

    def random(self, size: int) -> Points:
        """Return random points.

        Parameters
        ----------
        size
            How many.
        """
        points = random_points(self.rule, size, self.num_stages, self.search.rng)
        if self.rule.caps_are_free:
            set_patterns(points, self.search.rng.integers(0, PATTERNS, size), self.rule)
        return points

    def _textbook(self) -> Points:
        """Return single devices, groups and chains of the fastest and of the roomiest, for every count.

        Notes
        -----
        A chain has its roomiest or its fastest device first. Shares and cuts follow speed, memory or both;
        caps are the schedule's own, and where they are free just enough to fill the pipeline too.
        """
        rule, movable = self.rule, self.rule.movable
        kinds = []
        for how in (0, 1):
            devices = movable[np.argsort(-rule.weights[how, 0, movable], kind="stable")]
            for size in range(1, min(len(devices), self.num_stages) + 1):
                kinds += [(devices[:size], True, flavour) for flavour in ((0, 1, 2) if size > 1 else (0,))]
                if 1 < size <= rule.max_group:
                    kinds += [(devices[:size], False, flavour) for flavour in (0, 1, 2)]
        patterns = (0, 1) if rule.caps_are_free else (0,)
        wanted = [(*kind, c, p) for kind in kinds for c in range(len(self.counts)) for p in patterns]
        points = empty(len(wanted), self.num_stages, rule.weights.shape[2])
        for b, (devices, chained, flavour, choice, pattern) in enumerate(wanted):
            points.choice[b] = choice
            points.num_stages[b] = len(devices) if chained else 1
            points.stage_of[b, devices] = np.arange(len(devices)) if chained else 0
            fill_point(points, b, rule, flavour, pattern)
        return points
