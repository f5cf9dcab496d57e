"""Stages of a plan as the lowering sees them: their graph, their caps, and kinds of micro-batches."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from models.workload import Workload
from solver.layout import Cut, Holding, holdings
from solver.lowering.context import Context
from solver.plan import MicroBatch, Pipeline, Stage, share_devices
from solver.program import Ints

WHOLE = Cut(0, (1,))


@dataclass(frozen=True)
class BatchClass:
    """Micro-batches that are computed alike.

    Parameters
    ----------
    samples
        Samples of each.
    active
        Interval of samples every block computes; empty where it is skipped.
    chosen
        Serving: (device, compute lane) by stage of the pipeline; ``None`` where a group serves together.
    is_last
        Whether it is the last micro-batch alone, whose passes are cut into buckets.
    """

    samples: int
    active: dict[str, tuple[int, int]]
    chosen: tuple[tuple[str, int] | None, ...] = ()
    is_last: bool = False


@dataclass
class StageView:
    """One stage of one pipeline, or the owner of raw data that stands before them.

    Parameters
    ----------
    index
        Number among all stages of the plan.
    pipeline, number
        Place in the plan; ``number`` is -1 for an owner of raw data.
    blocks
        Its blocks in topological order.
    classes
        Kinds of micro-batches of its pipeline, and the kind of each micro-batch.
    raw
        Owners only: blocks whose raw data it sends.
    bucket_of
        Number of the bucket of each block's gradients; empty where there is one.
    """

    index: int
    pipeline: int
    number: int
    stage: Stage | None
    nominal: int
    blocks: tuple[str, ...]
    classes: list[BatchClass]
    class_of: Ints
    owner: str = ""
    raw: tuple[str, ...] = ()
    preds: list[int] = field(default_factory=list)
    succs: list[int] = field(default_factory=list)
    has_backward: bool = False
    depth: int = 1
    cap: int = 1
    bucket_of: dict[str, int] = field(default_factory=dict)
    _held: dict[int, dict[str, Holding]] = field(default_factory=dict, init=False, repr=False)

    def holdings(self, context: Context, number: int) -> dict[str, Holding]:
        """Return what each device holds of a micro-batch of class ``number``."""
        if number not in self._held:
            self._held[number] = self._find_holdings(number)
        return self._held[number]

    @cached_property
    def inside(self) -> frozenset[str]:
        """Its blocks, to be asked whether a block is one of them."""
        return frozenset(self.blocks)

    def _find_holdings(self, number: int) -> dict[str, Holding]:
        kind = self.classes[number]
        if self.stage is None:
            return {self.owner: Holding((0, kind.samples), WHOLE, WHOLE, WHOLE, (self.owner,), "data")}
        service = kind.chosen[self.number] if kind.chosen else None
        if service is not None:
            device = service[0]
            return {device: Holding((0, kind.samples), WHOLE, WHOLE, WHOLE, (device,), "data")}
        return holdings(self.stage, kind.samples, self.nominal)

    def unit(self, context: Context, number: int, device: str) -> int:
        """Return the compute lane on which a device runs this stage for a class."""
        chosen = self.classes[number].chosen
        service = chosen[self.number] if self.stage is not None and chosen else None
        return context.unit_of[device] if service is None else service[1]


def stage_views(context: Context) -> list[StageView]:
    """Return all stages of a plan, linked, with depths and caps that do not grow along edges."""
    views: list[StageView] = []
    for p, pipeline in enumerate(context.plan.pipelines):
        classes, class_of = _classes(context, pipeline)
        if context.plan.sync.buckets > 1 and context.plan.job.kind == "train":
            classes, class_of = _last_apart(classes, class_of)
        first = len(views)
        for s, stage in enumerate(pipeline.stages):
            inside = set(stage.blocks)
            blocks = tuple(name for name in context.workload.order if name in inside)
            view = StageView(len(views), p, s, stage, pipeline.samples, blocks, classes, class_of)
            view.has_backward = any(context.costs.has_backward(name) for name in blocks)
            views.append(view)
        _link(context.workload, views[first:])
        for view in _topological(views[first:], views):
            _cap(view, views, context.plan.schedule == "gpipe")
    for view in list(views):
        _add_owners(context, view, views)
    return views


def _link(workload: Workload, views: list[StageView]) -> None:
    where = {name: view for view in views for name in view.blocks}
    for edge in workload.edges:
        source, target = where[edge.source], where[edge.target]
        if source is not target and target.index not in source.succs:
            source.succs.append(target.index)
            target.preds.append(source.index)


def _topological(views: list[StageView], every: list[StageView]) -> list[StageView]:
    order: list[StageView] = []
    waiting = {view.index: len(view.preds) for view in views}
    ready = [view for view in views if not view.preds]
    while ready:
        view = ready.pop(0)
        order.append(view)
        for s in view.succs:
            waiting[s] -= 1
            if waiting[s] == 0:
                ready.append(every[s])
    for view in reversed(order):
        view.depth = 1 + max((every[s].depth for s in view.succs), default=0)
    return order


def _cap(view: StageView, views: list[StageView], gpipe: bool) -> None:
    """Set the cap: the stage's own, but never above what the stages before it let through."""
    num = len(view.class_of)
    own = view.stage.in_flight if view.stage is not None else None
    cap = num if gpipe else (2 * view.depth - 1 if own is None else own)
    if not view.has_backward:
        cap = num
    view.cap = min([cap, num, *(views[s].cap for s in view.preds)])


def _classes(context: Context, pipeline: Pipeline) -> tuple[list[BatchClass], Ints]:
    """Return the kinds of micro-batches of a pipeline, and the kind of each."""
    routes = _routes(context, pipeline)
    if isinstance(pipeline.micro_batches, int) and not routes:
        batch = MicroBatch(samples=pipeline.samples)
        kind = BatchClass(batch.samples, active_spans(context.workload, batch))
        return [kind], np.zeros(pipeline.micro_batches, np.int32)
    found: dict[object, int] = {}
    classes: list[BatchClass] = []
    class_of: list[int] = []
    for i, batch in enumerate(pipeline.batches):
        chosen = routes[i] if routes else ()
        key = (batch.samples, tuple((batch.tasks or {}).items()), batch.modalities, chosen)
        if key not in found:
            found[key] = len(classes)
            classes.append(BatchClass(batch.samples, active_spans(context.workload, batch), chosen))
        class_of.append(found[key])
    return classes, np.array(class_of, np.int32)


def _last_apart(classes: list[BatchClass], class_of: Ints) -> tuple[list[BatchClass], Ints]:
    """Give the last micro-batch a kind of its own."""
    kind = class_of[-1]
    last = replace(classes[kind], is_last=True)
    if np.count_nonzero(class_of == kind) == 1:
        return [last if c == kind else given for c, given in enumerate(classes)], class_of
    changed = class_of.copy()
    changed[-1] = len(classes)
    return [*classes, last], changed


def active_spans(workload: Workload, batch: MicroBatch) -> dict[str, tuple[int, int]]:
    """Return the interval of samples each block computes: of the tasks it leads to, if its data is there."""
    present: dict[str, bool] = {}
    for name in workload.order:
        modality = workload.by_name[name].modality
        before = workload.predecessors[name]
        here = batch.modalities is None or modality is None or modality in batch.modalities
        present[name] = any(present[edge.source] for edge in before) if before else here
    tasks = block_tasks(workload)
    spans: dict[str, tuple[int, int]] = {}
    for name in workload.order:
        found = task_spans(tasks[name], batch) if present[name] else []
        spans[name] = (found[0][0], found[-1][1]) if found else (0, 0)
    return spans


def block_tasks(workload: Workload) -> dict[str, frozenset[str]]:
    """Return the tasks every block leads to."""
    tasks: dict[str, frozenset[str]] = {}
    for name in reversed(workload.order):
        task = workload.by_name[name].task
        own = frozenset([task]) if task is not None else frozenset()
        tasks[name] = own.union(*(tasks[edge.target] for edge in workload.successors[name]))
    return tasks


def task_spans(tasks: frozenset[str], batch: MicroBatch) -> list[tuple[int, int]]:
    """Return the intervals of a micro-batch's samples that belong to some tasks, joined where they touch.

    Parameters
    ----------
    tasks
        The tasks; none: every sample belongs.
    batch
        The micro-batch.
    """
    if batch.tasks is None or not tasks:
        return [(0, batch.samples)]
    start = 0
    spans: list[tuple[int, int]] = []
    for task, count in batch.tasks.items():
        if task in tasks and count:
            first = spans.pop()[0] if spans and spans[-1][1] == start else start
            spans.append((first, start + count))
        start += count
    return spans


def _routes(context: Context, pipeline: Pipeline) -> list[tuple[tuple[str, int] | None, ...]]:
    """Serving: for every request the device and compute lane of every stage; ``None`` for a group."""
    if context.plan.job.kind != "serve":
        return []
    per_stage: list[list[tuple[str, int] | None]] = []
    for s, stage in enumerate(pipeline.stages):
        if stage.mode != "data":
            per_stage.append([None] * pipeline.num_micro_batches)
            continue
        names = share_devices(stage.shares)
        weights = stage.routing or dict.fromkeys(names, 1.0)
        lanes = {name: _instances(context, stage, s, name) for name in weights}
        taken = dict.fromkeys(weights, 0)
        chosen: list[tuple[str, int] | None] = []
        for name in smooth_round_robin(weights, pipeline.num_micro_batches):
            chosen.append((name, lanes[name][taken[name] % len(lanes[name])]))
            taken[name] += 1
        per_stage.append(chosen)
    return list(zip(*per_stage, strict=True))


def _instances(context: Context, stage: Stage, number: int, device: str) -> list[int]:
    """Return the compute lanes of a service on a device: its instances', or the device's shared one."""
    if device not in stage.instances:
        return [context.unit_of[device]]
    first = len(context.units)
    for i in range(stage.instances[device]):
        context.units.append((device, f"{device}.service{number}.{i}"))
    return list(range(first, len(context.units)))


def smooth_round_robin(weights: dict[str, float], num: int) -> list[str]:
    """Return ``num`` names so that every prefix is as near to the weights as it can be.

    Parameters
    ----------
    weights
        Weight of each name; those with weight 0 are never taken.
    num
        How many.
    """
    total = sum(weights.values())
    credit = dict.fromkeys(weights, 0.0)
    chosen = []
    for _ in range(num):
        for name, weight in weights.items():
            credit[name] += weight / total
        best = max((name for name in weights if weights[name] > 0), key=lambda name: credit[name])
        credit[best] -= 1
        chosen.append(best)
    return chosen


def _add_owners(context: Context, view: StageView, views: list[StageView]) -> None:
    """Put before a stage the owners of data it must be sent."""
    wanted: dict[str, list[str]] = {}
    used = share_devices(view.stage.shares) if view.stage else ()
    for name in view.blocks:
        data = context.workload.by_name[name].data
        if data is None or not data.may_leave or data.bytes_per_sample == 0:
            continue
        owners = [device.name for device in context.cluster.devices if data.name in device.data]
        if owners and any(device not in owners for device in used):
            nearest = min(owners, key=lambda o: sum(context.distance(o, d) for d in used))
            wanted.setdefault(nearest, []).append(name)
    for owner, blocks in wanted.items():
        source = StageView(
            len(views),
            view.pipeline,
            -1,
            None,
            view.nominal,
            (),
            view.classes,
            view.class_of,
            owner,
            tuple(blocks),
        )
        source.succs, source.depth, source.cap = [view.index], view.depth + 1, len(view.class_of)
        view.preds.append(source.index)
        views.append(source)
