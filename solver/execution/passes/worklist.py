"""Worklist: what the list of one worker says about samples, stages and tensors, known before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from models.cluster import Cluster
from models.nets import catalog
from models.workload import Workload
from solver.costs import Costs
from solver.execution.passes.portions import batches_of, task_samples
from solver.execution.passes.raw import raw_tensors, withheld
from solver.execution.passes.replica import Group, Held
from solver.execution.passes.script import (
    Division,
    Node,
    Role,
    Script,
    ScriptMaker,
    Unit,
    deal,
    divide,
)
from solver.layout import Box, hull
from solver.lowering.context import Context
from solver.lowering.messages import gradient_boxes
from solver.lowering.stages import stage_views
from solver.lowering.sync import Holder, held_intervals, holders
from solver.plan import Plan
from solver.program import COMPUTE, Instruction, Kind, Program

Operation = tuple[int, int, int]
"""Pipeline, stage, micro-batch."""

ParcelKey = tuple[str, int, int, str, int]
"""An output (``forward``) or gradient (``backward``): pass, pipeline, its stage, block, micro-batch."""


@dataclass(frozen=True)
class Task:
    """One instruction of a worker's list.

    Parameters
    ----------
    instruction
        What to do.
    waits
        Receives and collectives of this worker (by index) that a computation needs.
    nodes
        What a computation or a collective inside a stage consists of.
    is_first, is_last
        Whether it begins, and whether it ends, its pass of the stage on this device.
    """

    instruction: Instruction
    waits: tuple[int, ...] = ()
    nodes: tuple[Node, ...] = ()
    is_first: bool = False
    is_last: bool = False

    @property
    def operation(self) -> Operation:
        """Which pass of which stage it belongs to."""
        row = self.instruction.row
        return row.pipeline, row.stage, self.instruction.micro_batch


class Worklist:
    """What one device holds and does.

    Parameters
    ----------
    device
        Its name.
    program, plan, workload, cluster
        What all workers carry out.

    Attributes
    ----------
    tasks
        Its list, in order.
    operations
        Passes of stages it takes part in.
    spans
        (pipeline, block, micro-batch): slice of a block's output its stages need from elsewhere.
    users
        The same keys: how many stages of the device need it.
    offsets
        (pipeline, micro-batch): first sample in the whole batch.
    task_samples
        Samples of a step over which the loss of a task is averaged.
    raw
        By source or sink, shape and number format of a sample or label it reads.
    withheld
        Blocks whose data the device does not own, so that they reach it as messages.
    stage_of
        Pipeline and block: number of its stage.
    blocks
        Blocks it holds, in topological order.
    sends
        How often each output or gradient is sent.
    arguments
        By block, the blocks it reads in the order of its arguments.
    divisions
        (pipeline, stage, kind of micro-batch): pieces.
    """

    def __init__(
        self, device: str, program: Program, plan: Plan, workload: Workload, cluster: Cluster
    ) -> None:
        self.device, self.workload = device, workload
        self.context = Context(plan, workload, cluster, program.settings)
        self.costs = Costs(workload, plan.job)
        self.views = stage_views(self.context)
        self._view = {(view.pipeline, view.number): view for view in self.views}
        self.stage_of = {(v.pipeline, name): v.number for v in self.views for name in v.blocks}
        self.operations: set[Operation] = set()
        self.spans: dict[tuple[int, str, int], Box] = {}
        self.users: dict[tuple[int, str, int], int] = {}
        self.sends: dict[ParcelKey, int] = {}
        self.offsets = {key: first for key, first, _ in batches_of(plan)}
        self.task_samples = task_samples(plan, workload)
        assert workload.net is not None
        net = catalog.spec(workload.net)
        self.arguments = {block.name: block.inputs for block in net.blocks}
        self.raw = raw_tensors(workload, net)
        self.withheld = withheld(workload, cluster, device)
        self.divisions: dict[tuple[int, int, int], Division] = {}
        self._kinds: dict[Operation, tuple[int, int, int]] = {}
        self._scripts: dict[tuple[int, int, int], Script] = {}
        self._consumers: dict[tuple[int, str], tuple[int, ...]] = {}
        self._uses: dict[Operation, dict[str, int]] = {}
        self._gradient_boxes: dict[tuple[tuple[int, int, int], str], list[Box]] = {}
        self._echoes: dict[tuple[int, int, str], bool] = {}
        own = list(program.of_device(device))
        self.tasks = self._tasks(own, program)
        # The steps of a round are alike: their tables are those of the first.
        for task in (task for task in self.tasks if task.instruction.step == 0):
            row = task.instruction.row
            if row.kind == Kind.FORWARD and task.is_first:
                self._add_forward(task.operation)
            elif row.kind == Kind.SEND:
                for part in row.slices:
                    key = (row.phase, row.pipeline, row.stage, part.block, task.instruction.micro_batch)
                    self.sends[key] = self.sends.get(key, 0) + 1
        self.blocks = tuple(
            name for name in workload.order if any(h.device == device for h in self.holders[name])
        )

    def _tasks(self, own: list[Instruction], program: Program) -> list[Task]:
        waits = _waits(own, program)
        passes: dict[tuple[int, Operation], dict[str, list[Instruction]]] = {}
        for instruction in own:
            row = instruction.row
            if row.stage >= 0 and row.kind in (Kind.FORWARD, Kind.BACKWARD, Kind.COLLECTIVE):
                operation = row.pipeline, row.stage, instruction.micro_batch
                which = instruction.step, operation
                passes.setdefault(which, {}).setdefault(row.phase, []).append(instruction)
        found: dict[int, Task] = {}
        for (_, operation), both in passes.items():
            script = self.script(operation)
            row_of: dict[tuple[str, Role], int] = {}
            for phase, instructions in both.items():
                nodes = script.nodes if phase == "forward" else script.backward_nodes
                dealt = deal(nodes, [instruction.row for instruction in instructions], phase)
                for place, (instruction, part) in enumerate(zip(instructions, dealt, strict=True)):
                    index, last = instruction.index, place + 1 == len(instructions)
                    found[index] = Task(instruction, waits.get(index, ()), part, place == 0, last)
                    if phase == "backward":
                        row_of |= {(n.block, n.role): place for n in part if isinstance(n, Unit)}
            self.divisions.setdefault(self.kind(operation), divide(script, row_of))
        return [found.get(item.index) or Task(item, waits.get(item.index, ())) for item in own]

    def kind(self, operation: Operation) -> tuple[int, int, int]:
        """Return pipeline, stage and kind of micro-batch: what the device does depends on no more."""
        found = self._kinds.get(operation)
        if found is None:
            p, s, i = operation
            found = self._kinds[operation] = p, s, int(self._view[p, s].class_of[i])
        return found

    def script(self, operation: Operation) -> Script:
        """Return what the device does in a stage for a micro-batch."""
        kind = self.kind(operation)
        if kind not in self._scripts:
            view = self._view[operation[:2]]
            maker = ScriptMaker(
                self.workload,
                view.blocks,
                view.holdings(self.context, kind[2]),
                self.device,
                view.classes[kind[2]].active,
                frozenset(name for name in view.blocks if self.has_backward(name)),
                self.arguments,
            )
            self._scripts[kind] = maker.make()
        return self._scripts[kind]

    def recomputes(self, operation: Operation, block: str) -> bool:
        """Return whether what a block keeps is dropped and made again in the backward pass."""
        stage = self._view[operation[:2]].stage
        return stage is not None and block in stage.recompute and self.has_backward(block)

    def division(self, operation: Operation) -> Division:
        """Return how the script of a stage for a micro-batch falls into pieces."""
        return self.divisions[self.kind(operation)]

    def takes_part(self, operation: Operation) -> bool:
        """Return whether the device computes anything of a stage for a micro-batch."""
        return operation in self.operations

    def _add_forward(self, operation: Operation) -> None:
        p, _, i = operation
        self.operations.add(operation)
        for name, box in self.script(operation).inputs.items():
            key = (p, name, i)
            self.spans[key] = hull([box, self.spans.get(key, box)])
            self.users[key] = self.users.get(key, 0) + 1

    def consumers(self, pipeline: int, block: str) -> tuple[int, ...]:
        """Return the other stages that need a block's output."""
        key = pipeline, block
        if key not in self._consumers:
            own = self.stage_of[key]
            stages = (self.stage_of[pipeline, edge.target] for edge in self.workload.successors[block])
            self._consumers[key] = tuple(dict.fromkeys(stage for stage in stages if stage != own))
        return self._consumers[key]

    def local_consumers(self, operation: Operation, block: str) -> tuple[int, ...]:
        """Return those of the stages that need a block's output which run on this device."""
        p, _, i = operation
        found = (t for t in self.consumers(p, block) if self.takes_part((p, t, i)))
        return tuple(t for t in found if block in self.script((p, t, i)).inputs)

    def uses(self, operation: Operation) -> dict[str, int]:
        """Return the outputs that leave a stage on this device, and how often; others send the rest."""
        if operation not in self._uses:
            p, s, i = operation
            found: dict[str, int] = {}
            for name in self.script(operation).outputs:
                count = self.sends.get(("forward", p, s, name, i), 0)
                count += len(self.local_consumers(operation, name))
                found |= {name: count} if count else {}
            self._uses[operation] = found
        return self._uses[operation]

    def gradient_boxes(self, operation: Operation, source: str) -> list[Box]:
        """Return the slices of an input's gradient that are whole on this device after a stage's backward."""
        p, s, number = kind = self.kind(operation)
        if (kind, source) not in self._gradient_boxes:
            found = gradient_boxes(self.context, self._view[p, s], number, source)
            self._gradient_boxes[kind, source] = found.get(self.device, [])
        return self._gradient_boxes[kind, source]

    def has_backward(self, block: str) -> bool:
        """Return whether a gradient of a block's output is needed."""
        return self.costs.has_backward(block)

    @property
    def queued(self) -> list[Instruction]:
        """Receives, and reductions of gradients."""
        own = [task.instruction for task in self.tasks if not task.nodes]
        return [item for item in own if item.row.kind in (Kind.RECV, Kind.COLLECTIVE)]

    @cached_property
    def holders(self) -> dict[str, list[Holder]]:
        """Who holds each block."""
        return holders(self.context, self.views)

    @cached_property
    def held(self) -> Held:
        """What the device holds, and what of it is reduced with others."""
        intervals = {name: self.interval(name) for name in self.blocks}
        groups: dict[Group, None] = {}
        for task in self.tasks:
            row = task.instruction.row
            if row.kind == Kind.COLLECTIVE and row.stage < 0 and set(row.blocks) <= set(intervals):
                spans = [intervals[name] for name in row.blocks]
                low, high = row.interval or (0.0, 1.0)
                if row.interval is None or all(float(a) <= low and high <= float(b) for a, b in spans):
                    groups[row.blocks, row.interval] = None
        cut = {
            n for n, places in self.holders.items() if any(p.interval[1] - p.interval[0] < 1 for p in places)
        }
        return Held(intervals, frozenset(cut), tuple(groups), self._twins())

    def _twins(self) -> dict[int, tuple[str, ...]]:
        """Return the blocks of every pipeline that have a copy of their own beside an earlier pipeline's."""
        found: dict[int, tuple[str, ...]] = {}
        if self.context.plan.copies == "shared":
            return found
        for name in self.blocks:
            own = [
                self.views[place.stage].pipeline
                for place in self.holders[name]
                if place.device == self.device
            ]
            for p in own[1:]:
                found[p] = (*found.get(p, ()), name)
        return found

    def interval(self, block: str) -> tuple[Fraction, Fraction]:
        """Return the part of a block's cut weights this device holds, from 0 to 1."""
        return held_intervals(self.holders[block])[self.device]

    def part(self, operation: Operation, block: str) -> tuple[int, int] | None:
        """Return the heads or columns a stage computes, out of those the device holds; ``None``: all."""
        p, s, _ = operation
        tensor, held = self.workload.by_name[block].tensor, self.interval(block)
        index = self._view[p, s].index
        own = next(h.interval for h in self.holders[block] if (h.device, h.stage) == (self.device, index))
        if tensor is None or own == held:
            return None
        units = tensor.heads or tensor.columns or 0
        return int((own[0] - held[0]) * units), int((own[1] - held[0]) * units)

    def echoes(self, operation: Operation, block: str) -> bool:
        """Return whether another device brings the same gradient of a block to a reduction."""
        p, s, _ = operation
        key = (p, s, block)
        if key not in self._echoes:
            self._echoes[key] = self.context.plan.sync.every == 1 and self._is_echo(
                self._view[p, s].index, block
            )
        return self._echoes[key]

    def _is_echo(self, stage: int, block: str) -> bool:
        places = self.holders[block]
        own = next(h.portion for h in places if (h.device, h.stage) == (self.device, stage))
        first = next(h.device for h in places if h.stage == stage and h.portion == own)
        return first != self.device and len({h.portion for h in places}) > 1

    def is_cut(self, operation: Operation, block: str) -> bool:
        """Return whether a stage computes with a part of a block's cut weights only."""
        p, s, _ = operation
        index = self._view[p, s].index
        own = next(h.interval for h in self.holders[block] if (h.device, h.stage) == (self.device, index))
        return own[1] - own[0] < 1

    def counts_loss(self, operation: Operation, block: str) -> bool:
        """Return whether this device's loss of a sink is nobody else's too."""
        p, s, _ = operation
        index = self._view[p, s].index
        places = [h for h in self.holders[block] if h.stage == index]
        own = next(h.portion for h in places if h.device == self.device)
        return next(h.device for h in places if h.portion == own) == self.device


def _waits(own: list[Instruction], program: Program) -> dict[int, tuple[int, ...]]:
    """Return the receives and collectives that each computation of a list waits for."""
    fills: dict[int, list[int]] = {}
    for instruction in own:
        if instruction.row.kind == Kind.RECV:
            slot = int(program.slot[instruction.mate])
        elif instruction.row.kind == Kind.COLLECTIVE:
            slot = int(program.slot[instruction.index])
        else:
            continue
        fills.setdefault(slot, []).append(instruction.index)
    slots = {i.index: int(program.slot[i.index]) for i in own if i.row.kind in COMPUTE}
    return {index: tuple(fills[slot]) for index, slot in slots.items() if slot >= 0 and slot in fills}


def members(program: Program) -> tuple[str, ...]:
    """Return the devices that take part, in the order of the cluster; place = process rank."""
    used = {program.rows[r].device for r in set(program.row.tolist())}
    return tuple(name for name in program.devices if name in used)
