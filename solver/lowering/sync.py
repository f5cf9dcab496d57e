"""Synchronisation: what keeps copies of a block the same, at the end of a step or of a round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

from models.workload import NUM_BYTES
from solver.collective import chunks
from solver.lowering.collectives import collective_rows
from solver.lowering.context import Context
from solver.lowering.messages import Message
from solver.lowering.renewals import is_due
from solver.lowering.stages import StageView
from solver.lowering.templates import message_rows
from solver.plan import share_devices
from solver.program import Kind, Row, StaticMemory

ZERO, ONE = Fraction(0), Fraction(1)


@dataclass(frozen=True)
class Holder:
    """A device that holds a block in some stage.

    Parameters
    ----------
    device
        Which device.
    stage
        Stage, by index.
    portion
        Pipeline, group that computes the same samples, and tokens it computes the block for; equal
        portions have equal gradients, which need no reduction. Adapters of a layer that is cut over heads or
        columns are held whole, and each device has its part of their gradients.
    interval
        Part of the block's cut weights, from 0 to 1.
    """

    device: str
    stage: int
    portion: tuple[object, ...]
    interval: tuple[Fraction, Fraction]


def holders(context: Context, views: list[StageView]) -> dict[str, list[Holder]]:
    """Return who holds each block, in the order of the plan."""
    found: dict[str, list[Holder]] = {name: [] for name in context.workload.order}
    for view in views:
        if view.stage is None:
            continue
        chosen: dict[str, None] = dict.fromkeys(share_devices(view.stage.shares))
        services = context.plan.job.kind == "serve" and view.stage.mode == "data"
        held = {} if services else view.holdings(context, 0)
        for name in view.blocks:
            block = context.workload.by_name[name]
            for device in held or chosen:
                if not held:
                    found[name].append(Holder(device, view.index, (), (ZERO, ONE)))
                    continue
                holding = held[device]
                tokens = holding.input_box(block, block, (0, 1)).tokens if block.sequence else ()
                portion: tuple[object, ...] = (view.pipeline, holding.cells, tokens)
                if block.tensor and holding.mode == "tensor" and context.costs.trains[name] == "lora":
                    portion += (device,)
                found[name].append(Holder(device, view.index, portion, holding.tensor_interval(block)))
    return found


def held_intervals(places: Sequence[Holder]) -> dict[str, tuple[Fraction, Fraction]]:
    """Return the part of a block's cut weights that each device holds for all its stages, from 0 to 1.

    Parameters
    ----------
    places
        Who holds the block.

    Notes
    -----
    What lies between two parts is held too, and kept the same as elsewhere.
    """
    found: dict[str, tuple[Fraction, Fraction]] = {}
    for place in places:
        start, end = found.get(place.device, place.interval)
        found[place.device] = min(start, place.interval[0]), max(end, place.interval[1])
    return found


def _pieces(places: list[Holder], shared: bool) -> Iterator[tuple[tuple[Fraction, Fraction], list[Holder]]]:
    """Cut a block's cut weights so that each piece has one set of holders."""
    held = held_intervals(places) if shared else {}
    spans = [held.get(place.device, place.interval) for place in places]
    ends = sorted({end for span in spans for end in span})
    for start, end in pairwise(ends):
        inside = [low <= start and end <= high for low, high in spans]
        yield (start, end), [place for place, here in zip(places, inside, strict=True) if here]


@dataclass(frozen=True)
class Reduction:
    """Gradients that the same devices reduce together.

    Parameters
    ----------
    members
        Devices.
    blocks
        Whose gradients.
    interval
        Part of the blocks' cut weights; ``None`` for weights that are not cut.
    num_bytes
        Size.
    """

    members: tuple[str, ...]
    blocks: tuple[str, ...]
    interval: tuple[Fraction, Fraction] | None
    num_bytes: int


def _shared_gradients(
    context: Context, where: dict[str, list[Holder]]
) -> Iterator[tuple[str, tuple[str, ...], tuple[Fraction, Fraction] | None, int]]:
    """Yield (block, members, interval, bytes) of all gradients that must be reduced, last blocks first."""
    for name in reversed(context.workload.order):
        places = where[name]
        costs = [context.cost(name, place.device) for place in places]
        whole = max(cost.trained_bytes - cost.cut_trained_bytes for cost in costs)
        cut = max(cost.cut_trained_bytes for cost in costs)
        is_cut = any(place.interval != (ZERO, ONE) for place in places)
        pieces: list[tuple[tuple[Fraction, Fraction] | None, list[Holder]]] = [(None, places)]
        pieces += _pieces(places, context.plan.copies == "shared") if is_cut else ()
        for part, group in pieces:
            size = whole + (0 if is_cut else cut) if part is None else round(cut * (part[1] - part[0]))
            members = tuple(dict.fromkeys(place.device for place in group))
            if len(members) > 1 and len({place.portion for place in group}) > 1 and size > 0:
                yield name, members, part, size


def fill_buckets(context: Context, where: dict[str, list[Holder]], views: list[StageView]) -> None:
    """Cut every stage's blocks into buckets of about equal bytes to reduce, as many as the plan says at most.

    Parameters
    ----------
    context, where
        The plan; who holds each block.
    views
        Its stages; their ``bucket_of`` is set.

    Notes
    -----
    From the last block on, a block belongs to the k-th of N equal parts of the stage's bytes in which its
    middle byte lies.
    """
    num = context.plan.sync.buckets
    if num == 1 or context.plan.job.kind != "train" or not context.settings.sync:
        return
    sizes = dict.fromkeys(context.workload.order, 0)
    for name, _, _, size in _shared_gradients(context, where):
        sizes[name] += size
    for view in views:
        total = sum(sizes[name] for name in view.blocks)
        before = 0
        for name in reversed(view.blocks) if total else ():
            view.bucket_of[name] = min(num - 1, num * (2 * before + sizes[name]) // (2 * total))
            before += sizes[name]


def reductions(
    context: Context, where: dict[str, list[Holder]], views: Sequence[StageView] = ()
) -> list[Reduction]:
    """Return the gradient reductions of a step, those of the last blocks first.

    Parameters
    ----------
    context
        The plan.
    where
        Who holds each block.
    views
        Stages with their buckets; none: every stage has one.

    Notes
    -----
    Gradients of different stages, or of different buckets, are final at different times: they are reduced
    apart, even by the same members.
    """
    found: dict[object, Reduction] = {}
    for name, members, interval, size in _shared_gradients(context, where):
        stages = dict.fromkeys(place.stage for place in where[name])
        final = tuple((s, views[s].bucket_of.get(name, 0) if views else 0) for s in stages)
        before = found.get((members, interval, final), Reduction(members, (), interval, 0))
        found[members, interval, final] = Reduction(
            members, (*before.blocks, name), interval, before.num_bytes + size
        )
    return list(found.values())


def static_memory(
    context: Context, where: dict[str, list[Holder]], views: list[StageView]
) -> dict[str, StaticMemory]:
    """Return the memory of every device that does not change during a step.

    Parameters
    ----------
    context, where, views
        The plan; who holds each block.
    """
    weights = dict.fromkeys(context.devices, 0)
    trained = dict.fromkeys(context.devices, 0)
    gradients = dict.fromkeys(context.devices, 0)
    shared = context.plan.copies == "shared" and context.plan.job.kind == "train"
    for name, places in where.items():
        by_device: dict[str, dict[object, tuple[Fraction, Fraction]]] = {}
        for place in places:
            view = views[place.stage]
            key: object = "all" if shared else place.stage
            spans = by_device.setdefault(place.device, {})
            before = spans.get(key, place.interval)
            spans[key] = min(before[0], place.interval[0]), max(before[1], place.interval[1])
            extra = (view.stage.instances.get(place.device, 1) - 1) if view.stage else 0
            for i in range(extra):
                spans[place.stage, i] = place.interval
        for device, spans in by_device.items():
            cost = context.cost(name, device)
            sizes = []
            for start, end in spans.values():
                weights[device] += cost.weight_bytes - round(cost.cut_weight_bytes * (1 - (end - start)))
                sizes.append(cost.trained_bytes - round(cost.cut_trained_bytes * (1 - (end - start))))
            trained[device] += sum(sizes)
            # Copies whose gradients are added up in every step add them up in one place.
            gradients[device] += max(sizes) if context.plan.sync.every == 1 else sum(sizes)
    backups = dict.fromkeys(context.devices, 0)
    for backup in context.plan.backup:
        backups[backup.on] += backup_bytes(context, views, backup.stage)
    return {
        name: StaticMemory(
            weights[name],
            gradients[name],
            context.costs.state_bytes(trained[name]),
            backups[name],
            context.settings.held_bytes(trained[name]) if weights[name] else 0,
            trained[name],
        )
        for name in context.devices
    }


def backup_bytes(context: Context, views: list[StageView], stage: tuple[int, int]) -> int:
    """Return the size of a copy of a stage's weights and optimizer states."""
    view = next(v for v in views if (v.pipeline, v.number) == tuple(stage))
    frozen = sum(frozen_bytes(context, name) for name in view.blocks)
    return frozen + renewal_bytes(context, views, stage)


def renewal_bytes(context: Context, views: list[StageView], stage: tuple[int, int]) -> int:
    """Return what travels when a copy of a stage is renewed: trained weights and their optimizer states.

    Notes
    -----
    What is frozen does not change: it is copied once, when weights are placed or moved, before a step.
    """
    view = next(v for v in views if (v.pipeline, v.number) == tuple(stage))
    trained = sum(context.costs.block(name).trained_bytes for name in view.blocks)
    return trained + context.costs.state_bytes(trained)


def frozen_bytes(context: Context, block: str) -> int:
    """Return the weights of a block that never change."""
    cost = context.costs.block(block)
    return cost.weight_bytes - cost.trained_bytes


class SyncMaker:
    """Makes the rows after the last backward of a step, and at the end of a round.

    Parameters
    ----------
    context, views
        The plan.
    where, static
        Who holds each block; memory of every device.
    """

    def __init__(
        self,
        context: Context,
        views: list[StageView],
        where: dict[str, list[Holder]],
        static: dict[str, StaticMemory],
    ) -> None:
        self.context, self.views, self.where, self.static = context, views, where, static
        self.updating = [name for name in context.devices if static[name].gradient_bytes > 0]
        self.slot = {name: i for i, name in enumerate(self.updating)}

    @cached_property
    def reduction_rows(self) -> list[list[Row]]:
        """Reductions of one step, each with one row per member; slots count updating devices."""
        sync = self.context.plan.sync
        item = NUM_BYTES[self.context.plan.job.precision]
        found: list[list[Row]] = []
        for reduction in reductions(self.context, self.where, self.views) if sync.every == 1 else ():
            sizes = chunks(reduction.num_bytes, len(reduction.members), item)
            server = sync.server if sync.topology == "star" else None
            interval = reduction.interval and (float(reduction.interval[0]), float(reduction.interval[1]))
            ring = self._ring_of(reduction)
            members = reduction.members
            rows = collective_rows(self.context, members, "all_reduce", sizes, server, ring=ring)
            rows = [self._with_copy(row, reduction) for row in rows]
            found.append(
                [
                    replace(
                        row,
                        phase="sync",
                        blocks=reduction.blocks,
                        waits=(0, self.slot[row.device]) if row.device in self.slot else (-1, 0),
                        interval=interval,
                    )
                    for row in rows
                ]
            )
        return found

    def _ring_of(self, reduction: Reduction) -> tuple[str, ...]:
        """Return the ring of the first stage that names one for all members of a reduction; empty if none."""
        stages = dict.fromkeys(place.stage for name in reduction.blocks for place in self.where[name])
        named = (view.stage.ring for s in sorted(stages) if (view := self.views[s]).stage is not None)
        return next((ring for ring in named if set(reduction.members) <= set(ring)), ())

    def _with_copy(self, row: Row, reduction: Reduction) -> Row:
        """Add the memory of a copy: a part of what a device holds does not lie in one run."""
        for name in reduction.blocks if reduction.interval is not None else ():
            held = held_intervals(self.where[name]).get(row.device, reduction.interval)
            if held != reduction.interval:
                size = reduction.num_bytes
                return replace(row, alloc_bytes=row.alloc_bytes + size, free_bytes=row.free_bytes + size)
        return row

    def update_rows(self) -> list[tuple[Row, int]]:
        """Return the updates of one step, and the slot of each."""
        return [(self._update(name, slot), slot) for name, slot in self.slot.items()]

    def _update(self, name: str, slot: int) -> Row:
        device = self.context.devices[name]
        trained = self.static[name].trained_bytes
        unit = self.context.unit_of[name]
        return Row(
            kind=Kind.UPDATE,
            device=name,
            duration_s=device.overhead_s.value + self.context.costs.update_s(device, trained),
            power_w=self.context.extra_w(name),
            unit=unit,
            lanes=(unit,),
            waits=(0, slot),
            phase="update",
            free_bytes=max((row.alloc_bytes for row in self._reduced_by(name)), default=0),
        )

    def _reduced_by(self, name: str) -> Iterator[Row]:
        return (row for rows in self.reduction_rows for row in rows if row.device == name)

    def round_rows(self) -> list[tuple[Row, int]]:
        """Return (row, slot offset) of uploads, aggregation and downloads; the offset is -1 for none.

        Notes
        -----
        Slot 0 is the aggregation, then one per downloading device.
        """
        sync, server = self.context.plan.sync, self.context.plan.sync.server
        if sync.every == 1 or server is None:
            return []
        sizes = self._client_bytes(server)
        rows: list[tuple[Row, int]] = []
        for name, (up, _) in sizes.items():
            rows += self._move(name, server, up, "upload", 0)
        rows.append((self._aggregate(server, sizes), 0))
        for i, (name, (_, down)) in enumerate(sizes.items()):
            rows += self._move(server, name, down, "download", i + 1)
        for i, name in enumerate(sizes):
            unit = self.context.unit_of[name]
            row = Row(Kind.UPDATE, name, unit=unit, lanes=(unit,), phase="download")
            rows.append((replace(row, free_bytes=sizes[name][1], buffer_bytes=-sizes[name][1]), i + 1))
        return rows

    def _move(self, source: str, target: str, size: int, phase: str, slot: int) -> list[tuple[Row, int]]:
        message = Message(source, target, size, (), ())
        send, receive = message_rows(self.context, message, 0, phase)
        send = replace(send, unit=self.context.unit_of[source])
        receive = replace(receive, unit=self.context.unit_of[target])
        return [(receive, -1), (send, slot)]

    def _aggregate(self, server: str, sizes: dict[str, tuple[int, int]]) -> Row:
        total = sum(up for up, _ in sizes.values())
        device, unit = self.context.devices[server], self.context.unit_of[server]
        precision = self.context.plan.job.precision
        seconds = total / NUM_BYTES[precision] / device.flop_per_s[precision].value
        return Row(
            kind=Kind.AGGREGATE,
            device=server,
            duration_s=seconds + device.overhead_s.value,
            free_bytes=total,
            buffer_bytes=-total,
            power_w=self.context.extra_w(server),
            unit=unit,
            lanes=(unit,),
            phase="aggregate",
        )

    def _client_bytes(self, server: str) -> dict[str, tuple[int, int]]:
        """Return (upload, download) bytes of every device that holds a block others hold too."""
        rule = self.context.plan.sync.rule
        sizes: dict[str, list[int]] = {}
        for name, places in self.where.items():
            devices = list(dict.fromkeys(place.device for place in places))
            clients = [device for device in devices if device != server]
            if len(devices) < 2:
                continue
            adapted = self.context.costs.trains[name] == "lora"
            stacked = sum(self.context.cost(name, device).trained_bytes for device in devices)
            for device in clients:
                size = self.context.cost(name, device).trained_bytes
                total = sizes.setdefault(device, [0, 0])
                total[0] += size
                total[1] += stacked if rule == "stack" and adapted else size
        return {name: (up, down) for name, (up, down) in sizes.items() if up}

    def backup_rows(self, step: int) -> list[tuple[Row, int]]:
        """Return the backup transfers that are due after a step, counted from 0."""
        rows: list[tuple[Row, int]] = []
        for backup in self.context.plan.backup:
            if not is_due(backup.every, step):
                continue
            view = next(v for v in self.views if (v.pipeline, v.number) == tuple(backup.stage))
            source = next(iter(view.holdings(self.context, 0)))
            size = renewal_bytes(self.context, self.views, backup.stage)
            if source != backup.on and size:
                moved = self._move(source, backup.on, size, "backup", -1)
                rows += [
                    (
                        replace(
                            row,
                            alloc_bytes=0,
                            buffer_bytes=0,
                            blocks=view.blocks,
                            pipeline=view.pipeline,
                            stage=view.number,
                        ),
                        slot,
                    )
                    for row, slot in moved
                ]
        return rows
