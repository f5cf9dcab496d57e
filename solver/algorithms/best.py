"""best: all simple solvers, then a local search over hybrid plans; what ``partage plan`` uses unless told.

First the members: single, pipeline_even, data_parallel, tensor_parallel, sequence_parallel, then bitmask_dp
where it is quick and interval_ilp elsewhere. Then simulated annealing (Kirkpatrick et al., Science 220,
1983) from the best of them over pipelines whose stages are groups of devices in mode data: it shifts cuts,
moves and swaps devices, splits and joins stages, shares samples otherwise, and changes the micro-batch
count. The evaluator judges every step. Plans that break a limit are ranked by how far they break it, so a
search that begins outside the limits walks towards them.

Assumes nothing; a DAG is cut along its topological order. Never declines; for serving only the members that
serve are asked. Claim: a heuristic, never worse than its members; the exact one gets half of the time left.
Without limits it stops after a number of plans, so the same seed gives the same plan (on every machine on
which the exact member ends within its time).
"""

from __future__ import annotations

import math

from solver.errors import DeclinedError, InputError
from solver.problem import Problem
from solver.search.hybrid import Hybrid, Neighbourhood, from_plan
from solver.search.incumbent import Interrupted, Search, excess
from solver.search.shares import speeds
from solver.space import Space
from solver.status import Outcome

MEMBERS = ("single", "pipeline_even", "data_parallel", "tensor_parallel", "sequence_parallel")
QUICK_DEVICES = 10
"""Up to so many devices bitmask_dp is asked, beyond them interval_ilp."""
NUM_PLANS = 1500
"""Plans of one round of the local search."""
PATIENCE = 3
"""Rounds without a better plan after which it gives up, where there is a limit."""
EXACT_S = 20.0
"""Seconds the exact member gets where there is no limit."""
START_HEAT, END_HEAT = 0.05, 0.001
"""Relative worsening accepted with probability 1/e at the start of a round, and at its end."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Ask the members, then improve the best plan.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """
    space = Space(("data",), None, num_micro_batches=problem.micro_batch_counts)
    limited = math.isfinite(search.remaining_s) or search.work_limit is not None
    try:
        for name in MEMBERS:
            _ask(search, name, search)
        if problem.job.kind == "train":
            exact = "bitmask_dp" if len(problem.usable) <= QUICK_DEVICES else "interval_ilp"
            _ask(search, exact, _part(search, limited))
            _rounds(problem, search, PATIENCE if limited else 1)
    except Interrupted as stop:
        return Outcome(space, reason=str(stop))
    return Outcome(space, reason="members and local search ended" if search.best_plan else "")


def _ask(search: Search, name: str, within: Search) -> None:
    """Run a member; what it finds in a search of its own is offered to ours."""
    if search.call is None:
        return
    try:
        search.call(name, within)
    except (DeclinedError, InputError):  # it cannot, or its file is broken: the others go on
        return
    except Interrupted:
        if within is search:
            raise
    finally:
        if within is not search and within.best_plan is not None:
            search.offer(within.best_plan)
            search.work += within.work


def _part(search: Search, limited: bool) -> Search:
    """Return a search that has half of what is left."""
    work = None if search.work_limit is None else max(1, (search.work_limit - search.work) // 2)
    seconds = search.remaining_s / 2 if limited else EXACT_S
    return Search(search.problem, search.seed, seconds, work, call=search.call)


def _rounds(problem: Problem, search: Search, patience: int) -> None:
    waited = 0
    while waited < patience:
        before = search.best_score
        _anneal(problem, search)
        waited = 0 if search.best_score < before else waited + 1
        if patience == 1:
            return


def _anneal(problem: Problem, search: Search) -> None:
    """Walk from the best plan, or from one device where it is not a pipeline of groups in mode data."""
    near = Neighbourhood(problem, speeds(problem, 1), search.rng)
    point = from_plan(problem, search.best_plan) if search.best_plan else None
    if point is None:
        count = problem.micro_batch_counts[-1]
        whole = (0, len(problem.workload.order))
        point = Hybrid(whole, ({problem.usable[0]: problem.job.batch // count},), count)
    value = _value(problem, search, point)
    for i in range(NUM_PLANS):
        search.tick()
        other = near.change(point)
        if other is None:
            continue
        found = _value(problem, search, other)
        heat = START_HEAT * (END_HEAT / START_HEAT) ** (i / NUM_PLANS)
        if found <= value - heat * math.log(1 - search.rng.random()):
            point, value = other, found


def _value(problem: Problem, search: Search, point: Hybrid) -> float:
    """Return the logarithm of a plan's score, or how far it breaks its limits: always worse."""
    score = search.offer(point.plan(problem))
    if math.isfinite(score):
        return math.log(max(score, 1e-300))
    return 1000 + excess(search.rejected[-1])
