"""Data parallelism with every ring and star that a plan can ask for, and with the ring that we choose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

from solver.evaluate import judge
from solver.plan import Plan, Sync
from solver.problem import Problem
from solver.program import Kind
from solver.report import Report
from solver.search.incumbent import Search
from solver.search.rings import choose_rings, with_ring


@dataclass(frozen=True)
class Synced:
    """A data-parallel plan with one way of reducing gradients.

    Parameters
    ----------
    topology
        ``ring`` or ``star``.
    ring
        Members in the order in which they are joined; of a star the server first.
    plan, report
        The plan and what it costs.
    """

    topology: str
    ring: tuple[str, ...]
    plan: Plan
    report: Report

    @property
    def first(self) -> str:
        """The device with which the ring begins; of a star the server."""
        return self.ring[0]

    @property
    def step_time_s(self) -> float:
        """Seconds of a step."""
        return self.report.step_time_s

    @property
    def sync_s(self) -> float:
        """Seconds of its reductions."""
        rows = self.report.program.rows
        return sum(row.duration_s for row in rows if row.kind == Kind.COLLECTIVE and row.members)


def rings(problem: Problem, plan: Plan) -> Iterator[Synced]:
    """Yield a plan of one group once for every ring of its devices.

    Parameters
    ----------
    problem, plan
        A plan of one stage in mode data.

    Notes
    -----
    Gradients are cut into equal chunks and links are as fast either way, so where a ring begins and which way
    it goes round make no difference.
    """
    (stage,) = plan.pipelines[0].stages
    first, *others = dict(stage.shares)
    for rest in permutations(others):
        if others.index(rest[0]) <= others.index(rest[-1]):
            yield _judged(problem, with_ring(plan, (0, 0), (first, *rest)), "ring")


def nearest_rings(problem: Problem, plan: Plan) -> Iterator[Synced]:
    """Yield a plan of one group that names no ring, with each of its devices listed first.

    Parameters
    ----------
    problem, plan
        A plan of one stage in mode data; the ring as it is listed comes first.

    Notes
    -----
    The lowering begins with the first share and joins each member to its nearest one that is left; among
    equals the order of the shares decides.
    """
    (stage,) = plan.pipelines[0].stages
    shares = dict(stage.shares)
    for first in shares:
        listed = {first: shares[first], **shares}
        yield _judged(problem, _with(plan, listed, Sync()), "ring")


def chosen_ring(problem: Problem, plan: Plan) -> Synced:
    """Return a plan of one group with the ring that we choose.

    Parameters
    ----------
    problem, plan
        A plan of one stage in mode data.
    """
    search = Search(problem)
    search.offer(plan)
    choose_rings(search)
    assert search.best_plan is not None, "the plan keeps every limit"
    return _judged(problem, search.best_plan, "ring")


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
        yield _judged(problem, _with(plan, dict(stage.shares), sync), "star")


def _with(plan: Plan, shares: object, sync: Sync) -> Plan:
    pipeline = plan.pipelines[0]
    stage = pipeline.stages[0].model_copy(update={"shares": shares})
    return plan.model_copy(
        update={"pipelines": (pipeline.model_copy(update={"stages": (stage,)}),), "sync": sync}
    )


def _judged(problem: Problem, plan: Plan, topology: str) -> Synced:
    report, _ = judge(problem, plan)
    row = next(row for row in report.program.rows if row.kind == Kind.COLLECTIVE and row.members)
    return Synced(topology, row.ring, plan, report)
