"""Interpreter: one worker walks its list of a Program once, which is one training step, or one round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from models.nets.data import Batch
from solver.errors import InternalError
from solver.execution.clock import now_ns, sleep_until
from solver.execution.history import StepRecord
from solver.execution.network.links import Links
from solver.execution.network.ring import scratch_for
from solver.execution.passes.activations import Activations
from solver.execution.passes.memory import size_of
from solver.execution.passes.recipe import Recipes
from solver.execution.passes.replica import Replica
from solver.execution.passes.rounds import Rounds
from solver.execution.passes.worklist import Task, Worklist
from solver.execution.state.copies import StageKey, packed_stage
from solver.lowering.sync import renewal_bytes
from solver.program import Instruction, Kind, Row

Beat = Callable[[int], None]


class Interpreter:
    """Carries out the list of one worker.

    Parameters
    ----------
    worklist
        The list.
    replica
        Its weights.
    shapes
        Shape per sample of every block's output.
    beat
        Called with the index of every instruction that begins.
    rounds
        Its part in what happens at the end of a round; ``None`` if gradients are reduced in every step.

    Attributes
    ----------
    backups
        Stages of others whose state came in the latest step.
    renews
        Whether a backup, given by its send or receive, is due in the walk.
    pause
        Sleeps until a moment.
    record
        Of the walk in work, or the latest; ``None`` until it begins.
    """

    def __init__(
        self,
        worklist: Worklist,
        replica: Replica,
        shapes: dict[str, tuple[int, ...]],
        beat: Beat,
        rounds: Rounds | None = None,
    ) -> None:
        self.worklist, self.replica, self.shapes = worklist, replica, shapes
        self.recipes = Recipes(worklist, replica)
        self.beat, self.rounds = beat, rounds
        self.backups: dict[StageKey, Tensor] = {}
        self.pause: Callable[[int], None] = sleep_until
        self.record: StepRecord | None = None
        self.renews: Callable[[Row], bool] = lambda row: True

    def prepare(self, batches: Sequence[Batch], *, metered: bool = True) -> None:
        """Get ready for a walk; not part of its time.

        Parameters
        ----------
        batches
            The mini-batch of the step, or those of the round.
        metered
            Whether all memory of the walk is counted, or only what is passed on.
        """
        self.batches, self.metered = batches, metered
        self.backups, self.record = {}, None
        self._open(0)

    def _open(self, step: int) -> None:
        """Begin a step of the walk."""
        self.current = step
        self._scratch: Tensor | None = None
        self.replica.clear_gradients()
        batch = self.batches[step]
        self.activations = Activations(self.recipes, self.shapes, batch, self.metered)

    def _pass_to(self, step: int, record: StepRecord) -> None:
        """End all steps before a step of the walk; a server that trains nothing has none of its own."""
        while self.current < step:
            self._close(record)
            self._open(self.current + 1)

    def _close(self, record: StepRecord) -> None:
        """End a step of the walk."""
        record.losses.append(self.activations.loss)
        record.peak_bytes = max(record.peak_bytes, self.activations.meter.peak_bytes)

    def step(self, links: Links, dilation: float | None, start_ns: int) -> StepRecord:
        """Walk the list once.

        Parameters
        ----------
        links
            Does the transfers.
        dilation
            Real seconds per emulated second; ``None``: computations take the time they take.
        start_ns
            When it begins; padded, for all workers alike.

        Notes
        -----
        A padded worker keeps appointments: a computation begins, for the emulated device, when the one before
        it was to end and what it waits for was to be there, and it ends so much later. That this host wakes a
        worker late does not count, and does not add up, as long as the real work is done by then; if it is
        not, that is an overrun, and what follows begins later.
        """
        self.record = record = StepRecord(start_ns=start_ns)
        links.begin(record.start_ns)
        self.free_ns = record.start_ns
        for task in self.worklist.tasks:
            instruction = task.instruction
            self.beat(instruction.index)
            self._pass_to(instruction.step, record)
            if instruction.row.phase == "backup":
                if self.renews(instruction.row):
                    self._back_up(links, instruction)
                else:
                    self._pass_over(links, instruction, dilation, record)
            elif instruction.row.kind == Kind.RECV:
                links.receive(instruction, self._expect(instruction), self.free_ns)
            elif instruction.row.kind == Kind.SEND:
                links.send(instruction, self._outgoing(instruction), self.free_ns)
            elif instruction.row.kind == Kind.COLLECTIVE and task.nodes:
                self._exchange(links, task, dilation, record)
            elif instruction.row.kind == Kind.COLLECTIVE:
                self._reduce(links, instruction)
            else:
                self._compute(links, task, dilation, record)
        record.end_ns = max(self.free_ns, links.drain())
        if dilation is not None:
            self.pause(record.end_ns)
            record.end_ns = now_ns()
        record.spans = links.spans | record.spans
        record.taken_ns.update(links.taken_ns)
        record.overruns += links.overruns
        self._pass_to(len(self.batches) - 1, record)
        self._close(record)
        if self.rounds is not None:
            self.rounds.finish()
        return record

    def _back_up(self, links: Links, instruction: Instruction) -> None:
        """Send the state of a stage, or take that of another device's."""
        row = instruction.row
        if row.kind == Kind.SEND:
            content = packed_stage(self.replica, row.blocks, row.num_bytes)
            links.send(instruction, [content], self.free_ns)
        else:
            stage = row.pipeline, row.stage
            size = renewal_bytes(self.worklist.context, self.worklist.views, stage)
            self.backups[stage] = content = torch.empty(size, dtype=torch.uint8)
            links.receive(instruction, [content], self.free_ns)

    def _pass_over(
        self, links: Links, instruction: Instruction, dilation: float | None, record: StepRecord
    ) -> None:
        """Leave out a backup that is not due: no bytes, no time; padded, those behind it are told."""
        if dilation is not None:
            nothing = replace(instruction, row=replace(instruction.row, duration_s=0.0))
            act = links.receive if instruction.row.kind == Kind.RECV else links.send
            act(nothing, [], self.free_ns)
        elif instruction.row.kind == Kind.RECV:
            record.spans[instruction.index] = self.free_ns, self.free_ns

    def _expect(self, instruction: Instruction) -> list[Tensor]:
        if self.rounds is not None and instruction.row.phase in ("upload", "download"):
            return self.rounds.expect(instruction.row, self.activations.meter)
        return self.activations.expect(instruction)

    def _outgoing(self, instruction: Instruction) -> list[Tensor]:
        if self.rounds is not None and instruction.row.phase in ("upload", "download"):
            return self.rounds.outgoing(instruction.row)
        return self.activations.outgoing(instruction)

    def _compute(self, links: Links, task: Task, dilation: float | None, record: StepRecord) -> None:
        instruction = task.instruction
        ready = max([0, *(links.wait(index) for index in task.waits)])
        if dilation is not None:
            self.pause(ready)
        start = now_ns() if dilation is None else max(ready, self.free_ns)
        if instruction.row.kind == Kind.FORWARD and not instruction.row.blocks:
            record.spans[instruction.index] = start, start  # an owner of raw data only sends
            return
        try:
            self._do(task)
            end = now_ns()
            record.taken_ns[instruction.index] = end - start
            if dilation is not None:
                target = start + round(instruction.row.duration_s * dilation * 1e9)
                end = self._keep_to(target, instruction.row, record)
        except BaseException:
            # Whoever breaks off has computed all the same: it counts for the energy.
            record.spans[instruction.index] = start, max(start, now_ns())
            raise
        self.free_ns = end
        record.spans[instruction.index] = start, end

    def _keep_to(self, target_ns: int, row: Row, record: StepRecord) -> int:
        """Wait until something was to end; return when it did, which is later if it was late."""
        end = now_ns()
        if end > target_ns:
            record.overruns.append((row, (end - target_ns) * 1e-9))
            return end
        self.pause(target_ns)
        return target_ns

    def _do(self, task: Task) -> None:
        kind, phase = task.instruction.row.kind, task.instruction.row.phase
        meter = self.activations.meter
        if kind == Kind.FORWARD:
            self.activations.forward(task)
        elif kind == Kind.BACKWARD:
            self.activations.backward(task)
        elif kind == Kind.AGGREGATE and self.rounds is not None:
            self.rounds.aggregate(meter)
        elif kind == Kind.UPDATE and phase == "download" and self.rounds is not None:
            self.rounds.adopt(meter)
        elif kind == Kind.UPDATE:
            if self.rounds is not None:
                self.rounds.before_update()
            self.replica.update()
            if self._scratch is not None:
                meter.take(-size_of(self._scratch))
                self._scratch = None
        else:
            raise InternalError(f"the executor does not know {kind.name}; its check should have said so")

    def _exchange(self, links: Links, task: Task, dilation: float | None, record: StepRecord) -> None:
        """Carry out a collective inside a stage; what a block does after its last one is done meanwhile."""
        work = self.activations.exchange(task)
        self.activations.meter.take(work.num_bytes)
        instruction = task.instruction
        start, end = links.exchange(instruction, work.parts, work.scratch, self.free_ns)
        self.activations.meter.take(-work.num_bytes)
        work.finish()
        after = self.activations.forward if instruction.row.phase == "forward" else self.activations.backward
        after(task)
        self.free_ns = now_ns()
        if dilation is not None:
            record.taken_ns[instruction.index] = self.free_ns - start
            self.free_ns = end = self._keep_to(end, instruction.row, record)
        record.spans[instruction.index] = start, end

    def _reduce(self, links: Links, instruction: Instruction) -> None:
        row = instruction.row
        key = row.blocks, row.interval
        flat = self.replica.brought(key, row.num_bytes // max(1, len(row.ring) - 1))
        if row.waits[0] < 0:
            assert flat is not None
            scratch = scratch_for(flat, len(row.ring))
            size = size_of(scratch) + (0 if key in self.replica.gradients else size_of(flat))
            self.activations.meter.take(size)
            self.activations.meter.take(-size)
            links.reduce(instruction, flat, scratch, self.free_ns)
            return
        room = self._room(row)
        if flat is not None:
            links.reduce(instruction, flat, room, self.free_ns)
            return
        num = self.replica.num_items(key)
        flat = room[:num]
        around = partial(self.replica.pack, key, flat), partial(self.replica.unpack, key, flat)
        links.reduce(instruction, flat, room[num:], self.free_ns, around)

    def _room(self, row: Row) -> Tensor:
        """Return a buffer for reductions: whoever updates weights has one for all, until the update."""
        if self._scratch is None:
            dtype = self.replica.dtype
            self._scratch = torch.empty(-(-row.alloc_bytes // dtype.itemsize), dtype=dtype)
            self.activations.meter.take(size_of(self._scratch))
        return self._scratch


def words(instruction: Instruction) -> str:
    """Return an instruction for people, as ``F#0 (pipeline 0, stage 1)``."""
    row = instruction.row
    number = f"#{instruction.micro_batch}" if instruction.micro_batch >= 0 else ""
    place = f" (pipeline {row.pipeline}, stage {row.stage})" if row.stage >= 0 else ""
    return f"{row.label}{number}{place}"
