"""Coalitions: the best plan known of every group of devices; whatever is planned for one counts for all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from solver.evaluate import judge
from solver.participation.kinds import (
    Counts,
    Kinds,
    all_counts,
    counts_of,
    group_of,
    kinds_of,
    num_groups,
    within,
)
from solver.participation.planner import Planner
from solver.participation.rename import renamed
from solver.participation.together import together
from solver.plan import Plan, participants_of
from solver.problem import Problem
from solver.report import Report
from solver.solve import solve

MOST_EXACT = 10
"""Devices up to which every group is planned for."""
SOLVER_WORK = 20_000
"""Units of work of a solver that chooses participants itself."""


@dataclass(frozen=True)
class Found:
    """A plan in which a group takes part, every one of it.

    Parameters
    ----------
    plan, report, score
        The plan, what it costs, and its figure under the problem's objective.
    """

    plan: Plan
    report: Report
    score: float

    @property
    def participants(self) -> frozenset[str]:
        """Who takes part."""
        return participants_of(self.plan)


@dataclass
class Coalitions:
    """Groups of a problem's usable devices, and the best plans known of them.

    Parameters
    ----------
    problem
        What is decided; everything is judged for the whole cluster, so those that are left out cost what the
        problem says.
    planner
        Who plans for a group.
    heard
        Called with the plan, or ``None``, of every group that was planned for, in turn.
    time_limit_s
        Seconds from now on for all groups together; then no more are planned for.
    told
        Called before every group with how many there were, and how many there are at most.
    """

    problem: Problem
    planner: Planner
    heard: Callable[[Counts, bool, Plan | None], None] | None = None
    time_limit_s: float = math.inf
    told: Callable[[int, int], None] | None = None
    known: dict[Counts, Found] = field(default_factory=dict)
    asked: set[tuple[Counts, bool]] = field(default_factory=set)
    was_stopped: bool = False

    def __post_init__(self) -> None:
        """Find which devices can be exchanged."""
        self.kinds: Kinds = kinds_of(self.problem)
        self._until_s = time.monotonic() + self.time_limit_s

    @property
    def size(self) -> Counts:
        """All usable devices, as a group."""
        return tuple(len(kind) for kind in self.kinds)

    @property
    def is_small(self) -> bool:
        """Whether every group can be planned for."""
        return len(self.problem.usable) <= MOST_EXACT

    def counts(self, group: Collection[str]) -> Counts:
        """Return how many devices of each kind a group has."""
        return counts_of(self.kinds, group)

    def group(self, counts: Counts) -> frozenset[str]:
        """Return the devices that stand for all groups of these counts."""
        return group_of(self.kinds, counts)

    def of_all(self, counts: Counts) -> Found | None:
        """Return the best plan known in which exactly such a group takes part; plan for it once.

        Parameters
        ----------
        counts
            Devices of each kind.
        """
        if (counts, True) not in self.asked:
            self._ask(counts, everyone=True, start=self.known.get(counts))
        return self.known.get(counts)

    def of_some(self, counts: Counts) -> Found | None:
        """Return the best plan known of such a group, some of which may be left out; plan for it once.

        Parameters
        ----------
        counts
            Devices of each kind.
        """
        if (counts, False) not in self.asked:
            self._ask(counts, everyone=False, start=self.best_known(counts))
        return self.best_known(counts)

    def best_known(self, counts: Counts) -> Found | None:
        """Return the best plan known of a group or of a part of it: who may be left out never harms."""
        inside = [found for key, found in self.known.items() if within(key, counts)]
        return min(inside, key=lambda found: found.score, default=None)

    def every_group(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Plan for every group once up to exchanges of equal devices.

        Parameters
        ----------
        progress
            Told (done, all).
        """
        groups = list(all_counts(self.kinds))
        for done, counts in enumerate(groups, 1):
            self.of_all(counts)
            if progress is not None:
                progress(done, len(groups))

    def from_solver(self, name: str) -> Found | None:
        """Return the plan of a solver for the whole cluster, as it chooses participants itself.

        Parameters
        ----------
        name
            Name in the catalogue.
        """
        if (left_s := self._left_s()) <= 0:
            return None
        solution = solve(
            self._open, name, time_limit_s=left_s, seed=self.planner.seed, work_limit=SOLVER_WORK
        )
        return None if solution.plan is None else self.hear(solution.plan)

    def hear(self, plan: Plan) -> Found:
        """Take note of a plan that keeps every limit; its devices become those that stand for their kinds.

        Parameters
        ----------
        plan
            For the whole cluster.
        """
        used = participants_of(plan)
        counts = self.counts(used)
        stands = self.group(counts)
        names: dict[str, str] = {}
        for kind in self.kinds:
            extra = [name for name in kind if name in used - stands]
            names |= zip(extra, [name for name in kind if name in stands - used], strict=True)
        plan = renamed(plan, names) if names else plan
        report, score = judge(self._open, plan)
        found = Found(plan, report, score)
        if report.is_feasible and (counts not in self.known or score < self.known[counts].score):
            self.known[counts] = found
        return found

    @property
    def _open(self) -> Problem:
        """The problem as it is for any group."""
        return replace(self.problem, all_take_part=False)

    def _left_s(self) -> float:
        """Return the seconds that are left; where there are none, something was left undone."""
        left_s = self._until_s - time.monotonic()
        self.was_stopped |= left_s <= 0
        return left_s

    def _ask(self, counts: Counts, *, everyone: bool, start: Found | None) -> None:
        if (left_s := self._left_s()) <= 0:
            return
        self.asked.add((counts, everyone))
        if self.told is not None:
            self.told(len({known for known, _ in self.asked}), num_groups(self.kinds))
        group = self.group(counts)
        begin = start.plan if start is not None else together(self._open, group) if everyone else None
        solution = self.planner(self.problem, group, everyone=everyone, start=begin, time_limit_s=left_s)
        if solution.plan is not None:
            self.hear(solution.plan)
        self._left_s()  # a plan that time cut short is left undone too
        if self.heard is not None:
            self.heard(counts, everyone, solution.plan)
