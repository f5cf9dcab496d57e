"""Activations: the forward and backward passes of one worker, and the tensors they pass on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor

from models.nets.data import Batch
from models.nets.shard import Gathering, Partible, Positioned
from models.nets.traits import traits_of
from solver.execution.passes.buffers import Buffer, Inbox, Parcels, shape_over
from solver.execution.passes.exchanges import Work, backward_work, forward_work, pass_back, pass_on
from solver.execution.passes.memory import Meter, size_of, storage_of
from solver.execution.passes.pieces import Graph
from solver.execution.passes.recompute import Recomputation
from solver.execution.passes.replica import Replica
from solver.execution.passes.samples import Samples
from solver.execution.passes.script import Exchange, Role, Unit
from solver.execution.passes.worklist import Operation, Task, Worklist
from solver.layout import Box
from solver.program import Instruction

AGAIN: tuple[Role, ...] = ("whole", "partial", "project", "attend")
"""Units that are computed again where a block is: entering and leaving a cut block keep next to nothing."""


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
    metered
        Whether what autograd keeps is counted, which costs about a hundredth of the step.
    """

    def __init__(
        self,
        worklist: Worklist,
        replica: Replica,
        shapes: dict[str, tuple[int, ...]],
        batch: Batch,
        metered: bool = True,
    ) -> None:
        self.worklist, self.replica, self.shapes = worklist, replica, shapes
        self.metered = metered
        self.weights = replica.storages()
        self.meter = Meter()
        self.loss = 0.0
        self.samples = Samples(worklist, batch, self.replica.dtype, self.meter)
        self._anchor = torch.empty(0, requires_grad=True)
        self._parcels = Parcels(self.meter)
        self._inputs: dict[tuple[int, str, int], Inbox] = {}
        self._input_users = dict(worklist.users)
        self._filled: set[tuple[int, str, int]] = set()
        self._gradients: dict[tuple[int, int, str, int], Inbox] = {}
        self._graphs: dict[Operation, Graph] = {}
        self._freed: dict[Operation, int] = {}

    def expect(self, instruction: Instruction) -> list[Tensor]:
        """Return the tensors a receive writes into: parts of input or gradient buffers."""
        row, i = instruction.row, instruction.micro_batch
        if row.raw:
            return self.samples.expect(instruction)
        found = []
        for part in row.slices:
            if row.phase == "forward":
                key = (row.pipeline, part.block, i)
                inbox = self._inputs.get(key) or self._inputs.setdefault(
                    key, self._inbox(part.block, self.worklist.spans[key])
                )
            else:
                where = (row.pipeline, row.stage, part.block, i)
                inbox = self._gradients.get(where) or self._gradients.setdefault(
                    where, self._inbox(part.block, self._made(row.pipeline, part.block, i))
                )
            found.append(inbox.expect(part.box))
        return found

    def outgoing(self, instruction: Instruction) -> list[Tensor]:
        """Return the tensors a send carries."""
        row, i = instruction.row, instruction.micro_batch
        if row.raw:
            return self.samples.outgoing(instruction)
        return [
            self._parcels.take((row.phase, row.pipeline, row.stage, part.block, i))
            .part(part.box)
            .contiguous()
            for part in row.slices
        ]

    def _inbox(self, block: str, box: Box) -> Inbox:
        return Inbox(box, self.shapes[block], self.replica.dtype, self.meter)

    def _made(self, pipeline: int, block: str, i: int) -> Box:
        """Return the slice of a block's output that this device makes."""
        return self._box((pipeline, self.worklist.stage_of[pipeline, block], i), block)

    def _box(self, operation: Operation, block: str) -> Box:
        return self.worklist.script(operation).outputs[block]

    def forward(self, task: Task) -> None:
        """Run a computation of a forward pass, or what follows at once on a collective in it."""
        operation = task.operation
        if task.is_first:
            self._begin(operation)
        graph = self._graphs[operation]
        with torch.set_grad_enabled(graph.trains), self._noting(graph):
            for node in task.nodes:
                if isinstance(node, Unit):
                    self._run(operation, node, graph)
                elif node.forward is None:
                    pass_on(graph, node, self.worklist.device)
        if task.is_last:
            self._finish(operation, graph)

    def backward(self, task: Task) -> None:
        """Run a computation of a backward pass, or what follows at once on a collective in it."""
        operation = task.operation
        graph = self._graphs[operation]
        if task.is_first:
            # What autograd frees on the way counts until the end, so that reused storages are not mixed up.
            freed = self.meter.release_all(graph.storages) + self._use_outputs(operation)
            self.meter.take(freed)
            self._freed[operation] = freed
        pieces = self.worklist.division(operation).piece_of
        for node in task.nodes:
            if isinstance(node, Exchange):
                if node.backward is None:
                    pass_back(graph, node, self.worklist.device)
                continue
            piece = pieces[node.block, node.role]
            self._add_from_outside(operation, graph, piece)
            inside = [block for (block, _), number in pieces.items() if number == piece]
            graph.backward(piece, self._weights_of(operation, list(dict.fromkeys(inside))))
        if task.is_last:
            self._end(operation, graph)

    def exchange(self, task: Task) -> Work:
        """Return the collective that a task inside a stage is."""
        node, row = task.nodes[0], task.instruction.row
        assert isinstance(node, Exchange)
        work = forward_work if row.phase == "forward" else backward_work
        return work(self._graphs[task.operation], node, row.ring, self.worklist.device)

    def _noting(self, graph: Graph) -> AbstractContextManager[Any]:
        if not self.metered:
            return nullcontext()
        return torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: self._note(graph, tensor), lambda tensor: tensor
        )

    def _note(self, graph: Graph, tensor: Tensor) -> Tensor:
        key = storage_of(tensor)
        if key not in self.weights and key not in graph.storages:
            graph.storages[key] = size_of(tensor)
            self.meter.hold(key, graph.storages[key])
        return tensor

    def _begin(self, operation: Operation) -> None:
        script = self.worklist.script(operation)
        graph = self._graphs[operation] = Graph(self._anchor, bool(script.backward_nodes))
        for source, box in script.inputs.items():
            wanted = graph.trains and self.worklist.has_backward(source)
            graph.put((source, "output"), self._input(operation, source, box), wanted=wanted)
        for key, box in script.absent.items():
            blank = torch.zeros(shape_over(box, self.shapes[key[0]]), dtype=self.replica.dtype)
            graph.put(key, blank, wanted=False)

    def _finish(self, operation: Operation, graph: Graph) -> None:
        p, s, i = operation
        for name, uses in self._uses(operation).items():
            buffer = Buffer(
                graph.values[name, "output"].tensor, self.worklist.script(operation).outputs[name]
            )
            self._parcels.put(("forward", p, s, name, i), buffer, uses + graph.trains)
        graph.close()
        if not graph.trains:
            del self._graphs[operation]
        self._release_inputs(operation)

    def _use_outputs(self, operation: Operation) -> int:
        p, s, i = operation
        return sum(self._parcels.use(("forward", p, s, name, i)) for name in self._uses(operation))

    def _uses(self, operation: Operation) -> dict[str, int]:
        """Return the outputs that leave a stage on this device, and how often; others send the rest."""
        p, s, i = operation
        found: dict[str, int] = {}
        for name in self.worklist.script(operation).outputs:
            uses = self.worklist.sends.get(("forward", p, s, name, i), 0)
            uses += len(self.worklist.local_consumers(operation, name))
            found |= {name: uses} if uses else {}
        return found

    def _run(self, operation: Operation, unit: Unit, graph: Graph) -> None:
        """Run one unit."""
        division = self.worklist.division(operation)
        graph.enter(division.piece_of[unit.block, unit.role])
        reads = [graph.read(read.key) for read in unit.reads]
        reads = [
            tensor if read.crop is None else tensor[read.crop]
            for read, tensor in zip(unit.reads, reads, strict=True)
        ]
        if unit.role == "whole" and unit.block in self.replica.net.sources:
            reads = [self.samples.of(operation, unit.block, self._box(operation, unit.block).samples)]
        compute = partial(self._compute, operation, unit)
        if unit.role in AGAIN and self.worklist.recomputes(operation, unit.block):
            weights = partial(self._weights_of, operation, [unit.block])
            results = Recomputation(compute, weights, self.meter, self.weights).run(self._anchor, reads)
        else:
            results = compute(reads)
        outside = bool(self.worklist.consumers(operation[0], unit.block))
        for key, result in zip(unit.writes, results, strict=True):
            crosses = key in division.crossing or (outside and key[1] == "output")
            graph.write(key, result, crosses=crosses)
        if unit.block in self.replica.net.losses and unit.writes[0][1] == "output":
            self._add_loss(operation, unit.block, results[0], graph)

    def _compute(self, operation: Operation, unit: Unit, reads: list[Tensor]) -> tuple[Tensor, ...]:
        """Return the results of one unit."""
        module, box = self.replica.module(operation[0], unit.block), self._box(operation, unit.block)
        if unit.role == "whole":
            is_cut = box.tokens != (0, self.worklist.workload.by_name[unit.block].tokens)
            if is_cut and isinstance(module, Positioned):
                return (module.at(*reads, tokens=box.tokens),)
            return (module(*reads),)
        if isinstance(module, Gathering) and unit.role == "project":
            memory = self.worklist.script(operation).first_tokens[unit.block]
            return module.project(*reads, first=box.tokens[0], first_memory=memory)
        if isinstance(module, Gathering) and unit.role == "attend":
            return (module.attend(*reads, first=box.tokens[0]),)
        assert isinstance(module, Partible), f"{unit.block} cannot be cut"
        if unit.role == "enter":
            return (module.enter(reads[0]), *reads[1:])
        if unit.role == "leave":
            return (module.leave(*reads),)
        return (module.partial(*reads, part=self.worklist.part(operation, unit.block)),)

    def _add_loss(self, operation: Operation, block: str, output: Tensor, graph: Graph) -> None:
        net, box = self.replica.net, self._box(operation, block)
        loss, num_tokens = net.losses[block], self.worklist.workload.by_name[block].tokens
        target, part = self.samples.of(operation, block, box.samples), 1.0
        if box.tokens != (0, num_tokens):
            target, part = target[:, slice(*box.tokens)], (box.tokens[1] - box.tokens[0]) / num_tokens
        value = loss(output, target) * (loss.weight * part / self.worklist.task_samples[loss.task])
        graph.add_loss(value)
        if self.worklist.counts_loss(operation, block):
            self.loss += value.item()

    def _input(self, operation: Operation, source: str, box: Box) -> Tensor:
        """Return a stage's input: what was received, and what another stage of this worker made."""
        p, stage, i = operation
        made = (p, self.worklist.stage_of[p, source], i)
        here = self.worklist.takes_part(made) and source in self.worklist.script(made).outputs
        own = self._parcels.take(("forward", *made[:2], source, i)) if here else None
        inbox = self._inputs.get((p, source, i))
        if inbox is None:
            assert own is not None, f"nobody sends {source} to stage {stage}"
            return own.part(box)
        if own is not None and (p, source, i) not in self._filled:
            # Once only: a write after another stage has saved a view of it would spoil that stage's backward.
            inbox.fill(own)
            self._filled.add((p, source, i))
        return inbox.buffer().part(box)

    def _release_inputs(self, operation: Operation) -> None:
        p, _, i = operation
        for source in self.worklist.script(operation).inputs:
            key = (p, source, i)
            self._input_users[key] -= 1
            if self._input_users[key] == 0 and key in self._inputs:
                self._inputs.pop(key).release()

    def _weights_of(self, operation: Operation, blocks: list[str]) -> list[Tensor] | None:
        """Return the weights whose gradients blocks add to, ``None`` for all: not those that others add."""
        echoes = {block for block in blocks if self.worklist.echoes(operation, block)}
        if not echoes:
            return None
        found: list[Tensor] = []
        for block in blocks:
            module = self.replica.module(operation[0], block)
            cut = traits_of(module).cut if self.worklist.is_cut(operation, block) else ()
            found += [
                weight
                for name, weight in module.named_parameters()
                if weight.requires_grad and (block not in echoes or name in cut)
            ]
        return found

    def _add_from_outside(self, operation: Operation, graph: Graph, piece: int) -> None:
        """Add to the gradients of a piece's outputs those of other stages."""
        p, _, i = operation
        for (name, what), _, slot in graph.ends.get(piece, ()):
            if what == "output" and self.worklist.consumers(p, name):
                slot.add(self._gradient(p, name, i))

    def _gradient(self, p: int, block: str, i: int) -> Tensor | None:
        """Return the gradient of an output, summed over the stages that used it."""
        total: Tensor | None = None
        own = self._made(p, block, i)
        for t in self.worklist.consumers(p, block):
            key = (p, t, block, i)
            here = self.worklist.takes_part((p, t, i)) and block in self.worklist.script((p, t, i)).inputs
            local = self._parcels.take(("backward", *key)) if here else None
            inbox = self._gradients.get(key)
            if inbox is None and local is None:
                continue
            if local is not None:
                parts = [Buffer(local.part(b), b) for b in self.worklist.gradient_boxes((p, t, i), block)]
                if inbox is None and len(parts) == 1 and parts[0].box & own == own:
                    total = _plus(total, parts[0].part(own))
                    continue
                inbox = inbox or self._gradients.setdefault(key, self._inbox(block, own))
                for part in parts:
                    inbox.fill(part)
            assert inbox is not None
            total = _plus(total, inbox.buffer().tensor)
        return total

    def _end(self, operation: Operation, graph: Graph) -> None:
        """Keep the gradients of the inputs, and give back what the pass held."""
        p, s, i = operation
        script = self.worklist.script(operation)
        for source, box in script.inputs.items():
            slot = graph.slots.get((source, "output"))
            if slot is not None:
                key = ("backward", p, s, source, i)
                made = (p, self.worklist.stage_of[p, source], i)
                here = self.worklist.takes_part(made) and source in self.worklist.script(made).outputs
                uses = self.worklist.sends.get(key, 0) + here
                self._parcels.put(key, Buffer(slot.take_full().contiguous(), box), uses)
        self.meter.take(-self._freed.pop(operation))
        for name in script.outputs:
            for t in self.worklist.consumers(p, name):
                inbox = self._gradients.pop((p, t, name, i), None)
                if inbox is not None:
                    inbox.release()
        del self._graphs[operation]


def _plus(total: Tensor | None, part: Tensor) -> Tensor:
    return part if total is None else total + part
