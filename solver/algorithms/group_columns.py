"""group_columns: hybrid pipelines by column generation over block intervals on groups of devices.

Assumes a chain that is trained, a micro-batch count that is given or a divisor of the batch, 62 devices at
most. Declines otherwise. For every micro-batch count the least limit on the busiest lane is searched that the
relaxation cannot refute (see :mod:`solver.formulations.group_columns`): the bound, under ``bottleneck`` as it
is and under ``time`` times the number of micro-batches; a count of which that is above the deadline has no
plan. Limits above it are given to the mixed-integer programme over the columns seen, and every pipeline found
is offered. Claim: a valid bound over stages of any group in mode data with any integer shares; plans without
a promise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from solver.errors import DeclinedError
from solver.formulations.group_columns import Column, Master, Path, build, invert
from solver.formulations.mip import solve_mip
from solver.plan import Stage, pipeline_plan
from solver.problem import Problem
from solver.program import Floats
from solver.search.chains.chain import decline_unless_chain
from solver.search.hybrid.group_caps import GroupCaps
from solver.search.incumbent import Interrupted, Search
from solver.search.step_limits import KEPT, step_limits
from solver.space import Space
from solver.status import Outcome

MOST_BYTES = 1_000_000_000
"""Of the tables of one micro-batch count: loads of stages on devices, and at which depths they fit."""
PRECISION = 1e-3
"""Relative distance between the largest limit refuted and the least one that is not, at which it stops."""
STEPS = 6
"""Limits, each so much larger than the one before, that are given to the mixed-integer programme."""
MAX_PATHS = 400
"""Paths after which a limit counts as not refuted."""
RANDOM_PRICES = 60
"""Random prices at which columns are made for every limit, beside those that the relaxation makes."""
EPSILON = 1e-7
"""Slack of the proof: prices are rounded."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Search the least limit of every micro-batch count.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """
    decline_unless_chain(problem)
    if len(problem.usable) > 62:
        raise DeclinedError("group_columns names groups by the bits of a number: 62 devices at most")
    if problem.objective == "latency":
        raise DeclinedError("latency is an objective of serving; this solver plans training")
    space = Space(("data",), None, num_micro_batches=problem.micro_batch_counts, in_flight=problem.in_flight)
    bounds, reason = [], "limits of all micro-batch counts were searched"
    try:
        for count in reversed(problem.micro_batch_counts):
            groups = GroupCaps(problem, count, search)
            if groups.num_bytes > MOST_BYTES:
                reason = f"micro-batches of {groups.samples} samples take tables of {groups.num_bytes} bytes"
                reason += f"; {MOST_BYTES} at most"
                break
            walk = _Limits(search, groups)
            steps = count if problem.objective == "time" else 1
            limit_s = walk.least_limit_s()
            is_late = count * limit_s > step_limits(problem).step_s * KEPT
            bounds.append(math.inf if is_late else steps * limit_s)
            walk.look_for_plans()
    except Interrupted as stop:
        reason = str(stop)
    if len(bounds) < len(problem.micro_batch_counts) or problem.objective not in ("time", "bottleneck"):
        return Outcome(space, reason=reason)
    if math.isinf(min(bounds)):
        kept = (
            "fits into memory" if math.isinf(step_limits(problem).step_s) else "keeps memory and the deadline"
        )
        return Outcome(space, infeasible=True, reason=f"no pipeline of groups {kept}")
    return Outcome(space, bound=min(bounds), reason=reason)


@dataclass
class _Limits:
    """The search for the least limit of one micro-batch count.

    Parameters
    ----------
    search
        What counts the work.
    groups
        Least loads.
    paths
        Paths seen.
    """

    search: Search
    groups: GroupCaps
    paths: list[Path] = field(default_factory=list)
    least_s: float = math.inf

    def least_limit_s(self) -> float:
        """Return the largest limit refuted, seconds; infinite if every limit is."""
        if self.is_refuted(math.inf):
            return math.inf
        low = self.groups.low_s
        high = max(low, 1e-12)
        while self.is_refuted(high):
            low, high = high, 1.5 * high
        while high - low > PRECISION * high:
            middle = (low + high) / 2
            low, high = (middle, high) if self.is_refuted(middle) else (low, middle)
        self.least_s = high
        return low

    def is_refuted(self, limit_s: float) -> bool:
        """Return whether it is proven that no pipeline keeps a limit."""
        master = Master(self.groups, limit_s, self.paths)
        num = len(self.groups.devices)
        cheapest = master.price(_even(num))
        for _ in range(MAX_PATHS):
            self.search.tick()
            if cheapest is None or cheapest[0] > 1 + EPSILON:
                return True
            if cheapest[1] in master.paths:
                break
            master.paths.append(cheapest[1])
            self._keep(cheapest[1])
            used, prices = master.mix()
            if used <= 1 + EPSILON:
                break
            cheapest = master.price(prices)
        return False

    def _keep(self, path: Path) -> None:
        if path not in self.paths:
            self.paths.append(path)

    def look_for_plans(self) -> None:
        """Give limits from the least one on to the mixed-integer programme."""
        if math.isinf(self.least_s):
            return
        for step in range(STEPS):
            limit_s = self.least_s * (1 + 0.02 * (2**step - 1))
            self.search.tick()
            self.is_refuted(limit_s)
            master = Master(self.groups, limit_s, self.paths)
            for prices in self.search.rng.dirichlet(np.ones(len(self.groups.devices)), RANDOM_PRICES):
                self.search.tick()
                priced = master.price(prices)
                if priced:
                    self._keep(priced[1])
            programme, z = build(Master(self.groups, limit_s, self.paths))
            answer = solve_mip(programme, self.search.remaining_s, self.search.mip) if z else None
            if answer is not None and answer.found:
                self._offer(invert(z), limit_s)

    def _offer(self, columns: list[Column], limit_s: float) -> None:
        problem = self.groups.problem
        order, stages = problem.workload.order, []
        for c in columns:
            shares = self.groups.shares(c.members(), c.start, c.end, c.depth, limit_s)
            stages.append(Stage(blocks=order[c.start : c.end], shares=shares))
        self.search.offer(pipeline_plan(problem, stages, self.groups.num_micro_batches))


def _even(num: int) -> Floats:
    return np.full(num, 1 / num)
