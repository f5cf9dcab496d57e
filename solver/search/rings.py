"""Rings: the order in which the devices of every stage are joined is chosen for plans that have all else.

Every group of a plan is given the order in which its collectives take least time and, where bytes to less
trusted devices count, one that goes down in trust once only; the evaluator says whether that helps. Where all
devices are equally far from one another, and trust does not count, nothing is done.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal

from solver.collective import Hop, chunk_sizes, ring_order
from solver.evaluate import judge
from solver.lowering.context import Context
from solver.plan import Pipeline, Plan, share_devices
from solver.problem import Problem
from solver.program import Kind, Program, Row
from solver.search.batch_figures import asked_of
from solver.search.incumbent import Search
from solver.search.ring_orders import BETTER, Joint, RingOrders

Chosen = dict[tuple[tuple[str, ...], tuple[Joint, ...]], tuple[str, ...]]
"""The best order found of a group, for what it passes round."""
FEWEST = 4
"""Devices of a ring, at least, that can be joined in more than one way."""


def ring_rule(problem: Problem) -> Literal["any", "nearest"]:
    """Return for which rings figures hold that count every device's nearest.

    Parameters
    ----------
    problem
        What is decided.

    Returns
    -------
    str
        ``any`` where all rings of equal chunks take equally long, and where what crosses to less trusted
        devices, which their order decides, does not count; else ``nearest``.
    """
    names = problem.usable
    if len(names) < FEWEST - 1:
        return "any"
    if _trust_counts(problem, names):
        return "nearest"
    links = {(a, b): problem.cluster.link(a, b) for a in names for b in names if a != b}
    kinds = {way: (link.bytes_per_s, link.latency_s, tuple(link.media)) for way, link in links.items()}
    if len(names) < FEWEST:  # three are joined in one way, but there are two directions
        alike = all(kind == kinds[b, a] for (a, b), kind in kinds.items())
    else:
        alike = len(set(kinds.values())) == 1
    return "any" if alike else "nearest"


def _trust_counts(problem: Problem, names: Iterable[str]) -> bool:
    """Return whether devices are trusted differently, and bytes to less trusted ones count."""
    counts = "untrusted" in asked_of(problem) or problem.job.untrusted_limit_bytes is not None
    return counts and len({problem.cluster.by_name[name].trust for name in names}) > 1


def choose_rings(search: Search, plans: Iterable[Plan] = ()) -> None:
    """Offer plans again with better rings, where there are any.

    Parameters
    ----------
    search
        What judges them.
    plans
        Sound plans for its problem, beside the best one so far; where there is none, beside the one that
        breaks limits least. They are left out when time is up.
    """
    if search.problem.settings.rule != "program":
        return  # published cost rules know no order
    held = search.best_plan or search.nearest_plan
    best = () if held is None else (held,)
    known: Chosen = {}
    for i, plan in enumerate({plan.key: plan for plan in (*best, *plans)}.values()):
        if i >= len(best) and search.remaining_s <= 0:
            return
        _improve(search, plan, known)


def _improve(search: Search, plan: Plan, known: Chosen) -> None:
    """Choose the ring of one stage after another."""
    problem = search.problem
    context = Context(plan, problem.workload, problem.cluster, problem.settings)
    groups = [
        (p, s, names)
        for p, s, names in _groups(plan)
        if _has_choice(context, names) or _trust_counts(problem, names)
    ]
    if not groups:
        return
    report, score = judge(problem, plan, search.known)
    score = score if report.is_feasible else math.inf
    for p, s, names in groups:
        for ring in _promising(context, plan, report.program, (p, s), known, _trust_counts(problem, names)):
            changed = with_ring(plan, (p, s), ring)
            found = search.offer(changed)
            if found < score or math.isinf(score):
                plan, score = changed, found


def _promising(
    context: Context,
    plan: Plan,
    program: Program,
    place: tuple[int, int],
    known: Chosen,
    trust_counts: bool,
) -> Iterator[tuple[str, ...]]:
    """Yield rings of a stage that may be better: that of least time, and one that goes down in trust once."""
    names = share_devices(plan.pipelines[place[0]].stages[place[1]].shares)
    joints, taken_s = _joints(plan, program, place)
    if not joints:
        return
    if _has_choice(context, names):
        orders = RingOrders(joints, _hops(context, names))
        if (names, joints) not in known:
            known[names, joints] = orders.best(ring_order(names, context.hop))
        if orders.seconds(known[names, joints]) < taken_s * (1 - BETTER):
            yield known[names, joints]
    if trust_counts:
        levels = {name: context.cluster.by_name[name].trust for name in names}
        yield tuple(sorted(names, key=lambda name: levels[name]))


def with_ring(plan: Plan, place: tuple[int, int], ring: tuple[str, ...]) -> Plan:
    """Return a plan with another ring.

    Parameters
    ----------
    plan, place
        The plan; pipeline and stage, counted from 0.
    ring
        All devices of the stage.
    """
    p, s = place
    pipelines: list[Pipeline] = list(plan.pipelines)
    stages = list(pipelines[p].stages)
    stages[s] = stages[s].model_copy(update={"ring": ring})
    pipelines[p] = pipelines[p].model_copy(update={"stages": tuple(stages)})
    return plan.model_copy(update={"pipelines": tuple(pipelines)})


def _groups(plan: Plan) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Yield the stages that have several rings: pipeline, stage, devices."""
    for p, pipeline in enumerate(plan.pipelines):
        for s, stage in enumerate(pipeline.stages):
            names = share_devices(stage.shares)
            if len(names) >= FEWEST - 1:
                yield p, s, names


def _hops(context: Context, names: tuple[str, ...]) -> dict[tuple[str, str], Hop]:
    return {(a, b): context.hop(a, b) for a in names for b in names if a != b}


def _has_choice(context: Context, names: tuple[str, ...]) -> bool:
    return len(set(_hops(context, names).values())) > 1


def _joints(plan: Plan, program: Program, place: tuple[int, int]) -> tuple[tuple[Joint, ...], float]:
    """Return the rings whose order a stage decides, equal ones together, and the seconds they take now."""
    taken_s = 0.0
    found: dict[tuple[str, tuple[tuple[str, float], ...]], int] = {}
    for r, row in enumerate(program.rows):
        if row.members < FEWEST - 1 or row.topology != "ring" or _decided_by(plan, row) != place:
            continue
        sent = [other.num_bytes for other in program.rows[r : r + row.members]]
        sizes = zip(row.ring, chunk_sizes(row.operation, sent), strict=True)
        key = row.operation, tuple(sorted(sizes))
        found[key] = found.get(key, 0) + int(program.counts[r])
        taken_s += row.duration_s * int(program.counts[r])
    return tuple(Joint(operation, sizes, count) for (operation, sizes), count in found.items()), taken_s


def _decided_by(plan: Plan, row: Row) -> tuple[int, int] | None:
    """Return the stage whose ring a collective follows."""
    if row.kind == Kind.COLLECTIVE and row.stage >= 0:
        return row.pipeline, row.stage
    for p, pipeline in enumerate(plan.pipelines):
        for s, stage in enumerate(pipeline.stages):
            if set(row.blocks) & set(stage.blocks) and set(row.ring) <= set(share_devices(stage.shares)):
                return p, s
    return None
