"""Worklist: what the list of one worker says about samples, stages and tensors, known before it starts."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.workload import Workload
from solver.costs import Costs
from solver.plan import Plan
from solver.program import Instruction, Kind, Program

Interval = tuple[int, int]
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
    """

    instruction: Instruction
    waits: tuple[int, ...] = ()


@dataclass
class Worklist:
    """What one device holds and does.

    Parameters
    ----------
    device
        Its name.
    tasks
        Its list, in order.
    samples
        Interval of the micro-batch's samples it computes in an operation.
    spans
        (pipeline, block, micro-batch): interval of a block's output its stages need from elsewhere.
    users
        The same keys: how many stages of the device need it.
    offsets
        (pipeline, micro-batch): first sample in the whole batch.
    stage_of
        Pipeline and block: number of its stage.
    blocks
        Blocks it holds, in topological order.
    sends
        How often each output or gradient is sent.
    """

    device: str
    workload: Workload
    tasks: list[Task]
    costs: Costs
    samples: dict[Operation, Interval] = field(default_factory=dict)
    spans: dict[tuple[int, str, int], Interval] = field(default_factory=dict)
    users: dict[tuple[int, str, int], int] = field(default_factory=dict)
    offsets: dict[tuple[int, int], int] = field(default_factory=dict)
    stage_of: dict[tuple[int, str], int] = field(default_factory=dict)
    blocks: tuple[str, ...] = ()
    sends: dict[ParcelKey, int] = field(default_factory=dict)

    @classmethod
    def of(cls, device: str, program: Program, plan: Plan, workload: Workload) -> Worklist:
        """Read a device's list.

        Parameters
        ----------
        device
            Its name.
        program, plan, workload
            What all workers carry out.
        """
        found = cls(device, workload, tasks_of(device, program), Costs(workload, plan.job))
        offset = 0
        for p, pipeline in enumerate(plan.pipelines):
            for s, stage in enumerate(pipeline.stages):
                found.stage_of |= {(p, block): s for block in stage.blocks}
            for i, batch in enumerate(pipeline.batches):
                found.offsets[p, i] = offset
                offset += batch.samples
        held: set[str] = set()
        for task in found.tasks:
            row, i = task.instruction.row, task.instruction.micro_batch
            if row.kind == Kind.FORWARD:
                held.update(row.blocks)
                found._add_forward((row.pipeline, row.stage, i), row.samples)
            elif row.kind == Kind.SEND:
                for part in row.slices:
                    key = (row.phase, row.pipeline, row.stage, part.block, i)
                    found.sends[key] = found.sends.get(key, 0) + 1
        found.blocks = tuple(name for name in workload.order if name in held)
        return found

    def _add_forward(self, operation: Operation, samples: Interval) -> None:
        p, s, i = operation
        self.samples[operation] = samples
        for name in self.inputs(p, s):
            key = (p, name, i)
            low, high = self.spans.get(key, samples)
            self.spans[key] = (min(low, samples[0]), max(high, samples[1]))
            self.users[key] = self.users.get(key, 0) + 1

    def inputs(self, pipeline: int, stage: int) -> tuple[str, ...]:
        """Return the blocks of other stages whose outputs a stage needs."""
        found = {
            edge.source: None
            for edge in self.workload.edges
            if self.stage_of[pipeline, edge.target] == stage != self.stage_of[pipeline, edge.source]
        }
        return tuple(found)

    def consumers(self, pipeline: int, block: str) -> tuple[int, ...]:
        """Return the other stages that need a block's output."""
        own = self.stage_of[pipeline, block]
        stages = (self.stage_of[pipeline, edge.target] for edge in self.workload.successors[block])
        return tuple(dict.fromkeys(stage for stage in stages if stage != own))

    def local_consumers(self, operation: Operation, block: str) -> tuple[int, ...]:
        """Return those of the stages that need a block's output which run on this device."""
        p, _, i = operation
        return tuple(t for t in self.consumers(p, block) if (p, t, i) in self.samples)

    def has_backward(self, block: str) -> bool:
        """Return whether a gradient of a block's output is needed."""
        return self.costs.has_backward(block)


def tasks_of(device: str, program: Program) -> list[Task]:
    """Return a device's list, each computation with the receives and collectives it waits for."""
    own = list(program.of_device(device))
    fills: dict[int, list[int]] = {}
    for instruction in own:
        if instruction.row.kind == Kind.RECV:
            slot = int(program.slot[instruction.mate])
        elif instruction.row.kind == Kind.COLLECTIVE:
            slot = int(program.slot[instruction.index])
        else:
            continue
        fills.setdefault(slot, []).append(instruction.index)
    compute = (Kind.FORWARD, Kind.BACKWARD, Kind.UPDATE)
    tasks = []
    for instruction in own:
        slot = int(program.slot[instruction.index])
        waits = fills.get(slot, []) if instruction.row.kind in compute and slot >= 0 else []
        tasks.append(Task(instruction, tuple(waits)))
    return tasks


def members(program: Program) -> tuple[str, ...]:
    """Return the devices that take part, in the order of the cluster; place = process rank."""
    used = {program.rows[r].device for r in set(program.row.tolist())}
    return tuple(name for name in program.devices if name in used)


def holders(program: Program) -> dict[str, str]:
    """Return the first device that holds each block."""
    found: dict[str, str] = {}
    for name in program.devices:
        for row in program.rows:
            if row.kind == Kind.FORWARD and row.device == name:
                for block in row.blocks:
                    found.setdefault(block, name)
    return found
