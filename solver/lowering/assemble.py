"""Assemble: stages, templates, schedule and synchronisation become one Program."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.cluster import Cluster
from models.workload import Workload
from solver.lowering.context import Context
from solver.lowering.emit import ROW, SLOTS, TEMPLATE, USER, Layout, emit
from solver.lowering.messages import overflow_tokens
from solver.lowering.placing import place_reductions
from solver.lowering.renewals import fullest_step
from solver.lowering.stage_loads import lower_stage_loads
from solver.lowering.stages import StageView, stage_views
from solver.lowering.sync import SyncMaker, fill_buckets, holders, static_memory
from solver.lowering.templates import Template, TemplateMaker
from solver.plan import Plan
from solver.program import Ints, Kind, Program, Row, RowTable, StaticMemory
from solver.schedule import StageNode, list_schedule
from solver.settings import Settings

PHASES = ("forward", "backward")


def lower(
    plan: Plan,
    workload: Workload,
    cluster: Cluster,
    settings: Settings | None = None,
    *,
    first_step: int | None = None,
) -> Program:
    """Lower a plan into a Program: one step, or one round where copies synchronise more rarely.

    Parameters
    ----------
    plan
        A sound plan (see :func:`solver.check.check`).
    workload, cluster
        What it names.
    settings
        Cost rules.
    first_step
        Number of the first step: decides which backups are due; ``None``: one in which all are.

    Notes
    -----
    Under a published rule see :mod:`solver.lowering.stage_loads`; otherwise
    templates are made per stage, pass and kind of micro-batch; instructions are then written by compiled
    code in O(num_instructions).
    """
    context = Context(plan, workload, cluster, settings or Settings())
    if context.settings.rule != "program":
        return lower_stage_loads(context)
    views = stage_views(context)
    return Assembler(context, views).program(fullest_step(plan) if first_step is None else first_step)


class Assembler:
    """Makes the Program of a plan.

    Parameters
    ----------
    context, views
        The plan and its stages.

    Attributes
    ----------
    where
        Who holds each block.
    templates
        Rows of every operation, by stage, class of micro-batch and phase.
    """

    def __init__(self, context: Context, views: list[StageView]) -> None:
        self.context, self.views = context, views
        self.where = holders(context, views)
        fill_buckets(context, self.where, views)
        self.num_classes = max(len(view.classes) for view in views)
        maker = TemplateMaker(context, views)
        self.templates: dict[tuple[int, int, str], Template] = {}
        keys = [(v.index, c, phase) for v in views for c in range(len(v.classes)) for phase in PHASES]
        for s, c, phase in keys:
            empty = phase == "backward" and not views[s].has_backward
            self.templates[s, c, phase] = Template() if empty else maker.make(s, c, phase)
        for key in keys:
            maker.attach_messages(*key, self.templates)
        self.rows: list[Row] = []
        self._number()

    def _number(self) -> None:
        """Lay all rows and slots out."""
        n = self.num_classes
        self.starts = np.zeros((2 * len(self.views) * n, 3), np.int64)
        self.users: list[list[tuple[int, int, int]]] = []
        self.stride = np.zeros(2 * len(self.views), np.int64)
        for (s, c, phase), template in self.templates.items():
            direction = PHASES.index(phase)
            first = len(self.rows)
            self.rows += template.compute + template.messages
            self.users += [[]] * len(template.compute)
            for users in template.consumers:
                self.users.append([(2 * t + direction, offset, place) for t, offset, place in users])
            middle = first + len(template.compute)
            self.starts[2 * (s * n + c) + direction] = first, middle, len(self.rows)
            p = 2 * s + direction
            self.stride[p] = max(self.stride[p], template.num_slots)
        sizes = [self.stride[2 * v.index + d] * len(v.class_of) for v in self.views for d in (0, 1)]
        self.base = np.cumsum([0, *sizes]).astype(np.int64)

    def program(self, first_step: int) -> Program:
        """Order, write, and repeat for every step of the round."""
        context, plan = self.context, self.context.plan
        body = self._body()
        static = static_memory(context, self.where, self.views)
        sync = SyncMaker(context, self.views, self.where, static)
        training = plan.job.kind == "train" and context.settings.sync
        if training:
            eager = plan.sync.buckets > 1
            body = place_reductions(body, self.rows, sync.reduction_rows, int(self.base[-1]), eager=eager)
        writer = _Writer(self.rows)
        slots_of_step = int(self.base[-1]) + (len(sync.updating) if training else 0)
        steps = plan.sync.every if training else 1
        starts = []
        for k in range(steps):
            starts.append(writer.count)
            writer.copy(body, k * slots_of_step)
            if training:
                writer.add(sync.update_rows(), k * slots_of_step + int(self.base[-1]))
                writer.add(sync.backup_rows(first_step + k), -1)
        num_slots = steps * slots_of_step
        if training:
            round_rows = sync.round_rows()
            writer.add(round_rows, num_slots)
            num_slots += 1 + max((slot for _, slot in round_rows), default=-1)
        row, micro_batch, slot, mate = writer.arrays()
        if context.settings.memory == "weights":
            static = {name: StaticMemory(part.weight_bytes) for name, part in static.items()}
            self.rows = [replace(row, alloc_bytes=0, free_bytes=0, buffer_bytes=0) for row in self.rows]
        names = tuple(context.devices)
        return Program(
            devices=names,
            rows=tuple(self.rows),
            table=RowTable.of(self.rows, {name: i for i, name in enumerate(names)}),
            row=row,
            micro_batch=micro_batch,
            slot=slot,
            mate=mate,
            num_slots=num_slots,
            step_starts=(*starts, len(row)),
            lanes=context.lanes,
            num_units=len(context.units),
            static=static,
            num_samples=steps * sum(pipeline.num_samples for pipeline in plan.pipelines),
            num_micro_batches=steps * sum(p.num_micro_batches for p in plan.pipelines),
            releases=self._releases(),
            overflow_tokens=steps * self._overflow(),
            settings=context.settings,
        )

    def _overflow(self) -> float:
        total = 0.0
        for view in self.views:
            for c, count in enumerate(np.bincount(view.class_of)):
                total += int(count) * overflow_tokens(self.context, view, c)
        return total

    def _releases(self) -> tuple[tuple[int, float], ...]:
        """Serving: a request's first computations start when it arrives."""
        interval = self.context.plan.job.arrival_interval_s
        if interval == 0:
            return ()
        firsts = [view for view in self.views if not view.preds]
        return tuple(
            (int(self.base[2 * v.index] + i * self.stride[2 * v.index] + k), i * interval)
            for v in firsts
            for i in range(len(v.class_of))
            for k in range(int(self.stride[2 * v.index]))
        )

    def _body(self) -> tuple[Ints, Ints, Ints, Ints]:
        """Return (row, micro-batch, slot, mate) of all operations of one step."""
        operations = list_schedule([self._node(view) for view in self.views])
        settings = self.context.settings
        # What lies in host memory is there when it is wanted: no receive is posted too late.
        prefetch = len(operations) if settings.transfers == "host" else settings.prefetch
        return emit(operations, self._layout(), prefetch)

    def _node(self, view: StageView) -> StageNode:
        """Return a stage as the schedule sees it."""
        succs = [s for s in view.succs if self.views[s].has_backward] if view.has_backward else []
        return StageNode(
            class_of=view.class_of,
            lanes=[self._units(view, c) for c in range(self.num_classes)],
            cap=view.cap,
            has_backward=view.has_backward,
            depth=view.depth,
            preds=[(s, self._lag(s, view.index)) for s in view.preds],
            succs=[(s, self._lag(view.index, s)) for s in succs],
        )

    def _units(self, view: StageView, number: int) -> list[int]:
        """Return the compute lanes of a stage for a class of micro-batches; none if it has no such class."""
        return self.templates[view.index, number, "forward"].units if number < len(view.classes) else []

    def _layout(self) -> Layout:
        """Return the rows of all operations as arrays."""
        units = [self._units(view, c) for view in self.views for c in range(self.num_classes)]
        first = np.concatenate(([0], np.cumsum([len(part) for part in units])))
        templates = np.zeros(2 * len(units), TEMPLATE)
        templates["compute"], templates["messages"], templates["end"] = self.starts.T
        templates["lanes"], templates["end_of_lanes"] = np.repeat(first[:-1], 2), np.repeat(first[1:], 2)
        rows = np.zeros(len(self.rows), ROW)
        rows["kind"] = [row.kind for row in self.rows]
        rows["unit"] = [row.unit for row in self.rows]
        rows["wait_type"] = [row.waits[0] for row in self.rows]
        rows["wait_offset"] = [row.waits[1] for row in self.rows]
        ends = np.cumsum([0, *(len(part) for part in self.users)])
        rows["users"], rows["end_of_users"] = ends[:-1], ends[1:]
        slots = np.zeros(2 * len(self.views), SLOTS)
        slots["base"], slots["stride"] = self.base[:-1], self.stride
        most = [
            max(map(len, units[i : i + self.num_classes])) for i in range(0, len(units), self.num_classes)
        ]
        slots["places_stride"] = np.repeat(most, 2)
        counts = np.repeat([len(view.class_of) for view in self.views], 2)
        places = np.cumsum(np.concatenate(([0], slots["places_stride"] * counts)))
        slots["places"] = places[:-1]
        return Layout(
            templates,
            np.array([unit for part in units for unit in part], np.int64),
            rows,
            np.array([user for part in self.users for user in part], USER),
            slots,
            int(places[-1]),
        )

    def _lag(self, source: int, target: int) -> int:
        """Return 1 if a message goes from one stage to the other, 0 if they share all devices."""
        for c in range(len(self.views[source].classes)):
            template = self.templates[source, c, "forward"]
            for row, users in zip(template.messages, template.consumers, strict=True):
                if row.kind == Kind.SEND and any(user[0] == target for user in users):
                    return 1
        return 0


class _Writer:
    """Joins the instructions of steps and synchronisation."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.count = 0
        self.parts: list[tuple[Ints, Ints, Ints, Ints]] = []
        self.known: dict[Row, int] = {}

    def copy(self, body: tuple[Ints, Ints, Ints, Ints], slot_offset: int) -> None:
        row, micro_batch, slot, mate = body
        moved = np.where(slot >= 0, slot + slot_offset, -1).astype(np.int32)
        mates = np.where(mate >= 0, mate + self.count, -1).astype(np.int32)
        self.parts.append((row, micro_batch, moved, mates))
        self.count += len(row)

    def add(self, rows: list[tuple[Row, int]], slot_offset: int) -> None:
        numbers: list[int] = []
        slots: list[int] = []
        mates: list[int] = []
        for row, slot in rows:
            if row not in self.known:
                self.known[row] = len(self.rows)
                self.rows.append(row)
            numbers.append(self.known[row])
            slots.append(slot + slot_offset if slot >= 0 else -1)
            here = self.count + len(mates)
            if row.kind == Kind.SEND:
                mates[-1] = here
                mates.append(here - 1)
            else:
                mates.append(-1)
        arrays = (numbers, [-1] * len(rows), slots, mates)
        self.parts.append(tuple(np.array(values, np.int32) for values in arrays))  # type: ignore[arg-type]
        self.count += len(rows)

    def arrays(self) -> tuple[Ints, Ints, Ints, Ints]:
        joined = [np.concatenate([part[i] for part in self.parts]) for i in range(4)]
        return joined[0], joined[1], joined[2], joined[3]
