"""Split: which device runs which block, as a Plan with few stages, and back."""

from __future__ import annotations

from collections.abc import Mapping

from solver.placement import Placement
from solver.plan import Plan, Stage, pipeline_plan, share_devices
from solver.problem import Problem


def split_plan(problem: Problem, placed: Mapping[str, str]) -> Plan:
    """Return the plan in which every block runs on one device, with few stages.

    Parameters
    ----------
    problem
        What is decided; one micro-batch.
    placed
        Block to device, of every block.

    Notes
    -----
    Stages are convex and their graph is acyclic, so what a device runs may be several stages. They are cut
    from the front: of the devices that can finish all their blocks the first, else the one that can go
    farthest, runs what it can. Blocks on a kind of device that stands for many
    (:attr:`solver.placement.Placement.apart`) are a stage and a compute lane each.
    O(num_stages (num_blocks + num_edges)).
    """
    placement = problem.placement or Placement()
    kind_of = {device.name: device.kind for device in problem.cluster.devices}
    unit = {n: (d, n if kind_of[d] in placement.apart else "") for n, d in placed.items()}
    samples = problem.job.batch
    stages = []
    for (device, alone), blocks in _cut(problem, unit):
        instances = {device: 1} if alone else {}
        stages.append(Stage(blocks=tuple(blocks), shares={device: samples}, instances=instances))
    return pipeline_plan(problem, stages, 1)


def split_of(plan: Plan) -> dict[str, str] | None:
    """Return block to device; ``None`` if a block is on several.

    Parameters
    ----------
    plan
        A sound plan.
    """
    placed: dict[str, str] = {}
    for pipeline in plan.pipelines:
        for stage in pipeline.stages:
            devices = share_devices(stage.shares)
            for name in stage.blocks:
                if len(devices) > 1 or placed.setdefault(name, devices[0]) != devices[0]:
                    return None
    return placed


Unit = tuple[str, str]


def _cut(problem: Problem, unit: Mapping[str, Unit]) -> list[tuple[Unit, list[str]]]:
    """Return (unit, blocks) of the stages, in an order in which each finds its inputs made."""
    workload = problem.workload
    waiting = {name: len(workload.predecessors[name]) for name in workload.order}
    left: dict[Unit, int] = {}
    ready: dict[Unit, list[str]] = {}
    for name in workload.order:
        left[unit[name]] = left.get(unit[name], 0) + 1
        if waiting[name] == 0:
            ready.setdefault(unit[name], []).append(name)
    stages: list[tuple[Unit, list[str]]] = []
    while ready:
        chosen, blocks = None, []
        for where, first in ready.items():
            found = _run(problem, unit, where, first, waiting)
            if chosen is None or len(found) > len(blocks) or len(found) == left[where]:
                chosen, blocks = where, found
            if len(found) == left[where]:
                break
        assert chosen is not None
        stages.append((chosen, blocks))
        del ready[chosen]
        left[chosen] -= len(blocks)
        for name in blocks:
            for edge in workload.successors[name]:
                waiting[edge.target] -= 1
                if waiting[edge.target] == 0 and unit[edge.target] != chosen:
                    ready.setdefault(unit[edge.target], []).append(edge.target)
    return stages


def _run(
    problem: Problem, unit: Mapping[str, Unit], where: Unit, first: list[str], waiting: Mapping[str, int]
) -> list[str]:
    """Return what a unit can run now without waiting for others, given what is ready."""
    successors = problem.workload.successors
    found = list(first)
    needs: dict[str, int] = {}
    for name in found:
        for edge in successors[name]:
            if unit[edge.target] == where:
                needs[edge.target] = needs.get(edge.target, waiting[edge.target]) - 1
                if needs[edge.target] == 0:
                    found.append(edge.target)
    return found
