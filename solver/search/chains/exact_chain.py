"""Exact planning of chains: what solvers share that find the least bottleneck of stages of one device."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Protocol

from solver.errors import DeclinedError
from solver.problem import Problem
from solver.search.chains.chain import ChainTables, Interval, decline_unless_chain
from solver.search.chains.threshold import Least
from solver.search.incumbent import Interrupted, Search
from solver.search.step_limits import KEPT, step_limits
from solver.space import Space
from solver.status import Outcome

Stages = list[Interval]
NUM_POLISHED = 300
"""Plans looked at around the one that is best by its tables."""


class ChainMethod(Protocol):
    """A way to find stages that are best by their tables."""

    def feasible(self) -> Stages | None:
        """Return stages that fit into memory, if there are any."""
        ...

    def least_bottleneck(self, known: Stages) -> Least[Stages]:
        """Return the stages with the least bottleneck, given some that fit."""
        ...

    def least_step_bound(self, known: Stages, floor: float, ceiling: float) -> Least[Stages]:
        """Return the stages with the least bound on their step, unless it is outside two limits."""
        ...

    def least_factor(self) -> tuple[float, Stages] | None:
        """Return the least factor on all memories with which stages fit, and those stages, if any."""
        ...


def solve_chain(
    problem: Problem, search: Search, method: Callable[[ChainTables, Search], ChainMethod]
) -> Outcome:
    """Find the best stages of one device each, for every number of micro-batches.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    method
        How.

    Raises
    ------
    DeclinedError
        If the problem is not a chain that is trained.

    Notes
    -----
    First the least bottleneck of every count, with many micro-batches first, since they are often best.
    Under ``bottleneck`` it is the bound. Under ``time`` the bound of a count is M times it (the busiest lane
    is busy so long), and then the least of :func:`solver.search.chains.chain_value.step_bound_s` if that is
    larger and the count can still beat what was found; the plans of both and their neighbours are
    offered. Under other objectives those plans are offered, without a bound. A count whose bound on the step
    is above the deadline has no plan.
    """
    decline_unless_chain(problem)
    if problem.objective == "latency":
        raise DeclinedError("latency is an objective of serving; this solver plans training")
    space = Space(num_micro_batches=problem.micro_batch_counts)
    under_way = _UnderWay(problem, search)
    reason = "all cuts and orders of devices were covered"
    try:
        for count in reversed(problem.micro_batch_counts):
            tables = ChainTables(problem, count)
            under_way.least_bottleneck(tables, method(tables, search))
        if not under_way.bounds:
            return Outcome(space, infeasible=True, reason=_why(problem, under_way.tight))
        if problem.objective != "bottleneck":
            under_way.improve()
        if not under_way.bounds:
            return Outcome(space, infeasible=True, reason=_why(problem, under_way.tight))
    except Interrupted as stop:
        reason = str(stop)
    return Outcome(space, bound=under_way.bound, reason=reason)


class _UnderWay:
    """What is known of each number of micro-batches."""

    def __init__(self, problem: Problem, search: Search) -> None:
        self.problem, self.search = problem, search
        self.limit_s = step_limits(problem).step_s
        self.bounds: dict[int, float] = {}
        self.tight: list[tuple[int, ChainMethod]] = []
        self.found: list[tuple[ChainTables, ChainMethod, Stages]] = []

    @property
    def bound(self) -> float | None:
        """The least bound of all counts that have plans, if all have been looked at."""
        every = len(self.bounds) + len(self.tight) == len(self.problem.micro_batch_counts)
        return min(self.bounds.values()) if every and self._is_bounded and self.bounds else None

    @property
    def _is_bounded(self) -> bool:
        return self.problem.objective in ("time", "bottleneck")

    def least_bottleneck(self, tables: ChainTables, method: ChainMethod) -> None:
        """Find the least bottleneck of one count."""
        self.search.tick()
        known = method.feasible()
        if known is None:
            self.tight.append((tables.num_micro_batches, method))
            return
        self.search.offer(tables.plan(known))
        best = method.least_bottleneck(known)
        self.search.offer(tables.plan(best.answer))
        if tables.num_micro_batches * best.bound > self.limit_s * KEPT:
            self.tight.append((tables.num_micro_batches, method))
            return
        steps = tables.num_micro_batches if self.problem.objective == "time" else 1
        self.bounds[tables.num_micro_batches] = steps * best.bound
        self.found.append((tables, method, best.answer))

    def improve(self) -> None:
        """Find the least bound on the step of every count, and better plans."""
        for tables, method, stages in self.found:
            count = tables.num_micro_batches
            ceiling = self.search.best_score if self._is_bounded else math.inf
            ceiling = min(ceiling, self.limit_s * KEPT)
            if self.bounds[count] >= ceiling:
                continue
            floor = self.bounds[count] if self._is_bounded else 0.0
            quick = method.least_step_bound(stages, floor, ceiling)
            if quick.bound > self.limit_s:
                del self.bounds[count]
                self.tight.append((count, method))
                continue
            self.bounds[count] = max(self.bounds[count], quick.bound)
            if not self._is_bounded or self.bounds[count] < self.search.best_score:
                starts = [stages] if quick.answer == stages else [stages, quick.answer]
                for start in starts:
                    _polish(self.search, tables, start, self.search.offer(tables.plan(start)))


def _polish(search: Search, tables: ChainTables, stages: Stages, score: float) -> None:
    """Walk to better neighbours: cuts moved by one block, devices exchanged."""
    left, improved = NUM_POLISHED, True
    while improved:
        improved = False
        for other in _neighbours(tables, stages):
            if left == 0:
                return
            left -= 1
            search.tick()
            found = search.offer(tables.plan(other))
            if found < score:
                stages, score, improved = other, found, True
                break


def _neighbours(tables: ChainTables, stages: Stages) -> Iterator[Stages]:
    names = [name for name, _, _ in stages]
    cuts = [0, *(i for _, _, i in stages)]
    for k in range(1, len(stages)):
        for place in (cuts[k] - 1, cuts[k] + 1):
            if cuts[k - 1] < place < cuts[k + 1]:
                yield _stages(names, [*cuts[:k], place, *cuts[k + 1 :]])
    for k in range(len(stages)):
        for other in tables.devices:
            if other not in names:
                yield _stages([*names[:k], other, *names[k + 1 :]], cuts)
        for j in range(k):
            swapped = list(names)
            swapped[j], swapped[k] = swapped[k], swapped[j]
            yield _stages(swapped, cuts)
    for k in range(len(stages) if len(stages) > 1 else 0):
        gone = cuts[:k] + cuts[k + 1 :] if k else [0, *cuts[2:]]
        yield _stages(names[:k] + names[k + 1 :], gone)


def _stages(names: list[str], cuts: list[int]) -> Stages:
    return [(name, cuts[s], cuts[s + 1]) for s, name in enumerate(names)]


def _why(problem: Problem, tight: list[tuple[int, ChainMethod]]) -> str:
    """Say which limit leaves no plan, and by how much."""
    found = [(count, method.least_factor()) for count, method in tight]
    factors = [(answer[0], count, answer[1]) for count, answer in found if answer is not None]
    if not factors:
        names = [b.data.name for b in problem.workload.blocks if b.data is not None and not b.data.may_leave]
        return (
            f"modality: {', '.join(dict.fromkeys(names))} may not leave their owners, and no chain of stages "
            "of one device each keeps every block that reads them there, whatever the memory"
        )
    factor, count, stages = min(factors, key=lambda item: item[0])
    if factor <= 1:
        return "no chain of stages of one device each that fits into memory keeps every other limit"
    tables = ChainTables(problem, count)
    parts = []
    for s, (name, h, i) in enumerate(stages):
        need = int(tables.need_bytes[len(stages) - s, h, i])
        limit = int(tables.limit_bytes[tables.devices.index(name)])
        parts.append(f"{name} would need {need} bytes and has {limit}")
    return (
        f"memory: no chain of stages of one device each fits; the nearest, with {count} micro-batches, "
        f"would if every device had {math.ceil(factor * 1e4) / 1e4:g} times its memory: {'; '.join(parts)}"
    )
