"""Activations: the forward and backward passes of one worker, and the tensors they pass on."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.nets.data import Batch
from solver.execution.buffers import Buffer, Parcels
from solver.execution.memory import Meter, size_of, storage_of
from solver.execution.replica import Replica
from solver.execution.worklist import Interval, Operation, Worklist
from solver.program import Instruction


@dataclass
class Record:
    """What one forward pass leaves for its backward pass.

    Parameters
    ----------
    leaves
        Inputs from other stages, by block.
    outputs
        Outputs that other stages need, by block.
    losses
        Loss of each sink.
    storages
        Sizes of the storages autograd keeps.
    """

    leaves: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    losses: list[Tensor] = field(default_factory=list)
    storages: dict[int, int] = field(default_factory=dict)


class Activations:
    """Runs a worker's computations of one step and keeps the tensors between them.

    Parameters
    ----------
    worklist
        What the worker does.
    replica
        Its weights.
    shapes
        Shape per sample of every block's output.
    batch
        The whole mini-batch of the step.
    num_samples
        Samples of the mini-batch, over which the loss is averaged.
    """

    def __init__(
        self,
        worklist: Worklist,
        replica: Replica,
        shapes: dict[str, tuple[int, ...]],
        batch: Batch,
        num_samples: int,
    ) -> None:
        self.worklist, self.replica, self.shapes = worklist, replica, shapes
        self.batch, self.num_samples = batch, num_samples
        self.weights = replica.storages()
        self.meter = Meter()
        self.loss = 0.0
        self._parcels = Parcels(self.meter)
        self._inputs: dict[tuple[int, str, int], Buffer] = {}
        self._input_users = dict(worklist.users)
        self._filled: set[tuple[int, str, int]] = set()
        self._gradients: dict[tuple[int, int, str, int], Buffer] = {}
        self._records: dict[Operation, Record] = {}

    def expect(self, instruction: Instruction) -> list[Tensor]:
        """Return the tensors a receive writes into: views of input or gradient buffers."""
        row, i = instruction.row, instruction.micro_batch
        found = []
        for part in row.slices:
            if row.phase == "forward":
                buffer = self._input_buffer(row.pipeline, part.block, i)
            else:
                buffer = self._gradient_buffer(row.pipeline, row.stage, part.block, i)
            found.append(buffer.part(part.box.samples))
        return found

    def outgoing(self, instruction: Instruction) -> list[Tensor]:
        """Return the tensors a send carries."""
        row, i = instruction.row, instruction.micro_batch
        return [
            self._parcels.take((row.phase, row.pipeline, row.stage, part.block, i)).part(part.box.samples)
            for part in row.slices
        ]

    def _input_buffer(self, pipeline: int, block: str, i: int) -> Buffer:
        key = (pipeline, block, i)
        if key not in self._inputs:
            self._inputs[key] = self._new(block, self.worklist.spans[key])
        return self._inputs[key]

    def _gradient_buffer(self, pipeline: int, stage: int, block: str, i: int) -> Buffer:
        key = (pipeline, stage, block, i)
        if key not in self._gradients:
            own = self.worklist.samples[pipeline, self.worklist.stage_of[pipeline, block], i]
            self._gradients[key] = self._new(block, own)
        return self._gradients[key]

    def _new(self, block: str, span: Interval) -> Buffer:
        tensor = torch.empty((span[1] - span[0], *self.shapes[block]), dtype=self.replica.dtype)
        self.meter.hold(storage_of(tensor), size_of(tensor))
        return Buffer(tensor, span)

    def forward(self, instruction: Instruction) -> None:
        """Run a forward pass."""
        row, work = instruction.row, self.worklist
        operation = (row.pipeline, row.stage, instruction.micro_batch)
        record = Record()
        graph = any(work.has_backward(name) for name in row.blocks)
        for source in work.inputs(row.pipeline, row.stage):
            leaf = self._input(operation, source).detach()
            record.leaves[source] = leaf.requires_grad_(graph and work.has_backward(source))
        hooks = torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: self._note(record, tensor), lambda tensor: tensor
        )
        with torch.set_grad_enabled(graph), hooks:
            self._run_blocks(instruction, record)
        for storage, size in record.storages.items():
            self.meter.hold(storage, size)
        for name, output in record.outputs.items():
            uses = work.sends.get(("forward", row.pipeline, row.stage, name, operation[2]), 0)
            uses += len(work.local_consumers(operation, name)) + graph
            key = ("forward", row.pipeline, row.stage, name, operation[2])
            self._parcels.put(key, Buffer(output.detach(), row.samples), uses)
        if graph:
            self._records[operation] = record
        self._release_inputs(operation)

    def _note(self, record: Record, tensor: Tensor) -> Tensor:
        key = storage_of(tensor)
        if key not in self.weights:
            record.storages[key] = size_of(tensor)
        return tensor

    def _run_blocks(self, instruction: Instruction, record: Record) -> None:
        row, net = instruction.row, self.replica.net
        offset = self.worklist.offsets[row.pipeline, instruction.micro_batch]
        chosen = slice(offset + row.samples[0], offset + row.samples[1])
        outputs: dict[str, Tensor] = dict(record.leaves)
        for name in row.blocks:
            if name in net.sources:
                given = [self.batch.inputs[net.sources[name]][chosen].clone()]
            else:
                given = [outputs[source] for source in net.inputs[name]]
            outputs[name] = net.blocks[name](*given)
            if self.worklist.consumers(row.pipeline, name):
                outputs[name] = record.outputs[name] = outputs[name].contiguous()
            if name in net.losses:
                loss = net.losses[name]
                target = self.batch.targets[loss.task][chosen].clone()
                value = loss(outputs[name], target) * (loss.weight / self.num_samples)
                record.losses.append(value)
                self.loss += value.item()

    def _input(self, operation: Operation, source: str) -> Tensor:
        """Return a stage's input: what was received, and what another stage of this worker made."""
        p, stage, i = operation
        made = self.worklist.stage_of[p, source]
        here = (p, made, i) in self.worklist.samples
        own = self._parcels.take(("forward", p, made, source, i)) if here else None
        buffer = self._inputs.get((p, source, i))
        if buffer is None:
            assert own is not None, f"nobody sends {source} to stage {stage}"
            return own.part(self.worklist.samples[operation])
        if own is not None and (p, source, i) not in self._filled:
            # Once only: a write after another stage has saved a view of it would spoil that stage's backward.
            buffer.fill(own)
            self._filled.add((p, source, i))
        return buffer.part(self.worklist.samples[operation])

    def _release_inputs(self, operation: Operation) -> None:
        p, s, i = operation
        for source in self.worklist.inputs(p, s):
            key = (p, source, i)
            self._input_users[key] -= 1
            if self._input_users[key] == 0 and key in self._inputs:
                self.meter.release(storage_of(self._inputs.pop(key).tensor))

    def backward(self, instruction: Instruction) -> None:
        """Run a backward pass."""
        row, i = instruction.row, instruction.micro_batch
        p, s = row.pipeline, row.stage
        record = self._records.pop((p, s, i))
        ends, gradients = list(record.losses), [torch.ones_like(loss) for loss in record.losses]
        received: list[tuple[int, int, str, int]] = []
        for name, output in record.outputs.items():
            if output.requires_grad:
                ends.append(output)
                gradients.append(self._gradient(p, name, i, received))
        # What autograd frees on the way counts until the end, so that reused storages are not mixed up.
        freed = self.meter.release_all(record.storages)
        freed += sum(self._parcels.use(("forward", p, s, name, i)) for name in record.outputs)
        self.meter.take(freed)
        torch.autograd.backward(ends, gradients)
        for source, leaf in record.leaves.items():
            if leaf.requires_grad:
                self._put_gradient((p, s, i), source, leaf)
        self.meter.take(-freed)
        for key in received:
            self.meter.release(storage_of(self._gradients.pop(key).tensor))

    def _gradient(self, p: int, block: str, i: int, received: list[tuple[int, int, str, int]]) -> Tensor:
        """Return the gradient of an output, summed over the stages that used it."""
        total: Tensor | None = None
        own = self.worklist.samples[p, self.worklist.stage_of[p, block], i]
        for t in self.worklist.consumers(p, block):
            key = (p, t, block, i)
            here = (p, t, i) in self.worklist.samples
            local = self._parcels.take(("backward", p, t, block, i)) if here else None
            buffer = self._gradients.get(key)
            if buffer is not None:
                received.append(key)
                if local is not None:
                    buffer.fill(local)
                part = buffer.tensor
            else:
                assert local is not None, f"nobody sends the gradient of {block} from stage {t}"
                part = local.part(own)
            total = part if total is None else total + part
        assert total is not None
        return total

    def _put_gradient(self, operation: Operation, source: str, leaf: Tensor) -> None:
        p, s, i = operation
        gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad.contiguous()
        key = ("backward", p, s, source, i)
        here = (p, self.worklist.stage_of[p, source], i) in self.worklist.samples
        uses = self.worklist.sends.get(key, 0) + here
        self._parcels.put(key, Buffer(gradient, self.worklist.samples[operation]), uses)
