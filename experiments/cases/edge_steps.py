"""Restrictions of Asteroid lifted one after the other, on one problem of the suite `edge`.

Every step keeps what the steps before it may do, so scores only fall:

published   Asteroid: all devices, most memory first, its own latency chooses
subset      any subset of the devices (asteroid_subsets)
judged      of all plans of these runs the evaluator chooses, not Asteroid's latency
order       other orders of the devices: by memory, speed, both, and drawn ones, both ways round
cuts        any groups, order and cuts: what `best` finds, with Asteroid's Algorithm 1 for the shares
shares      what `best` finds, and shapes that are no such pipeline
cap         what `best` finds with the in-flight cap free
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from solver.batch import BatchScorer
from solver.evaluate import judge
from solver.plan import Plan, Stage, pipeline_plan
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.literature.asteroid_dp import AsteroidTable
from solver.search.literature.group_tables import GroupTables, group_tables
from solver.search.literature.sample_shares import share_samples
from solver.search.shares import speeds

STEPS = ("published", "subset", "judged", "order", "cuts", "shares", "cap")
MOST_DEVICES = 8
"""Beyond it the steps `judged` and `order` have the devices of the plan before them, and the fastest."""
NUM_DRAWN = 6
SLACK = 1.5
"""Plans are judged up to so many times Asteroid's least latency."""


def falling(scores: dict[str, float]) -> dict[str, float]:
    """Return the least score up to every step; infinite where there is no plan yet.

    Parameters
    ----------
    scores
        Score of every step that has one.
    """
    found, least = {}, math.inf
    for step in STEPS:
        least = min(least, scores.get(step, math.inf))
        found[step] = least
    return found


def asteroid_steps(problem: Problem, held: Plan | None, *, num_drawn: int = NUM_DRAWN) -> dict[str, float]:
    """Return the scores of the steps `judged` and `order`.

    Parameters
    ----------
    problem
        What is decided, with the default in-flight rule.
    held
        Plan of the step before.
    num_drawn
        Orders that are drawn.
    """
    tables = group_tables(problem)
    devices = _devices(tables, held)
    memory = {v: float(tables.limit_bytes[v]) for v in devices}
    speed = speeds(problem, tables.samples)
    fast = {v: speed[tables.devices[v]] for v in devices}
    orders = [sorted(devices, key=lambda v: -memory[v])]
    scores = {"judged": _best_of(tables, orders[0])}
    for key in (lambda v: memory[v], lambda v: -fast[v], lambda v: fast[v], lambda v: -memory[v] * fast[v]):
        orders.append(sorted(devices, key=key))
    rng = np.random.default_rng(0)
    orders += [list(map(int, rng.permutation(devices))) for _ in range(num_drawn)]
    distinct = list(dict.fromkeys(map(tuple, orders)))
    scores["order"] = min([_best_of(tables, order) for order in distinct[1:]], default=math.inf)
    return scores


def _devices(tables: GroupTables, held: Plan | None) -> list[int]:
    num = len(tables.devices)
    if num <= MOST_DEVICES:
        return list(range(num))
    used = {name for stage in held.pipelines[0].stages for name in dict(stage.shares)} if held else set()
    speed = speeds(tables.problem, tables.samples)
    ranked = sorted(range(num), key=lambda v: (tables.devices[v] not in used, -speed[tables.devices[v]]))
    return sorted(ranked[:MOST_DEVICES])


def _best_of(tables: GroupTables, order: list[int] | tuple[int, ...]) -> float:
    """Return the least score of any plan that Asteroid keeps on any subset of an order."""
    problem = tables.problem
    targets = [one for size in range(len(order)) for one in combinations(range(len(order)), size + 1)]
    table = AsteroidTable(tables, order, targets, Search(problem))
    found = table.found()
    found = [plan for plan in found if plan.latency_s <= SLACK * found[0].latency_s]
    if not found:
        return math.inf
    scorer = BatchScorer(
        *(problem.workload, problem.cluster, problem.job),
        num_micro_batches=tables.num_micro_batches,
        samples=tables.samples,
        settings=problem.settings,
    )
    plans = [pipeline_plan(problem, table.stages(plan), tables.num_micro_batches) for plan in found]
    scores = scorer.score(scorer.encode(plans))
    return float(np.where(scores.memory_ok, scores.step_time_s, math.inf).min())


def with_algorithm_1(problem: Problem, plan: Plan) -> float:
    """Return the score of a hybrid pipeline with its samples shared out by Asteroid's Algorithm 1.

    Parameters
    ----------
    problem, plan
        What is decided, and one pipeline of groups in mode data for it, no device in two of them; infinite
        for any other plan, and where the shares do not fit.
    """
    used = [name for stage in plan.pipelines[0].stages for name in dict(stage.shares)]
    modes = {stage.mode for stage in plan.pipelines[0].stages}
    if len(plan.pipelines) > 1 or modes != {"data"} or len(set(used)) < len(used):
        return math.inf
    tables = group_tables(problem)
    stages, begin = [], 0
    for s, stage in enumerate(plan.pipelines[0].stages):
        end, depth = begin + len(stage.blocks), len(plan.pipelines[0].stages) - s
        names = list(dict(stage.shares))
        members = np.array([tables.devices.index(name) for name in names], np.int64)
        need = tables.static_bytes[end] - tables.static_bytes[begin]
        room = np.maximum(tables.limit_bytes[members] - need, 0)
        caps = np.minimum(tables.samples, room // max(tables.held_bytes[depth, begin, end], 1e-9))
        shares = np.zeros(len(names), np.int64)
        given = (members, caps.astype(np.int64), begin, end, tables.times_s, tables.samples, shares)
        if not share_samples(*given):
            return math.inf
        kept = {name: int(n) for name, n in zip(names, shares, strict=True) if n}
        stages.append(Stage(blocks=stage.blocks, shares=dict(kept)))
        begin = end
    report, score = judge(problem, pipeline_plan(problem, stages, tables.num_micro_batches))
    return score if report.is_feasible else math.inf
