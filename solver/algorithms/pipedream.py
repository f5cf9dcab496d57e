"""pipedream: stages of replicated devices, by PipeDream's optimiser.

Source: Narayanan et al., "PipeDream: generalized pipeline parallelism for DNN training", SOSP 2019, section
3.1, and the authors' ``optimizer_graph_hierarchical.py`` (one level): a dynamic program over prefixes of the
net (ideals, of a DAG) and numbers of devices that minimises the slowest stage.

- Under the cost rule ``pipedream`` the program is exact: every sequence of stages between ideals, with any
  number of equal devices, fewer than there are allowed. Beyond ``MOST_IDEALS`` ideals only prefixes of the
  topological order are cut, without a bound.
- Under the rule ``program`` it is the baseline of the literature, see
  :mod:`solver.search.literature.pipedream_chain`: devices in the order of the cluster, all of them used,
  even shares, no look at memory; the evaluator judges
  the plan. A DAG is cut along its topological order. Every micro-batch count is tried. Claim: a heuristic.

Declines serving, the rule ``piper``, and under the rule ``pipedream`` unequal devices and objectives other
than ``bottleneck`` and ``time`` (there a step is the bottleneck times the batch).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solver.errors import DeclinedError
from solver.lowering.stage_loads import cluster_rate, profiled_s
from solver.plan import Plan
from solver.problem import Problem
from solver.program import Floats
from solver.schedule import compiled
from solver.search.incumbent import Interrupted, Search
from solver.search.literature.pipedream_chain import pipedream_stages
from solver.search.measured.ideals import Mask, ideals, prefixes
from solver.search.measured.stage_plan import ReplicatedStage, replicated_plan
from solver.search.shares import offer_all
from solver.space import Space
from solver.status import Outcome

RULES = ("program", "pipedream")
MOST_IDEALS = 3000
ROUNDING = 1e-12
"""Relative error of sums of times, taken off the bound."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Minimise the slowest stage.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        With the reason.
    """
    if problem.job.kind != "train":
        raise DeclinedError("PipeDream plans training; the job serves")
    if problem.settings.rule == "pipedream":
        return _solve_published(problem, search)
    best = offer_all(search, _plans(problem, search))
    space = Space(("data",), None, num_micro_batches=problem.micro_batch_counts, share_step=None)
    return Outcome(space, reason="every micro-batch count was tried" if best < math.inf else "")


def _plans(problem: Problem, search: Search) -> Iterator[Plan]:
    for count in problem.micro_batch_counts:
        yield replicated_plan(problem, pipedream_stages(problem, search, count), count)


def _solve_published(problem: Problem, search: Search) -> Outcome:
    if problem.objective not in ("bottleneck", "time"):
        raise DeclinedError(f"minimises bottleneck or time; the objective here is {problem.objective}")
    kinds = {problem.cluster.by_name[name].kind for name in problem.usable}
    if len(kinds) > 1:
        raise DeclinedError(f"the rule pipedream is of equal devices; here are {', '.join(sorted(kinds))}")
    if 1 not in problem.micro_batch_counts:
        raise DeclinedError("the rule pipedream shares out the whole batch: it needs 1 micro-batch")
    (kind,) = kinds
    missing = [name for name in problem.workload.order if name not in problem.workload.profiles.get(kind, {})]
    if missing:
        raise DeclinedError(f"no times measured on {kind or '(no kind)'}: {', '.join(missing)}")
    every = ideals(problem.workload, MOST_IDEALS)
    cuts = prefixes(problem.workload) if every is None else every
    space = Space(("data",), None, num_micro_batches=(1,), in_flight=problem.in_flight)
    try:
        best_s, stages = _least_load(problem, search, cuts, kind)
    except Interrupted as stop:
        return Outcome(space, reason=str(stop))
    search.offer(replicated_plan(problem, stages))
    if every is None:
        reason = f"more than {MOST_IDEALS} ideals: only prefixes of the topological order were cut"
        return Outcome(space, reason=reason)
    scale = 1.0 if problem.objective == "bottleneck" else float(problem.job.batch)
    bound = best_s * scale * (1 - ROUNDING)
    return Outcome(space, bound=bound, reason="all sequences of stages were covered")


def _least_load(
    problem: Problem, search: Search, cuts: Sequence[Mask], kind: str
) -> tuple[float, list[ReplicatedStage]]:
    """Return the least load of the slowest stage under the published rule, and its stages."""
    workload = problem.workload
    order, num_devices = workload.order, min(len(problem.usable), problem.job.batch)
    times = np.array([profiled_s(workload, kind, name) for name in order])
    weights = np.array([float(workload.by_name[name].weight_bytes) for name in order])
    inside = np.array([[cut >> i & 1 for i in range(len(order))] for cut in cuts], np.bool_)
    sync_s = inside @ weights / cluster_rate(problem.cluster)
    compute_s = inside @ times
    load = np.full((len(cuts), num_devices + 1), math.inf)
    load[-1] = 0.0
    choice = np.zeros((len(cuts), num_devices + 1, 2), np.int64)
    for first in range(len(cuts) - 2, -1, -1):
        search.tick()
        _extend(first, inside, compute_s, sync_s, load, choice)
    stages, first, left = [], 0, num_devices
    while first < len(cuts) - 1:
        last, count = (int(value) for value in choice[first, left])
        blocks = tuple(order[i] for i in np.flatnonzero(inside[last] & ~inside[first]))
        stages.append(ReplicatedStage(blocks, count))
        first, left = last, left - count
    return float(load[0, num_devices]), stages


@compiled
def _extend(
    first: int, inside: NDArray[np.bool_], compute_s: Floats, sync_s: Floats, load: Floats, choice: Any
) -> Any:
    """Find the least load of the slowest stage after an ideal, with at most 0, 1, ... devices."""
    most = load.shape[1] - 1
    for last in range(first + 1, len(compute_s)):
        is_stage = True
        for b in range(inside.shape[1]):
            if inside[first, b] and not inside[last, b]:
                is_stage = False
                break
        if not is_stage:
            continue
        compute, sync = compute_s[last] - compute_s[first], sync_s[last] - sync_s[first]
        for count in range(1, most + 1):
            own = (compute + 4 * (count - 1) / count * sync) / count
            for left in range(count, most + 1):
                slowest = max(own, load[last, left - count])
                if slowest < load[first, left]:
                    load[first, left] = slowest
                    choice[first, left, 0], choice[first, left, 1] = last, count
