"""piper: stages, replicas, tensor-parallel groups and recomputation, by Piper's cost rule.

Source: Tarnawski, Narayanan and Phanishayee, "Piper: multidimensional planner for DNN parallelization",
NeurIPS 2021, section 4: a dynamic program over the ideals of the DAG of layers, the devices and the sum of
replicas of the stages that follow.

Departs from the source in two ways. The authors choose the variants of a stage's layers greedily; here that
knapsack is solved exactly (:mod:`solver.search.stage_fronts`). They minimise the load for all numbers of
devices at once; here the load has a limit, the devices are minimised (:mod:`solver.search.fewest_devices`),
and the limit is bisected until the next lower one is proven impossible.

Assumes equal devices. Declines other cost rules than ``piper``, and objectives other than ``bottleneck`` and
``time`` (a step is the bottleneck times the batch). Claim: exact, with a proof, unless the DAG has more than
``MOST_IDEALS`` ideals (then only prefixes of its topological order are cut, without a bound) or a front was
thinned (no bound).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from solver.errors import DeclinedError
from solver.lowering.stage_loads import cluster_rate
from solver.problem import Problem
from solver.search.fewest_devices import Choice, Stages, fewest_devices, join
from solver.search.ideals import Mask, ideals, prefixes
from solver.search.incumbent import Interrupted, Search
from solver.search.stage_fronts import Measured, choose, fronts_from, measured, membership
from solver.search.stage_plan import ReplicatedStage, replicated_plan
from solver.space import Space
from solver.status import Outcome

Inside = NDArray[np.bool_]

MOST_IDEALS = 1500
PRECISION = 1e-10
"""Relative distance between a score and the limit below it that is proven impossible."""
MORE_DEVICES = 16
"""Where no plan fits: how many times the devices are looked at to say how many it would take."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Find the stages with the least load of the slowest one.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        With the reason.
    """
    _decline(problem)
    space = Space(("data", "tensor"), None, num_micro_batches=(1,), share_step=None)
    chain = prefixes(problem.workload)
    every = ideals(problem.workload, MOST_IDEALS)
    under_way = _Bisection(problem, search)
    try:
        if every is None or len(every) > 2 * len(chain):
            under_way.minimise(chain)
        if every is None:
            reason = f"more than {MOST_IDEALS} ideals: only prefixes of the topological order were cut"
            return Outcome(space, reason=reason)
        under_way.minimise(every)
    except Interrupted as stop:
        return Outcome(space, bound=under_way.bound(every), reason=str(stop))
    if not under_way.is_exact:
        return Outcome(space, reason="all stages were tried, but variants of long ones were thinned")
    if search.best_plan is None:
        return Outcome(space, infeasible=True, reason=_why(problem, search, every))
    return Outcome(space, bound=under_way.bound(every), reason="all sequences of stages were covered")


def _decline(problem: Problem) -> None:
    rule = problem.settings.rule
    if rule != "piper":
        raise DeclinedError(f"plans under the cost rule piper only; the rule here is {rule}")
    if problem.objective not in ("bottleneck", "time"):
        raise DeclinedError(f"minimises bottleneck or time; the objective here is {problem.objective}")
    if len({problem.cluster.by_name[name].memory_bytes.value for name in problem.usable}) > 1:
        raise DeclinedError("Piper's devices are all alike; here they differ in memory")
    if 1 not in problem.micro_batch_counts:
        raise DeclinedError("the rule piper shares out the whole batch: it needs 1 micro-batch")


def _data(problem: Problem, num_devices: int) -> Measured:
    memory = problem.cluster.by_name[problem.usable[0]].memory_bytes.value
    most = min(num_devices, problem.job.batch)
    return measured(problem.workload, cluster_rate(problem.cluster), memory, most)


def _stages(problem: Problem, search: Search, data: Measured, inside: Inside) -> tuple[Stages, bool]:
    """Return all stages between some ideals, and whether nothing of them was thinned."""
    fronts = []
    for first in range(len(inside)):
        search.tick()
        fronts.append(fronts_from(first, inside, data))
    batch = problem.job.batch
    counts = np.array([d for d in range(1, data.most_in_flight + 1) if batch % d == 0], np.int64)
    sync_s = 4 * (counts - 1) / counts / batch / cluster_rate(problem.cluster)
    stages = join(fronts, data.degrees, counts, sync_s, data.most_in_flight)
    return stages, all(front.is_exact for front in fronts)


class _Bisection:
    """The least bottleneck of stages that are differences of given ideals.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """

    def __init__(self, problem: Problem, search: Search) -> None:
        self.problem, self.search = problem, search
        self.scale = 1.0 if problem.objective == "bottleneck" else float(problem.job.batch)
        self.data = _data(problem, len(problem.usable))
        self.cuts: Sequence[Mask] = ()
        self.is_exact, self.floor_s = False, 0.0

    def minimise(self, cuts: Sequence[Mask]) -> None:
        """Lower the limit on the load until the next lower one is impossible; offer every plan on the way.

        Parameters
        ----------
        cuts
            The ideals, smaller ones first.
        """
        self.cuts, self.is_exact, self.floor_s = cuts, False, 0.0
        self.inside = membership(cuts, len(self.problem.workload.order))
        self.stages, self.is_exact = _stages(self.problem, self.search, self.data, self.inside)
        self.best_s = self.search.best_score / self.scale
        if not self._try(self.best_s * (1 - PRECISION)):
            return
        halve = True
        while self.floor_s < (target := self.best_s * (1 - PRECISION)):
            middle = math.sqrt(max(self.floor_s, 1e-4 * self.best_s) * self.best_s)
            near = self.best_s < self.floor_s * (1 + 1e-4)
            # Near the end the next lower limit and the middle take turns: loads may lie close together.
            limit = min(middle, target) if halve or not near else target
            self._try(limit)
            halve = not halve

    def bound(self, every: Sequence[Mask] | None) -> float | None:
        """Return the bound on the score; ``None`` unless all ideals and variants were covered."""
        covered = every is not None and self.cuts is every and self.is_exact
        return self.floor_s * self.scale if covered and math.isfinite(self.floor_s) else None

    def _try(self, limit_s: float) -> bool:
        """Look for a plan under a limit: keep and offer it, or raise the floor."""
        self.search.tick()
        found = fewest_devices(limit_s, len(self.problem.usable), self.stages)
        if found is None:
            self.floor_s = limit_s
            return False
        self.best_s = max(self._load_s(choice) for choice in found[1])
        self.search.offer(replicated_plan(self.problem, [self._stage(choice) for choice in found[1]]))
        return True

    def _load_s(self, choice: Choice) -> float:
        """Return the least load of a stage with the micro-batches that are in flight."""
        stages = self.stages
        points = slice(stages.first[choice.first], stages.first[choice.first + 1])
        fits = (stages.ideal[points] == choice.last) & (stages.degree[points] == choice.degree)
        fits &= stages.in_flight[points] >= choice.in_flight
        load = stages.work_s[points] / choice.num_replicas
        load += stages.parameter_bytes[points] * self._sync_s(choice)
        return float(load[fits].min())

    def _sync_s(self, choice: Choice) -> float:
        return float(self.stages.sync_s[np.searchsorted(self.stages.counts, choice.num_replicas)])

    def _stage(self, choice: Choice) -> ReplicatedStage:
        members = self.inside[choice.last] & ~self.inside[choice.first]
        order = self.problem.workload.order
        blocks = tuple(order[i] for i in np.flatnonzero(members))
        d, degree = choice.num_replicas, int(self.data.degrees[choice.degree])
        chosen = choose(members, choice.degree, d, choice.in_flight, self._sync_s(choice), self.data)
        variants = {name: v for name, v in zip(blocks, chosen, strict=True) if v}
        return ReplicatedStage(blocks, d, degree, variants)


def _why(problem: Problem, search: Search, cuts: Sequence[Mask]) -> str:
    """Return why no plan fits, with the numbers."""
    num_devices = len(problem.usable)
    data = _data(problem, MORE_DEVICES * num_devices)
    has = f"a device has {data.memory_bytes:.0f}"
    for i, name in enumerate(problem.workload.order):
        measured_on = [(t, v) for t, count in enumerate(data.num_variants[i]) for v in range(count)]
        needed = min(data.in_flight_bytes[i, t, v] + data.fixed_bytes[i, t, v] for t, v in measured_on)
        if needed > data.memory_bytes:
            return f"memory: block {name} alone needs {needed:.0f} bytes of every device, and {has}"
    try:
        stages, _ = _stages(problem, search, data, membership(cuts, len(problem.workload.order)))
        search.tick()
        found = fewest_devices(math.inf, MORE_DEVICES * num_devices, stages)
    except Interrupted:
        found = None
    if found is None:
        return f"memory: no stages fit on {num_devices} devices; {has} bytes"
    return (
        f"memory: {has} bytes; stages that fit take {found[0]} devices at the least, there are {num_devices}"
    )
