"""Activations: the forward and backward passes of one worker, and the tensors they pass on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from models.nets.data import Batch
from solver.execution.passes.buffers import Buffer, Inbox, Parcels, shape_over
from solver.execution.passes.exchanges import Work, backward_work, forward_work, pass_back, pass_on
from solver.execution.passes.memory import Meter, size_of, storage_of
from solver.execution.passes.pieces import Graph
from solver.execution.passes.recipe import Piece, Recipes, Sink, Step
from solver.execution.passes.recompute import Recomputation
from solver.execution.passes.samples import Samples
from solver.execution.passes.script import Exchange
from solver.execution.passes.worklist import Operation, Task
from solver.layout import Box
from solver.program import Instruction


class Activations:
    """Runs a worker's computations of one step and keeps the tensors between them.

    Parameters
    ----------
    recipes
        What the worker does, with which weights.
    shapes
        Shape per sample of every block's output.
    batch
        The whole mini-batch of the step.
    metered
        Whether what autograd keeps is counted, which costs about a hundredth of the step.
    """

    def __init__(
        self,
        recipes: Recipes,
        shapes: dict[str, tuple[int, ...]],
        batch: Batch,
        metered: bool = True,
    ) -> None:
        self.recipes, self.shapes = recipes, shapes
        self.worklist, self.replica = recipes.worklist, recipes.replica
        self.metered = metered
        self.weights = self.replica.storages
        self.meter = Meter()
        self.loss = 0.0
        self.samples = Samples(self.worklist, batch, self.replica.dtype, self.meter)
        self._anchor = torch.empty(0, requires_grad=True)
        self._parcels = Parcels(self.meter)
        self._inputs: dict[tuple[int, str, int], Inbox] = {}
        self._input_users = dict(self.worklist.users)
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
            for node in self.recipes.forward(task):
                if isinstance(node, Step):
                    self._run(operation, node, graph)
                else:
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
        for node in self.recipes.backward(task):
            if isinstance(node, Piece):
                self._add_from_outside(operation, graph, node.number)
                graph.backward(node.number, node.weights)
            else:
                pass_back(graph, node, self.worklist.device)
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
        for name, uses in self.worklist.uses(operation).items():
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
        return sum(self._parcels.use(("forward", p, s, name, i)) for name in self.worklist.uses(operation))

    def _run(self, operation: Operation, step: Step, graph: Graph) -> None:
        """Run one unit."""
        graph.enter(step.piece)
        if step.source is None:
            reads = [graph.read(r.key) if r.crop is None else graph.read(r.key)[r.crop] for r in step.reads]
        else:
            reads = [self.samples.of(operation, step.block, step.source)]
        if step.again:
            again = Recomputation(step.compute, step.weights, self.meter, self.weights)
            results = again.run(self._anchor, reads)
        else:
            results = step.compute(reads)
        for (key, crosses), result in zip(step.writes, results, strict=True):
            graph.write(key, result, crosses=crosses)
        if step.sink is not None:
            self._add_loss(operation, step.block, step.sink, results[0], graph)

    def _add_loss(self, operation: Operation, block: str, sink: Sink, output: Tensor, graph: Graph) -> None:
        target = self.samples.of(operation, block, sink.samples)
        if sink.tokens is not None:
            target = target[:, sink.tokens]
        value = sink.loss(output, target) * sink.factor
        graph.add_loss(value)
        if sink.counts:
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
