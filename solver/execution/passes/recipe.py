"""Recipe: the passes of one worker with all at hand that is the same in every step.

A pass is walked many times a second, between operators that take less than a millisecond. What follows from
the Program, the plan and the replica alone is therefore looked up once, when it is first needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from models.nets.losses import Loss
from models.nets.shard import Gathering, Partible, Positioned
from models.nets.traits import traits_of
from solver.execution.passes.replica import Replica
from solver.execution.passes.script import Exchange, Key, Read, Role, Unit, collective_of
from solver.execution.passes.worklist import Operation, Task, Worklist
from solver.layout import Box

Compute = Callable[[list[Tensor]], tuple[Tensor, ...]]
Interval = tuple[int, int]

AGAIN: tuple[Role, ...] = ("whole", "partial", "project", "attend")
"""Units that are computed again where a block is: entering and leaving a cut block keep next to nothing."""


@dataclass(frozen=True)
class Sink:
    """A loss of a step.

    Parameters
    ----------
    loss
        What it is.
    factor
        Makes of a sum over samples the part of the step's loss.
    samples
        Interval of the micro-batch's samples.
    tokens
        Those of the target; ``None``: all.
    counts
        Whether nobody else counts it.
    """

    loss: Loss
    factor: float
    samples: Interval
    tokens: slice | None
    counts: bool


@dataclass(frozen=True)
class Step:
    """Computation of a unit.

    Parameters
    ----------
    block, piece
        Its block, and the number of its piece.
    compute
        Makes its results of what it reads.
    reads
        Tensors.
    writes
        Tensors, and whether anything but the piece needs them.
    source
        Interval of samples it reads if it is a source.
    sink
        Its loss, if it is a sink.
    again
        Whether it is computed a second time in the backward pass.
    weights
        Those whose gradients it adds to; ``None``: all.
    """

    block: str
    piece: int
    compute: Compute
    reads: tuple[Read, ...]
    writes: tuple[tuple[Key, bool], ...]
    source: Interval | None
    sink: Sink | None
    again: bool
    weights: list[Tensor] | None


@dataclass(frozen=True)
class Piece:
    """Backward pass of a piece.

    Parameters
    ----------
    number
        Which.
    weights
        Those whose gradients it adds to; ``None``: all.
    """

    number: int
    weights: list[Tensor] | None


class Recipes:
    """What the tasks of a worker consist of.

    Parameters
    ----------
    worklist
        What the worker does.
    replica
        Its weights.
    """

    def __init__(self, worklist: Worklist, replica: Replica) -> None:
        self.worklist, self.replica = worklist, replica
        self._steps: dict[tuple[tuple[int, int, int], str, Role], Step] = {}
        self._forward: dict[int, tuple[Step | Exchange, ...]] = {}
        self._backward: dict[int, tuple[Piece | Exchange, ...]] = {}

    def forward(self, task: Task) -> tuple[Step | Exchange, ...]:
        """Return what a task of a forward pass does, without its collective."""
        index = task.instruction.index
        if index not in self._forward:
            self._forward[index] = tuple(
                self._step(task.operation, node) if isinstance(node, Unit) else node
                for node in task.nodes
                if collective_of(node, "forward") is None
            )
        return self._forward[index]

    def backward(self, task: Task) -> tuple[Piece | Exchange, ...]:
        """Return what a task of a backward pass does, without its collective; every piece once."""
        index = task.instruction.index
        if index not in self._backward:
            found: list[Piece | Exchange] = []
            for node in task.nodes:
                if isinstance(node, Exchange):
                    found += [node] if node.backward is None else []
                    continue
                piece = self._step(task.operation, node).piece
                before = found[-1] if found else None
                if not isinstance(before, Piece) or before.number != piece:
                    found.append(Piece(piece, self._weights_of_piece(task.operation, piece)))
            self._backward[index] = tuple(found)
        return self._backward[index]

    def _step(self, operation: Operation, unit: Unit) -> Step:
        key = self.worklist.kind(operation), unit.block, unit.role
        if key not in self._steps:
            self._steps[key] = self._new_step(operation, unit)
        return self._steps[key]

    def _new_step(self, operation: Operation, unit: Unit) -> Step:
        worklist, block = self.worklist, unit.block
        division, box = worklist.division(operation), self._box(operation, block)
        outside = bool(worklist.consumers(operation[0], block))
        is_source = unit.role == "whole" and block in self.replica.net.sources
        is_sink = block in self.replica.net.losses and unit.writes[0][1] == "output"
        return Step(
            block,
            division.piece_of[block, unit.role],
            self._computation(operation, unit),
            unit.reads,
            tuple((k, k in division.crossing or (outside and k[1] == "output")) for k in unit.writes),
            box.samples if is_source else None,
            self._sink(operation, block) if is_sink else None,
            unit.role in AGAIN and worklist.recomputes(operation, block),
            self._weights_of(operation, [block]),
        )

    def _box(self, operation: Operation, block: str) -> Box:
        return self.worklist.script(operation).outputs[block]

    def _computation(self, operation: Operation, unit: Unit) -> Compute:
        """Return what makes the results of a unit."""
        worklist, role = self.worklist, unit.role
        module, box = self.replica.module(operation[0], unit.block), self._box(operation, unit.block)
        if role == "whole":
            is_cut = box.tokens != (0, worklist.workload.by_name[unit.block].tokens)
            if is_cut and isinstance(module, Positioned):
                positioned = module
                return lambda reads: (positioned.at(*reads, tokens=box.tokens),)
            return lambda reads: (module(*reads),)
        first = box.tokens[0]
        if isinstance(module, Gathering) and role == "project":
            gathering, memory = module, worklist.script(operation).first_tokens[unit.block]
            return lambda reads: gathering.project(*reads, first=first, first_memory=memory)
        if isinstance(module, Gathering) and role == "attend":
            gathering = module
            return lambda reads: (gathering.attend(*reads, first=first),)
        assert isinstance(module, Partible), f"{unit.block} cannot be cut"
        partible, part = module, worklist.part(operation, unit.block)
        if role == "enter":
            return lambda reads: (partible.enter(reads[0]), *reads[1:])
        if role == "leave":
            return lambda reads: (partible.leave(*reads),)
        return lambda reads: (partible.partial(*reads, part=part),)

    def _sink(self, operation: Operation, block: str) -> Sink:
        worklist, box = self.worklist, self._box(operation, block)
        loss, num_tokens = self.replica.net.losses[block], worklist.workload.by_name[block].tokens
        tokens, part = None, 1.0
        if box.tokens != (0, num_tokens):
            tokens, part = slice(*box.tokens), (box.tokens[1] - box.tokens[0]) / num_tokens
        factor = loss.weight * part / worklist.task_samples[loss.task]
        return Sink(loss, factor, box.samples, tokens, worklist.counts_loss(operation, block))

    def _weights_of_piece(self, operation: Operation, piece: int) -> list[Tensor] | None:
        pieces = self.worklist.division(operation).piece_of
        inside = [block for (block, _), number in pieces.items() if number == piece]
        return self._weights_of(operation, list(dict.fromkeys(inside)))

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
