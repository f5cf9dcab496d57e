"""Assemble: stages, templates, schedule and synchronisation become one Program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.cluster import Cluster
from models.workload import Workload
from solver.lowering.context import Context
from solver.lowering.messages import overflow_tokens
from solver.lowering.stages import StageView, stage_views
from solver.lowering.sync import SyncMaker, holders, static_memory
from solver.lowering.templates import Template, TemplateMaker
from solver.plan import Plan
from solver.program import Ints, Kind, Program, Row, RowTable
from solver.schedule import emit, list_schedule
from solver.settings import Settings

PHASES = ("forward", "backward")


def lower(
    plan: Plan,
    workload: Workload,
    cluster: Cluster,
    settings: Settings | None = None,
    *,
    first_step: int = 0,
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
        Number of the first step: decides which backups are due.

    Notes
    -----
    Templates are made per stage, pass and kind of micro-batch; instructions are then written by compiled
    code in O(num_instructions).
    """
    context = Context(plan, workload, cluster, settings or Settings())
    views = stage_views(context)
    return _Assembler(context, views).program(first_step)


@dataclass(frozen=True)
class _Packed:
    """Lists of lists as one array and where each begins."""

    start: Ints
    values: Ints

    @classmethod
    def of(cls, lists: list[list[int]]) -> _Packed:
        start = np.cumsum([0] + [len(part) for part in lists]).astype(np.int32)
        return cls(start, np.array([value for part in lists for value in part], np.int32))


class _Assembler:
    def __init__(self, context: Context, views: list[StageView]) -> None:
        self.context, self.views = context, views
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
        self.template_of = np.zeros(2 * len(self.views) * n, np.int32)
        starts: list[tuple[int, int, int]] = []
        self.consumers: list[list[tuple[int, int, int]]] = []
        self.stride = np.zeros(2 * len(self.views), np.int64)
        for (s, c, phase), template in self.templates.items():
            p = 2 * s + PHASES.index(phase)
            self.template_of[p * n + c] = len(starts)
            first = len(self.rows)
            self.rows += template.compute + template.messages
            self.consumers += [[]] * len(template.compute)
            for users in template.consumers:
                direction = PHASES.index(phase)
                self.consumers.append([(2 * t + direction, offset, place) for t, offset, place in users])
            starts.append((first, first + len(template.compute), len(self.rows)))
            self.stride[p] = max(self.stride[p], template.num_slots)
        self.starts = np.array(starts, np.int32).reshape(-1, 3)
        sizes = [self.stride[2 * v.index + d] * len(v.class_of) for v in self.views for d in (0, 1)]
        self.base = np.cumsum([0, *sizes]).astype(np.int64)

    def program(self, first_step: int) -> Program:
        """Order, write, and repeat for every step of the round."""
        context, plan = self.context, self.context.plan
        body = self._body()
        where = holders(context, self.views)
        static = static_memory(context, where, self.views)
        sync = SyncMaker(context, self.views, where, static)
        training = plan.job.kind == "train" and context.settings.sync
        step_rows = [(row, row.waits[1] if row.waits[0] == 0 else -1) for row in sync.step_rows()]
        writer = _Writer(self.rows)
        slots_of_step = int(self.base[-1]) + (len(sync.updating) if training else 0)
        steps = plan.sync.every if training else 1
        starts = []
        for k in range(steps):
            starts.append(writer.count)
            writer.copy(body, k * slots_of_step)
            if training:
                writer.add(step_rows, k * slots_of_step + int(self.base[-1]))
                writer.add(sync.backup_rows(first_step + k), -1)
        num_slots = steps * slots_of_step
        if training:
            round_rows = sync.round_rows()
            writer.add(round_rows, num_slots)
            num_slots += 1 + max((slot for _, slot in round_rows), default=-1)
        row, micro_batch, slot, mate = writer.arrays()
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
        return sum(overflow_tokens(self.context, view, c) for view in self.views for c in view.class_of)

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
        views, n = self.views, self.num_classes
        forward = [
            self.templates[v.index, c, "forward"] if c < len(v.classes) else Template()
            for v in views
            for c in range(n)
        ]
        units = _Packed.of([template.units for template in forward])
        classes = _Packed.of([view.class_of for view in views])
        order = list_schedule(
            *self._graph(),
            units.start,
            units.values,
            n,
            classes.start,
            classes.values,
            *self._on_units(forward),
        )
        places = np.repeat(
            [max((len(forward[v.index * n + c].units) for c in range(n)), default=0) for v in views], 2
        )
        ordinals = np.cumsum(
            [0] + [int(places[2 * v.index]) * len(v.class_of) for v in views for _ in (0, 1)]
        )
        users = [[value for value in part] for part in self.consumers]
        packed = _Packed.of([[u[0] for u in part] for part in users])
        offsets = np.array([u[1] for part in users for u in part], np.int32)
        at = np.array([u[2] for part in users for u in part], np.int32)
        found: tuple[Ints, Ints, Ints, Ints] = emit(
            *order, self.template_of, n, classes.start, classes.values, units.start, units.values,
            self.starts[:, 0].copy(), self.starts[:, 1].copy(), self.starts[:, 2].copy(),
            np.array([row.kind for row in self.rows], np.int32),
            np.array([row.unit for row in self.rows], np.int32),
            np.array([row.waits[0] for row in self.rows], np.int32),
            np.array([row.waits[1] for row in self.rows], np.int32),
            packed.start, packed.values, offsets, at,
            self.base[:-1].copy(), self.stride, ordinals[:-1].astype(np.int64), places.astype(np.int64),
            int(ordinals[-1]), len(self.context.units), self.context.settings.prefetch,
        )  # fmt: skip
        return found

    def _graph(self) -> tuple[Ints, ...]:
        """Return sizes, caps and edges of the stage graph as arrays."""
        views = self.views
        preds = [[s for s in v.preds] for v in views]
        succs = [[s for s in v.succs if views[s].has_backward] if v.has_backward else [] for v in views]
        into, out = _Packed.of(preds), _Packed.of(succs)
        return (
            np.array([len(v.class_of) for v in views], np.int32),
            np.array([v.cap for v in views], np.int32),
            np.array([v.has_backward for v in views], np.int32),
            into.start,
            into.values,
            np.array([self._lag(s, v.index) for v in views for s in preds[v.index]], np.int32),
            out.start,
            out.values,
            np.array([self._lag(v.index, s) for v in views for s in succs[v.index]], np.int32),
        )

    def _lag(self, source: int, target: int) -> int:
        """Return 1 if a message goes from one stage to the other, 0 if they share all devices."""
        for c in range(len(self.views[source].classes)):
            template = self.templates[source, c, "forward"]
            for row, users in zip(template.messages, template.consumers, strict=True):
                if row.kind == Kind.SEND and any(user[0] == target for user in users):
                    return 1
        return 0

    def _on_units(self, forward: list[Template]) -> tuple[Ints, Ints, Ints, int]:
        """Return depths, and which stages use each compute lane."""
        n, num = self.num_classes, len(self.context.units)
        on: list[list[int]] = [[] for _ in range(num)]
        for i, template in enumerate(forward):
            for unit in template.units:
                if i // n not in on[unit]:
                    on[unit].append(i // n)
        packed = _Packed.of(on)
        return np.array([v.depth for v in self.views], np.int32), packed.start, packed.values, num


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
        numbers, slots, mates = [], [], []
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
