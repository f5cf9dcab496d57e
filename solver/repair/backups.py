"""Backups: copies on other devices of what a plan keeps in one place only, so that any device may go."""

from __future__ import annotations

from collections.abc import Iterable

from models.cluster import Cluster
from models.errors import InputError
from models.workload import Workload
from solver.evaluate import evaluate
from solver.plan import Backup, Plan, share_devices
from solver.repair.stock import Stock, context_of


def unsafe_stages(plan: Plan, workload: Workload, cluster: Cluster) -> list[tuple[int, int]]:
    """Return the stages (pipeline, number) of which a block is gone if one device goes.

    Parameters
    ----------
    plan, workload, cluster
        The plan, and what it names.
    """
    context = context_of(plan, workload, cluster)
    used = {name for p in plan.pipelines for stage in p.stages for name in share_devices(stage.shares)}
    lost = {block for name in sorted(used) for block in Stock.of(context, {name}).lost()}
    return [
        (p, s)
        for p, pipeline in enumerate(plan.pipelines)
        for s, stage in enumerate(pipeline.stages)
        if lost & set(stage.blocks)
    ]


def protected(plan: Plan, workload: Workload, cluster: Cluster, every: int = 1) -> Plan:
    """Return a plan with a backup of every stage whose loss would lose weights.

    Parameters
    ----------
    plan, workload, cluster
        A sound plan, and what it names. Its own backups stay.
    every
        Steps between two renewals of the copies that are added.

    Returns
    -------
    Plan
        Each copy lies on the device of the plan, outside the stage, that makes the predicted step shortest;
        among equals, where the fullest device stays emptiest. A stage stays without where there is no such
        device.
    """
    for place in unsafe_stages(plan, workload, cluster):
        options = [
            plan.model_copy(update={"backup": (*plan.backup, Backup(stage=place, on=name, every=every))})
            for name in _outside(plan, place)
        ]
        plan = _best([plan, *options], workload, cluster)
    return plan


def _outside(plan: Plan, place: tuple[int, int]) -> list[str]:
    p, s = place
    inside = share_devices(plan.pipelines[p].stages[s].shares)
    used = [name for q in plan.pipelines for stage in q.stages for name in share_devices(stage.shares)]
    return [name for name in dict.fromkeys(used) if name not in inside]


def _best(plans: Iterable[Plan], workload: Workload, cluster: Cluster) -> Plan:
    """Return the best of the protected ones, or the first if none of them keeps every limit."""
    first, *others = plans
    found: list[tuple[float, int, int]] = []
    for i, plan in enumerate(others):
        try:
            report = evaluate(plan, workload, cluster)
        except InputError:
            continue
        if report.is_feasible:
            found.append((report.step_time_s, report.peak_memory_bytes, i))
    return others[min(found)[2]] if found else first
