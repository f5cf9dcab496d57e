"""Check: is a plan sound, every fault with its path; and which limits does a sound plan break."""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx

from models.cluster import Cluster
from models.errors import Fault, InputError
from models.workload import Block, Workload
from solver.lowering.renewals import MOST_PERIODS
from solver.lowering.stages import block_tasks, task_spans
from solver.plan import Explicit, Group, Pipeline, Plan, Share, Stage, share_devices
from solver.problem import MOST_PASSES


def check(plan: Plan, workload: Workload, cluster: Cluster) -> None:
    """Raise if a plan does not fit its workload and cluster.

    Parameters
    ----------
    plan, workload, cluster
        The plan, and what it names.

    Raises
    ------
    InputError
        With every fault and its path in the plan.
    """
    faults = [
        *_digests(plan, workload, cluster),
        *_job(plan, workload, cluster),
        *_pipelines(plan, workload, cluster),
        *_devices(plan, cluster),
        *_sync(plan, cluster),
    ]
    if faults:
        raise InputError(faults, "plan")


def _digests(plan: Plan, workload: Workload, cluster: Cluster) -> Iterator[Fault]:
    for word, reference, document in (
        ("workload", plan.workload, workload),
        ("cluster", plan.cluster, cluster),
    ):
        if reference.sha256 is not None and reference.sha256 != document.digest:
            message = (
                f"{word} {reference.name!r} has changed since the plan was made, or this is another one; "
                "plan again, or drop sha256"
            )
            yield Fault(f"{word}.sha256", message)


def _job(plan: Plan, workload: Workload, cluster: Cluster) -> Iterator[Fault]:
    job = plan.job
    for word in ("frozen", "trained"):
        for i, name in enumerate(getattr(job, word)):
            if name not in workload.by_name:
                yield Fault(f"job.{word}.{i}", f"no block is called {name!r}")
    samples = sum(pipeline.num_samples for pipeline in plan.pipelines)
    if samples != job.batch:
        yield Fault("job.batch", f"the pipelines compute {samples} samples, the batch has {job.batch}")
    if job.kind == "serve" and plan.sync.every > 1:
        yield Fault("sync.every", "serving trains nothing: leave sync out")
    used = {name for p in plan.pipelines for s in p.stages for name in share_devices(s.shares)}
    for device in cluster.devices:
        if device.name in used and job.precision not in device.flop_per_s:
            known = ", ".join(device.flop_per_s)
            message = f"device {device.name} has no speed for {job.precision}, only for {known}"
            yield Fault("job.precision", message)


def _pipelines(plan: Plan, workload: Workload, cluster: Cluster) -> Iterator[Fault]:
    for p, pipeline in enumerate(plan.pipelines):
        path = f"pipelines.{p}"
        placed: dict[str, int] = {}
        for s, stage in enumerate(pipeline.stages):
            for i, name in enumerate(stage.blocks):
                where = f"{path}.stages.{s}.blocks.{i}"
                if name not in workload.by_name:
                    yield Fault(where, f"no block is called {name!r}")
                elif name in placed:
                    yield Fault(where, f"block {name!r} is in stage {placed[name]} already")
                placed.setdefault(name, s)
            yield from _stage(f"{path}.stages.{s}", plan, pipeline, stage, workload, cluster)
        missing = [name for name in workload.order if name not in placed]
        if missing:
            yield Fault(f"{path}.stages", f"these blocks are in no stage: {', '.join(missing)}")
        elif not set(placed) - set(workload.by_name):
            yield from _convex(path, placed, workload)
        yield from _micro_batches(path, pipeline, workload)


def _convex(path: str, placed: dict[str, int], workload: Workload) -> Iterator[Fault]:
    graph = nx.DiGraph()
    graph.add_nodes_from(set(placed.values()))
    for edge in workload.edges:
        a, b = placed[edge.source], placed[edge.target]
        if a != b:
            graph.add_edge(a, b)
    if not nx.is_directed_acyclic_graph(graph):
        cycle = " -> ".join(str(a) for a, _ in nx.find_cycle(graph))
        message = f"stages {cycle} wait for one another; cut a non-convex set into several stages"
        yield Fault(f"{path}.stages", message)


def _micro_batches(path: str, pipeline: Pipeline, workload: Workload) -> Iterator[Fault]:
    passes = pipeline.num_micro_batches * len(pipeline.stages)
    if passes > MOST_PASSES:
        message = f"{pipeline.num_micro_batches} through {len(pipeline.stages)} stages are {passes} passes"
        yield Fault(f"{path}.micro_batches", f"{message}; at most {MOST_PASSES} can be lowered")
    if isinstance(pipeline.micro_batches, int):
        return
    tasks = {block.task for block in workload.blocks if block.task}
    leads_to = block_tasks(workload)
    modalities = {block.modality for block in workload.blocks if block.modality}
    for i, batch in enumerate(pipeline.micro_batches):
        for task in batch.tasks or ():
            if task not in tasks:
                known = ", ".join(sorted(tasks)) or "none"
                yield Fault(f"{path}.micro_batches.{i}.tasks.{task}", f"no such task; there are: {known}")
        torn = [name for name in workload.order if len(task_spans(leads_to[name], batch)) > 1]
        if torn:
            message = f"the tasks of {', '.join(torn)} are not side by side; give the tasks in another order"
            yield Fault(f"{path}.micro_batches.{i}.tasks", message)
        for modality in batch.modalities or ():
            if modality not in modalities:
                known = ", ".join(sorted(modalities)) or "none"
                yield Fault(f"{path}.micro_batches.{i}.modalities", f"no {modality!r}; there are: {known}")


def _stage(
    path: str, plan: Plan, pipeline: Pipeline, stage: Stage, workload: Workload, cluster: Cluster
) -> Iterator[Fault]:
    names = share_devices(stage.shares)
    for name in dict.fromkeys(names):
        if name not in cluster.by_name:
            known = ", ".join(cluster.by_name)
            yield Fault(f"{path}.shares.{name}", f"no device is called {name!r}; there are: {known}")
        if names.count(name) > 1:
            yield Fault(f"{path}.shares.{name}", f"device {name!r} has two shares of one stage")
    for word in ("instances", "routing"):
        for name in getattr(stage, word) or ():
            if name not in names:
                yield Fault(f"{path}.{word}.{name}", f"{name!r} is not among the stage's devices")
        if getattr(stage, word) and plan.job.kind != "serve":
            yield Fault(f"{path}.{word}", f"{word} belong to serving; the job trains")
        elif getattr(stage, word) and stage.mode != "data":
            yield Fault(f"{path}.{word}", f"a group serves every request together in mode {stage.mode}")
    weights = [1.0] if stage.routing is None else list(stage.routing.values())
    if min(weights, default=0) < 0 or sum(weights) <= 0:
        yield Fault(f"{path}.routing", "weights must not be negative, and one must be above zero")
    for i, name in enumerate(stage.recompute):
        if name not in stage.blocks:
            yield Fault(f"{path}.recompute.{i}", f"block {name!r} is not in this stage")
    yield from _variants(path, stage, workload)
    yield from _ring(path, stage)
    if plan.job.kind == "serve" and stage.mode == "data":
        for name, share in stage.shares.items() if isinstance(stage.shares, dict) else ():
            if isinstance(share, Group):
                yield Fault(f"{path}.shares.{name}", "a service runs on devices, not on groups of them")
    else:
        blocks = [workload.by_name[name] for name in stage.blocks if name in workload.by_name]
        yield from _shares(f"{path}.shares", stage.mode, stage.shares, pipeline.samples, blocks)


def _ring(path: str, stage: Stage) -> Iterator[Fault]:
    if not stage.ring:
        return
    names = share_devices(stage.shares)
    for i, name in enumerate(stage.ring):
        if name not in names:
            yield Fault(f"{path}.ring.{i}", f"{name!r} is not among the stage's devices")
        elif name in stage.ring[:i]:
            yield Fault(f"{path}.ring.{i}", f"{name!r} is in the ring already")
    missing = [name for name in dict.fromkeys(names) if name not in stage.ring]
    if missing:
        yield Fault(f"{path}.ring", f"a ring joins all devices of its stage; missing: {', '.join(missing)}")


def _variants(path: str, stage: Stage, workload: Workload) -> Iterator[Fault]:
    for name, index in stage.variants.items():
        where = f"{path}.variants.{name}"
        if name not in stage.blocks:
            yield Fault(where, f"block {name!r} is not in this stage")
        elif name in workload.by_name:
            most = max((len(given) for given in workload.by_name[name].variants.values()), default=0)
            if index >= most:
                yield Fault(where, f"no variant {index}: {name} has {most} measured variants, counted from 0")


def _shares(
    path: str, mode: str, shares: Explicit | dict[str, Share], samples: int, blocks: list[Block]
) -> Iterator[Fault]:
    if isinstance(shares, Explicit):
        yield from _explicit(path, mode, shares, blocks)
        return
    total = sum(share.samples if isinstance(share, Group) else share for share in shares.values())
    if mode == "data":
        if total != samples:
            yield Fault(path, f"data shares add up to {total}, a micro-batch has {samples} samples")
        for name, share in shares.items():
            if isinstance(share, Group):
                yield from _shares(f"{path}.{name}.shares", share.mode, share.shares, share.samples, blocks)
        return
    if any(isinstance(share, Group) for share in shares.values()):
        yield Fault(path, f"a group may stand inside mode data, not inside mode {mode}")
        return
    yield from _units(path, mode, total, blocks)


def _units(path: str, mode: str, total: int, blocks: list[Block]) -> Iterator[Fault]:
    if mode == "sequence":
        found = sorted({block.tokens for block in blocks if block.sequence is not None})
        word = "tokens"
    else:
        tensors = [block.tensor for block in blocks if block.tensor is not None]
        found = sorted({t.heads for t in tensors if t.heads is not None})
        word = "heads"
        if not found:
            found, word = sorted({t.columns for t in tensors if t.columns is not None}), "columns"
    if not found:
        yield Fault(path, f"no block of this stage can be cut in mode {mode}; use mode data")
    elif total not in found:
        known = ", ".join(str(value) for value in found)
        yield Fault(path, f"{mode} shares add up to {total}; the blocks have {known} {word}")


def _explicit(path: str, mode: str, shares: Explicit, blocks: list[Block]) -> Iterator[Fault]:
    if mode == "data":
        yield Fault(path, "heads, columns and tokens belong to modes tensor and sequence")
        return
    wanted = ("tokens",) if mode == "sequence" else ("heads", "columns")
    for word in ("heads", "columns", "tokens"):
        table = getattr(shares, word)
        if table is None:
            continue
        if word not in wanted:
            yield Fault(f"{path}.{word}", f"mode {mode} does not cut {word}")
            continue
        total = sum(table.values())
        if word == "tokens":
            sizes = {b.tokens for b in blocks if b.sequence is not None}
        else:
            sizes = {getattr(b.tensor, word) for b in blocks if b.tensor is not None} - {None}
        if sizes and total not in sizes:
            known = ", ".join(str(value) for value in sorted(sizes))
            yield Fault(f"{path}.{word}", f"{word} add up to {total}; the blocks have {known}")


def _devices(plan: Plan, cluster: Cluster) -> Iterator[Fault]:
    for name, choice in plan.devices.items():
        device = cluster.by_name.get(name)
        if device is None:
            yield Fault(f"devices.{name}", f"no device is called {name!r}")
            continue
        if choice.power_mode is not None and choice.power_mode not in device.power_modes:
            known = ", ".join(device.power_modes) or "none"
            yield Fault(f"devices.{name}.power_mode", f"no mode {choice.power_mode!r}; there are: {known}")
        if choice.rank is not None and plan.job.tune != "lora":
            yield Fault(f"devices.{name}.rank", "a rank belongs to tune lora")
        if choice.bandwidth_hz is not None:
            spectra = [s.spectrum for s in cluster.segments if s.spectrum is not None]
            if not any(name in spectrum.gain for spectrum in spectra):
                yield Fault(f"devices.{name}.bandwidth_hz", f"{name!r} is in no spectrum")


def _sync(plan: Plan, cluster: Cluster) -> Iterator[Fault]:
    if plan.sync.server is not None and plan.sync.server not in cluster.by_name:
        yield Fault("sync.server", f"no device is called {plan.sync.server!r}")
    periods = {backup.every for backup in plan.backup} - {1}
    if len(periods) > MOST_PERIODS:
        message = f"copies are renewed in {len(periods)} different periods above 1"
        yield Fault("backup", f"{message}; at most {MOST_PERIODS} are allowed")
    for i, backup in enumerate(plan.backup):
        p, s = backup.stage
        if p >= len(plan.pipelines) or s >= len(plan.pipelines[p].stages):
            yield Fault(f"backup.{i}.stage", f"there is no stage {s} in pipeline {p}")
        if backup.on not in cluster.by_name:
            yield Fault(f"backup.{i}.on", f"no device is called {backup.on!r}")
