"""piper: stages, replicas, tensor-parallel groups and recomputation, by Piper's cost rule.

Source: Tarnawski, Narayanan and Phanishayee, "Piper: multidimensional planner for DNN parallelization",
NeurIPS 2021, section 4: a dynamic program over the ideals of the DAG of layers, the devices and the sum of
replicas of the stages that follow.

Departs from the source in two ways. The authors choose the variants of a stage's layers greedily; here that
knapsack is solved exactly (:mod:`solver.search.measured.stage_fronts`). They minimise the load for all
numbers of devices at once; here the load has a limit, the devices are minimised
(:mod:`solver.search.measured.fewest_devices`), and the limit is bisected until the next lower one is
proven impossible.

Assumes equal devices. Declines other cost rules than ``piper``, and objectives other than ``bottleneck`` and
``time`` (a step is the bottleneck times the batch). Claim: exact, with a proof, unless the DAG has more than
``MOST_IDEALS`` ideals (then only prefixes of its topological order are cut, without a bound), or the
knapsacks of stages with many unequal blocks stay open (then with the bound of their relaxations).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from solver.errors import DeclinedError
from solver.lowering.stage_loads import cluster_rate
from solver.problem import Problem
from solver.search.incumbent import Interrupted, Search
from solver.search.measured.fewest_devices import Choice, Stages, fewest_devices, join
from solver.search.measured.ideals import Mask, ideals, prefixes
from solver.search.measured.stage_fronts import Answer, choose, fronts_from
from solver.search.measured.stage_plan import ReplicatedStage, replicated_plan
from solver.search.measured.stage_relaxation import Relaxation
from solver.search.measured.stages import Bools, Measured, measured, membership
from solver.space import Space
from solver.status import Outcome

RULES = ("piper",)
MOST_IDEALS = 1500
PRECISION = 1e-10
"""Relative distance between a score and the limit below it that is proven impossible."""
MOST_ROUNDS = 200
"""Times that stages are solved exactly to decide about one limit."""
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
    space = Space(("data", "tensor"), None, num_micro_batches=(1,), in_flight=problem.in_flight)
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
    if search.best_plan is None:
        if under_way.is_infeasible:
            return Outcome(space, infeasible=True, reason=_why(problem, search, every))
        return Outcome(space, reason="long stages may fit, but no way was found")
    bound = under_way.bound(every)
    is_proven = bound is not None and bound >= search.best_score * (1 - 2 * PRECISION)
    why = "covered" if is_proven else "covered; variants of long stages stayed open"
    return Outcome(space, bound=bound, reason=f"all sequences of stages were {why}")


def _decline(problem: Problem) -> None:
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


def _stages(problem: Problem, search: Search, data: Measured, inside: Bools) -> tuple[Stages, Stages]:
    """Return all stages between some ideals: what is possible, and what no choice is below."""
    relaxation = Relaxation(data)
    fronts = []
    for first in range(len(inside)):
        search.tick()
        fronts.append(fronts_from(first, inside, data, relaxation))
    batch = problem.job.batch
    counts = np.array([d for d in range(1, data.most_in_flight + 1) if batch % d == 0], np.int64)
    sync_s = 4 * (counts - 1) / counts / batch / cluster_rate(problem.cluster)
    rest = (data.degrees, counts, sync_s, data.most_in_flight)
    upper = join([front[0] for front in fronts], *rest)
    if all(front[0] is front[1] for front in fronts):
        return upper, upper
    return upper, join([front[1] for front in fronts], *rest)


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
        self.floor_s, self.best_s = 0.0, math.inf

    def minimise(self, cuts: Sequence[Mask]) -> None:
        """Lower the limit on the load until the next lower one is impossible; offer every plan on the way.

        Parameters
        ----------
        cuts
            The ideals, smaller ones first.
        """
        self.cuts, self.floor_s, self.is_infeasible = (), 0.0, False
        self.inside = membership(cuts, len(self.problem.workload.order))
        self.upper, self.lower = _stages(self.problem, self.search, self.data, self.inside)
        self.cuts = cuts
        self.best_s = self.search.best_score / self.scale
        if not self._try(self.best_s * (1 - PRECISION)) and self.search.best_plan is None:
            self.is_infeasible = self._least(math.inf, self.lower) is None
            return
        self._bisect(self._try, self.floor_s)
        if self.lower is not self.upper:
            self._raise_floor()
            self._bisect(self._decide, self.floor_s)

    def _bisect(self, attempt: Callable[[float], bool | None], floor_s: float) -> None:
        """Halve the distance between what is impossible and the best until an attempt answers neither."""
        halve = True
        while floor_s < (target := self.best_s * (1 - PRECISION)):
            middle = math.sqrt(max(floor_s, 1e-4 * self.best_s) * self.best_s)
            near = self.best_s < floor_s * (1 + 1e-4)
            # Near the end the next lower limit and the middle take turns: loads may lie close together.
            limit_s = min(middle, target) if halve or not near else target
            answer = attempt(limit_s)
            if answer is None:
                return
            floor_s = floor_s if answer else limit_s
            halve = not halve

    def bound(self, every: Sequence[Mask] | None) -> float | None:
        """Return the bound on the score; ``None`` unless all ideals were covered."""
        covered = every is not None and self.cuts is every and self.floor_s > 0
        return self.floor_s * self.scale if covered and math.isfinite(self.floor_s) else None

    def _least(self, limit_s: float, stages: Stages) -> list[Choice] | None:
        self.search.tick()
        found = fewest_devices(limit_s, len(self.problem.usable), stages)
        return found[1] if found else None

    def _try(self, limit_s: float) -> bool | None:
        """Look for a plan under a limit among choices that fit; offer it. A limit without one is a floor."""
        plan = self._least(limit_s, self.upper)
        if plan is None:
            if self.lower is self.upper:
                self.floor_s = limit_s
            return False
        self._realise(plan)
        return True if self.best_s <= limit_s else None

    def _raise_floor(self) -> None:
        """Raise the floor to a limit under which even relaxed stages have no plan."""
        high_s = self.best_s
        while self.floor_s * 1.001 < high_s:
            middle = math.sqrt(max(self.floor_s, 1e-4 * high_s) * high_s)
            if self._least(middle, self.lower) is None:
                self.floor_s = middle
            else:
                high_s = middle
            if high_s < 1e-6 * self.best_s:
                return

    def _decide(self, limit_s: float) -> bool | None:
        """Find a plan under a limit or prove that there is none, solving one stage after another exactly."""
        for _ in range(MOST_ROUNDS):
            plan = self._least(limit_s, self.lower)
            if plan is None:
                self.floor_s = limit_s
                return False
            answers = self._realise(plan)
            over = [
                (choice, answer)
                for choice, answer in zip(plan, answers, strict=True)
                if answer.load_s > limit_s
            ]
            if not over:
                return True
            if not any([self._tighten(choice, answer) for choice, answer in over]):
                return None
        return None

    def _tighten(self, choice: Choice, answer: Answer) -> bool:
        """Raise the relaxed points of a stage to its exact work; tell whether it helps."""
        if not answer.is_proven:
            return False
        stages = self.lower
        points = np.arange(stages.first[choice.first], stages.first[choice.first + 1])
        points = points[(stages.ideal[points] == choice.last) & (stages.degree[points] == choice.degree)]
        here = points[stages.in_flight[points] >= choice.in_flight]
        start = 1 + int(stages.in_flight[points[stages.in_flight[points] < choice.in_flight]].max(initial=0))
        members = self.inside[choice.last] & ~self.inside[choice.first]
        exact = choose(members, choice.degree, 1, start, 0.0, self.data)
        if not exact.is_proven or exact.load_s <= stages.work_s[here[0]] * (1 + 1e-12):
            return False
        stages.work_s[here] = np.maximum(stages.work_s[here], exact.load_s)
        return True

    def _realise(self, plan: Sequence[Choice]) -> list[Answer]:
        """Choose the variants of a plan's stages; offer it if it is better than the best."""
        answers, stages = [], []
        order = self.problem.workload.order
        for choice in plan:
            members = self.inside[choice.last] & ~self.inside[choice.first]
            d = choice.num_replicas
            sync_s = float(self.upper.sync_s[np.searchsorted(self.upper.counts, d)])
            answer = choose(members, choice.degree, d, choice.in_flight, sync_s, self.data)
            blocks = tuple(order[i] for i in np.flatnonzero(members))
            variants = {name: v for name, v in zip(blocks, answer.variants, strict=True) if v}
            stages.append(ReplicatedStage(blocks, d, int(self.data.degrees[choice.degree]), variants))
            answers.append(answer)
        slowest_s = max(answer.load_s for answer in answers)
        if slowest_s < self.best_s:
            self.best_s = slowest_s
            self.search.offer(replicated_plan(self.problem, stages))
        return answers


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
        _, stages = _stages(problem, search, data, membership(cuts, len(problem.workload.order)))
        search.tick()
        found = fewest_devices(math.inf, MORE_DEVICES * num_devices, stages)
    except Interrupted:
        found = None
    if found is None:
        return f"memory: no stages fit on {num_devices} devices; {has} bytes"
    return (
        f"memory: {has} bytes; stages that fit take {found[0]} devices at the least, there are {num_devices}"
    )
