"""Data parallelism with every ring and star that a plan can ask for, and with the rings it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, permutations

from solver.collective import ring_s
from solver.evaluate import judge
from solver.lowering.context import Context
from solver.plan import Plan, Sync
from solver.problem import Problem
from solver.program import Kind
from solver.report import Report


@dataclass(frozen=True)
class Synced:
    """A data-parallel plan with one way of reducing gradients.

    Parameters
    ----------
    topology
        ``ring`` or ``star``.
    first
        The device the plan names first, with which the ring begins; of a star the server.
    ring
        Members in the order in which the lowering joins them.
    plan, report
        The plan and what it costs.
    """

    topology: str
    first: str
    ring: tuple[str, ...]
    plan: Plan
    report: Report

    @property
    def sync_s(self) -> float:
        """Seconds of its reductions."""
        rows = self.report.program.rows
        return sum(row.duration_s for row in rows if row.kind == Kind.COLLECTIVE and row.members)


def rings(problem: Problem, plan: Plan) -> Iterator[Synced]:
    """Yield a plan of one group once for every ring that the order of its shares can ask for.

    Parameters
    ----------
    problem, plan
        A plan of one stage in mode data.

    Notes
    -----
    The lowering begins with the first share and joins each member to its nearest one that is left; among
    equals the order of the shares decides. So a plan says where a ring begins, not how it goes on.
    """
    seen: set[tuple[str, ...]] = set()
    (stage,) = plan.pipelines[0].stages
    for order in permutations(dict(stage.shares)):
        shares = {name: dict(stage.shares)[name] for name in order}
        found = _judged(problem, _with(plan, shares, Sync()), "ring", order[0])
        if found.ring not in seen:
            seen.add(found.ring)
            yield found


def stars(problem: Problem, plan: Plan) -> Iterator[Synced]:
    """Yield a plan of one group with each of its members as the centre of a star.

    Parameters
    ----------
    problem, plan
        A plan of one stage in mode data.
    """
    (stage,) = plan.pipelines[0].stages
    for server in dict(stage.shares):
        sync = Sync(topology="star", server=server)
        yield _judged(problem, _with(plan, dict(stage.shares), sync), "star", server)


def free_rings_s(problem: Problem, plan: Plan) -> tuple[float, float]:
    """Return the least and the most seconds of one all-reduce over any ring, by the evaluator's formula.

    Parameters
    ----------
    problem, plan
        A plan of one stage in mode data, all gradients reduced at once.
    """
    (stage,) = plan.pipelines[0].stages
    first, *others = dict(stage.shares)
    context = Context(plan, problem.workload, problem.cluster, problem.settings)
    total = sum(problem.costs.block(name).trained_bytes for name in problem.workload.order)
    size = total / (1 + len(others))
    found = []
    for rest in permutations(others):
        ring = (first, *rest, first)
        hops = [context.hop(a, b) for a, b in pairwise(ring)]
        found.append(ring_s("all_reduce", [size] * len(hops), hops))
    return min(found), max(found)


def _with(plan: Plan, shares: object, sync: Sync) -> Plan:
    pipeline = plan.pipelines[0]
    stage = pipeline.stages[0].model_copy(update={"shares": shares})
    return plan.model_copy(
        update={"pipelines": (pipeline.model_copy(update={"stages": (stage,)}),), "sync": sync}
    )


def _judged(problem: Problem, plan: Plan, topology: str, first: str) -> Synced:
    report, _ = judge(problem, plan)
    row = next(row for row in report.program.rows if row.kind == Kind.COLLECTIVE and row.members)
    return Synced(topology, first, row.ring, plan, report)
