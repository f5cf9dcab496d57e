"""Stage loads: published cost rules that are closed forms over the stages of a plan.

Under such a rule a plan becomes a Program like any other: a step of ``batch`` samples in steady state, in
which every device of a stage computes for the stage's load times the number of samples. So the bottleneck is
the largest load, seconds per sample, as the papers print it; fill and drain of the pipeline, which these
rules leave out, take no time.

A stage has d replicas of t devices each; B is the slowest rate of the cluster; c and w are bytes.

- ``piper`` (Tarnawski, Narayanan and Phanishayee, "Piper", NeurIPS 2021; the authors' code at
  github.com/msr-fiddle/piper): sum of time / d + (2 sum of c / d + 4 (d - 1) / d * sum of w / batch) / B over
  the stage's blocks in their chosen variants for t devices, where c goes over edges with one end in the stage
  (measured bytes of the edge + what the block exchanges for that neighbour). A device holds the sum of
  A y + F, where y = ceil(sum of d over this and later stages / d). The sum of d is at most the batch.
- ``pipedream`` (Narayanan et al., "PipeDream", SOSP 2019, as the authors' optimiser
  ``optimizer_graph_hierarchical.py`` computes it on one level without its options): (sum of time
  + 4 (d - 1) / d * sum of w / B) / d. Activations cost nothing. A device holds the weights of its stage.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from models.cluster import Cluster
from models.errors import Fault, InputError
from models.workload import Variant, Workload
from solver.lowering.context import Context
from solver.plan import Explicit, Group, Pipeline, Plan, Stage, share_devices
from solver.program import Kind, Program, Row, RowTable, StaticMemory


@dataclass(frozen=True)
class StageLoad:
    """What a rule says of a stage.

    Parameters
    ----------
    seconds
        Busy time of each of its devices per sample of the batch.
    in_flight_bytes
        Memory of each device for the micro-batches in flight.
    fixed_bytes
        Memory of each device beside that.
    """

    seconds: float
    in_flight_bytes: float = 0.0
    fixed_bytes: float = 0.0


def cluster_rate(cluster: Cluster) -> float:
    """Return the slowest rate of a cluster, bytes per second; these rules know one rate."""
    rates = [segment.bandwidth_bytes_per_s for segment in cluster.segments]
    rates += [link.bandwidth_bytes_per_s for link in cluster.links]
    return min(rates, default=math.inf)


def replicas(stage: Stage) -> tuple[int, int]:
    """Return (replicas, devices of each) of a stage that :func:`check_stages` found sound."""
    num_replicas = len(stage.shares) if isinstance(stage.shares, dict) else 1
    return num_replicas, len(share_devices(stage.shares)) // num_replicas


def check_stages(plan: Plan, workload: Workload, cluster: Cluster, rule: str) -> None:
    """Raise unless a published rule can say what a plan costs.

    Parameters
    ----------
    plan, workload, cluster
        A sound plan, and what it names.
    rule
        ``piper`` or ``pipedream``.

    Raises
    ------
    InputError
        With every fault.
    """
    faults = list(_plan_faults(plan, rule))
    for p, pipeline in enumerate(plan.pipelines):
        faults += _order_faults(f"pipelines.{p}", pipeline, workload)
        for s, stage in enumerate(pipeline.stages):
            path = f"pipelines.{p}.stages.{s}"
            shape = list(_shape_faults(path, stage, rule))
            faults += shape
            if not shape and rule == "piper":
                faults += _variant_faults(path, stage, workload)
            if rule == "pipedream":
                faults += _profile_faults(path, stage, workload, cluster)
    if faults:
        raise InputError(faults, f"plan under the rule {rule}")


def _plan_faults(plan: Plan, rule: str) -> Iterator[Fault]:
    if plan.job.kind != "train":
        yield Fault("job.kind", f"the rule {rule} is of training")
    if len(plan.pipelines) > 1:
        yield Fault("pipelines", f"the rule {rule} knows one pipeline, the plan has {len(plan.pipelines)}")
    for p, pipeline in enumerate(plan.pipelines):
        if pipeline.num_micro_batches != 1:
            message = (
                f"the shares of the rule {rule} are of the whole batch: give 1 micro-batch of all samples"
            )
            yield Fault(f"pipelines.{p}.micro_batches", message)
    stages = [stage for pipeline in plan.pipelines for stage in pipeline.stages]
    names = [name for stage in stages for name in share_devices(stage.shares)]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        yield Fault("pipelines", f"the rule {rule} knows one stage a device; in several: {', '.join(twice)}")
    if rule == "piper" and sum(len(stage.shares) for stage in stages if isinstance(stage.shares, dict)) > (
        plan.job.batch
    ):
        message = f"the replicas of all stages are more than the batch of {plan.job.batch}"
        yield Fault("pipelines.0.stages", message)


def _order_faults(path: str, pipeline: Pipeline, workload: Workload) -> Iterator[Fault]:
    place = {name: s for s, stage in enumerate(pipeline.stages) for name in stage.blocks}
    for edge in workload.edges:
        if place[edge.source] > place[edge.target]:
            edge_back = f"edge {edge.source} -> {edge.target} goes back to stage {place[edge.target]}"
            message = f"{edge_back}; list stages in order"
            yield Fault(f"{path}.stages.{place[edge.source]}", message)


def _shape_faults(path: str, stage: Stage, rule: str) -> Iterator[Fault]:
    for word in ("recompute", "in_flight", "ring"):
        if getattr(stage, word):
            yield Fault(f"{path}.{word}", f"the rule {rule} has its own: leave it out")
    if stage.mode != "data" or isinstance(stage.shares, Explicit):
        yield Fault(
            f"{path}.mode", f"a stage of the rule {rule} has mode data, over groups where it cuts blocks"
        )
        return
    groups = [share for share in stage.shares.values() if isinstance(share, Group)]
    sizes = [share.samples if isinstance(share, Group) else share for share in stage.shares.values()]
    slack = 1 if rule == "pipedream" else 0
    if max(sizes) - min(sizes) > slack:
        yield Fault(
            f"{path}.shares", f"the rule {rule} shares evenly; given {min(sizes)} to {max(sizes)} samples"
        )
    if groups and rule == "pipedream":
        yield Fault(f"{path}.shares", "the rule pipedream knows no groups inside a stage")
    elif groups:
        kinds = {(share.mode, len(share_devices(share.shares))) for share in groups}
        tables = [share.shares for share in groups if not isinstance(share.shares, Explicit)]
        uneven = any(len(set(table.values())) > 1 for table in tables if _is_flat(table))
        if len(groups) < len(sizes) or len(kinds) > 1 or {mode for mode, _ in kinds} != {"tensor"} or uneven:
            message = "the groups of a stage need mode tensor, as many devices each, and equal shares"
            yield Fault(f"{path}.shares", message)


def _is_flat(table: dict[str, int | Group]) -> bool:
    return not any(isinstance(share, Group) for share in table.values())


def _variant_faults(path: str, stage: Stage, workload: Workload) -> Iterator[Fault]:
    _, degree = replicas(stage)
    for name in stage.blocks:
        given = workload.by_name[name].variants.get(degree, ())
        if not given:
            yield Fault(f"{path}.shares", f"block {name} was not measured on groups of {degree} devices")
        elif stage.variants.get(name, 0) >= len(given):
            message = f"no variant {stage.variants[name]}: {len(given)} were measured on {degree} devices"
            yield Fault(f"{path}.variants.{name}", message)


def _profile_faults(path: str, stage: Stage, workload: Workload, cluster: Cluster) -> Iterator[Fault]:
    if stage.variants:
        yield Fault(f"{path}.variants", "the rule pipedream knows no variants: leave them out")
    for kind in sorted({cluster.by_name[name].kind for name in share_devices(stage.shares)}):
        missing = [name for name in stage.blocks if name not in workload.profiles.get(kind, {})]
        if missing:
            yield Fault(f"{path}.blocks", f"no times measured on {kind or '(no kind)'}: {', '.join(missing)}")


def stage_loads(plan: Plan, workload: Workload, cluster: Cluster, rule: str) -> tuple[StageLoad, ...]:
    """Return what a rule says of every stage of a plan that :func:`check_stages` found sound.

    Parameters
    ----------
    plan, workload, cluster
        The plan, and what it names.
    rule
        ``piper`` or ``pipedream``.
    """
    stages = plan.pipelines[0].stages
    rate = cluster_rate(cluster)
    if rule == "pipedream":
        return tuple(_pipedream(stage, workload, cluster, rate) for stage in stages)
    counts = [replicas(stage)[0] for stage in stages]
    later = [sum(counts[s:]) for s in range(len(stages))]
    return tuple(
        _piper(stage, workload, plan.job.batch, n, rate) for stage, n in zip(stages, later, strict=True)
    )


def _piper(stage: Stage, workload: Workload, batch: int, later: int, rate: float) -> StageLoad:
    d, degree = replicas(stage)
    inside = set(stage.blocks)
    chosen = {
        name: workload.by_name[name].variants[degree][stage.variants.get(name, 0)] for name in stage.blocks
    }
    crossing = sum(
        edge.measured_bytes + variant.sync_bytes.get(other, 0.0)
        for name, variant in chosen.items()
        for edge, other in (
            *((edge, edge.source) for edge in workload.predecessors[name]),
            *((edge, edge.target) for edge in workload.successors[name]),
        )
        if other not in inside
    )
    parameters = _sum(chosen.values(), "parameter_bytes")
    moved = 2 * crossing / d + 4 * (d - 1) / d * parameters / batch
    in_flight = -(-later // d)
    return StageLoad(
        seconds=_sum(chosen.values(), "time_s") / d + moved / rate,
        in_flight_bytes=_sum(chosen.values(), "in_flight_bytes") * in_flight,
        fixed_bytes=_sum(chosen.values(), "fixed_bytes"),
    )


def _sum(variants: Iterable[Variant], word: str) -> float:
    return math.fsum(getattr(variant, word) for variant in variants)


def _pipedream(stage: Stage, workload: Workload, cluster: Cluster, rate: float) -> StageLoad:
    d, _ = replicas(stage)
    kinds = {cluster.by_name[name].kind for name in share_devices(stage.shares)}
    compute = max(math.fsum(profiled_s(workload, kind, name) for name in stage.blocks) for kind in kinds)
    weights = float(sum(workload.by_name[name].weight_bytes for name in stage.blocks))
    return StageLoad(seconds=(compute + 4 * (d - 1) / d * weights / rate) / d, fixed_bytes=weights)


def profiled_s(workload: Workload, kind: str, block: str) -> float:
    """Return the seconds of forward and backward of a block at the smallest measured batch.

    Parameters
    ----------
    workload
        With profiles.
    kind
        Kind of device.
    block
        Name of the block.
    """
    profile = workload.profiles[kind][block]
    return profile.forward_s[0] + profile.backward_s[0]


def lower_stage_loads(context: Context) -> Program:
    """Return the Program of a plan under a published rule.

    Parameters
    ----------
    context
        A sound plan beside what it names; ``settings.rule`` is not ``program``.

    Raises
    ------
    InputError
        If the rule does not cover the plan, with every fault.
    """
    plan, workload, cluster, rule = context.plan, context.workload, context.cluster, context.settings.rule
    check_stages(plan, workload, cluster, rule)
    batch = plan.job.batch
    static = dict.fromkeys(context.devices, StaticMemory())
    rows: list[Row] = []
    loads = stage_loads(plan, workload, cluster, rule)
    for s, (stage, load) in enumerate(zip(plan.pipelines[0].stages, loads, strict=True)):
        in_flight = int(load.in_flight_bytes)
        held = math.ceil(load.fixed_bytes + load.in_flight_bytes) - in_flight
        for name in share_devices(stage.shares):
            static[name] = StaticMemory(weight_bytes=held)
            rows.append(_row(context, s, stage, name, load.seconds * batch, in_flight))
    names = tuple(context.devices)
    return Program(
        devices=names,
        rows=tuple(rows),
        table=RowTable.of(rows, {name: i for i, name in enumerate(names)}),
        row=np.arange(len(rows), dtype=np.int32),
        micro_batch=np.zeros(len(rows), np.int32),
        slot=np.full(len(rows), -1, np.int32),
        mate=np.full(len(rows), -1, np.int32),
        num_slots=0,
        step_starts=(0, len(rows)),
        lanes=context.lanes,
        num_units=len(context.units),
        static=static,
        num_samples=batch,
        num_micro_batches=batch,
        settings=context.settings,
    )


def _row(context: Context, number: int, stage: Stage, device: str, seconds: float, in_flight: int) -> Row:
    unit = context.unit_of[device]
    return Row(
        kind=Kind.FORWARD,
        device=device,
        duration_s=seconds,
        alloc_bytes=in_flight,
        free_bytes=in_flight,
        power_w=context.extra_w(device),
        unit=unit,
        lanes=(unit,),
        pipeline=0,
        stage=number,
        phase="forward",
        blocks=stage.blocks,
        samples=(0, context.plan.job.batch),
    )
