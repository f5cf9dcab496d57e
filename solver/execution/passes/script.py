"""Script: what one device does in one pass of a stage, as units of computation and exchanges between them.

A unit is a block, or one of the parts of a block between which its group exchanges something. An exchange
stands between units of both passes: what the group does there in the forward pass, and what it does with
gradients in the backward pass, which for one of the two may be nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from models.workload import Block, Workload
from solver.layout import Box, Holding, hull
from solver.program import Kind, Row

Role = Literal["whole", "enter", "partial", "leave", "project", "attend"]
Meeting = Literal["sum", "copy", "keys", "whole", "slice"]
Key = tuple[str, str]
"""A block, and what of it: ``output``, ``normed``, ``sum``, ..."""


@dataclass(frozen=True)
class Read:
    """A tensor that a unit reads.

    Parameters
    ----------
    key
        Which.
    crop
        The part of it; all if ``None``.
    """

    key: Key
    crop: tuple[slice, ...] | None = None


@dataclass(frozen=True)
class Unit:
    """Computation without a break.

    Parameters
    ----------
    block, role
        The block, and what of it.
    reads, writes
        Tensors.
    """

    block: str
    role: Role
    reads: tuple[Read, ...]
    writes: tuple[Key, ...]


@dataclass(frozen=True)
class Exchange:
    """What a group does between two units.

    Parameters
    ----------
    block
        Whose collective it is in the Program.
    kind
        ``sum``: parts of an output are added up; its gradient is everybody's.
        ``copy``: the mirror image: an input is everybody's, and parts of its gradient are added up.
        ``keys``: keys and values of all tokens are gathered; their gradients are added up and scattered.
        ``whole``: a tensor held in slices is gathered; its gradient is everybody's own slice.
        ``slice``: the mirror image: everybody takes a slice, and the slices of its gradient are gathered.
    reads, writes
        Tensors before and after it.
    boxes
        Slices of the members (``keys``, ``whole``, ``slice``).
    span
        What the slices make up, or are taken from.
    samples
        Which samples of the tensor it is about, where those after it are of one task only; ``None``: all.
    with_gradient
        Whether a gradient passes.
    owner
        The block that computes before or after it in both passes.
    """

    block: str
    kind: Meeting
    reads: tuple[Key, ...]
    writes: tuple[Key, ...]
    owner: str
    boxes: dict[str, Box] = field(default_factory=dict)
    span: Box | None = None
    samples: slice | None = None
    with_gradient: bool = True

    @property
    def forward(self) -> str | None:
        """The collective of the forward pass, if there is one."""
        return {"sum": "all_reduce", "keys": "all_gather", "whole": "all_gather"}.get(self.kind)

    @property
    def backward(self) -> str | None:
        """The collective of the backward pass, if there is one."""
        if not self.with_gradient:
            return None
        return {"copy": "all_reduce", "keys": "reduce_scatter", "slice": "all_gather"}.get(self.kind)


Node = Unit | Exchange


def collective_of(node: Node, phase: str) -> str | None:
    """Return the collective that a node is in a pass, if it is one."""
    if isinstance(node, Unit):
        return None
    return node.forward if phase == "forward" else node.backward


def owner_of(node: Node) -> str:
    """Return the block whose computation a node is part of."""
    return node.block if isinstance(node, Unit) else node.owner


def deal(nodes: Sequence[Node], rows: Sequence[Row], phase: str) -> list[tuple[Node, ...]]:
    """Deal the nodes of a pass out to the rows of the Program that carry them out.

    Parameters
    ----------
    nodes
        In the order of the pass.
    rows
        Computations and collectives of the pass on the same device, in order.
    phase
        ``forward`` or ``backward``.

    Returns
    -------
    list of tuple
        Nodes of every row. What a block still has to do after a collective, and no row is left for, belongs
        to the collective's: the cost model counts it before.
    """
    dealt: list[tuple[Node, ...]] = []
    at = 0
    for number, row in enumerate(rows):
        start = at
        if row.kind == Kind.COLLECTIVE:
            here = (collective_of(nodes[at], phase), nodes[at].block)
            assert here == (row.operation, row.blocks[0]), f"{row.label} of {row.blocks[0]} is not {here}"
            at += 1
        after = rows[number + 1] if number + 1 < len(rows) else None
        later = after.blocks if after is not None and after.kind != Kind.COLLECTIVE else ()
        while at < len(nodes) and collective_of(nodes[at], phase) is None:
            owner = owner_of(nodes[at])
            if owner in later if row.kind == Kind.COLLECTIVE else owner not in row.blocks:
                break
            at += 1
        dealt.append(tuple(nodes[start:at]))
    assert at == len(nodes) or not rows, f"no row does {nodes[at:]}"
    return dealt


@dataclass(frozen=True)
class Script:
    """What a device does in a stage, for one kind of micro-batch.

    Parameters
    ----------
    nodes
        Units and exchanges in the order of the forward pass.
    backward_nodes
        Those that have a backward pass, in its order.
    inputs
        By block of another stage, the slice of its output that is needed.
    outputs
        By block, the slice of its output that the device holds.
    first_tokens
        By block that gathers keys and values, the first token of which it makes them.
    absent
        Tensors that nobody makes because a modality is absent: zeros over these slices take their place.
    """

    nodes: tuple[Node, ...]
    backward_nodes: tuple[Node, ...]
    inputs: dict[str, Box]
    outputs: dict[str, Box]
    first_tokens: dict[str, int]
    absent: dict[Key, Box]


def crop(outer: Box, inner: Box) -> tuple[slice, ...]:
    """Return where a box lies in a tensor over another; dimensions that are all there are left out."""
    found = [slice(b[0] - a[0], b[1] - a[0]) for a, b in zip(outer, inner, strict=True)]
    while found and outer[len(found) - 1] == inner[len(found) - 1]:
        found.pop()
    return tuple(found)


class ScriptMaker:
    """Makes the script of one device in one stage.

    Parameters
    ----------
    workload
        The blocks.
    blocks
        Those of the stage, in order.
    held
        What every device of the stage holds.
    device
        Whose script it is.
    active
        Interval of samples every block computes.
    with_backward
        Blocks whose output needs a gradient.
    arguments
        By block, what it reads in the order of its arguments.
    """

    def __init__(
        self,
        workload: Workload,
        blocks: Sequence[str],
        held: dict[str, Holding],
        device: str,
        active: dict[str, tuple[int, int]],
        with_backward: frozenset[str],
        arguments: Mapping[str, tuple[str, ...]],
    ) -> None:
        self.workload, self.blocks, self.held, self.device = workload, blocks, held, device
        self.active, self.with_backward, self.arguments = active, with_backward, arguments
        self.own = held[device]
        self.cells = self.own.cells if len(self.own.cells) > 1 else ()
        self.nodes: list[Node] = []
        self.backward: list[list[Node]] = []
        self.first_tokens: dict[str, int] = {}
        self.absent: dict[Key, Box] = {}

    def make(self) -> Script:
        """Return the script."""
        self.inputs, self.outputs = self._inputs(), {}
        for name in self.blocks:
            block = self.workload.by_name[name]
            box = self.own.output_box(block, self.active[name])
            if box.samples[0] == box.samples[1]:
                continue
            self.outputs[name] = box
            edges, reads = self._edges(block)
            inside = self._inside(block, reads)
            self.nodes += [*edges, *inside]
            if name in self.with_backward:
                self.backward.append([*reversed(inside), *edges])
        order = [node for part in reversed(self.backward) for node in part]
        nodes = tuple(self.nodes), tuple(order)
        return Script(*nodes, self.inputs, self.outputs, self.first_tokens, self.absent)

    def _both(self, source: str, block: str) -> tuple[int, int]:
        a, b = self.active[source], self.active[block]
        low = max(a[0], b[0])
        return low, max(low, min(a[1], b[1]))

    def _inputs(self) -> dict[str, Box]:
        found: dict[str, list[Box]] = {}
        for name in self.blocks:
            for edge in self.workload.predecessors[name]:
                if edge.source not in self.blocks:
                    source, block = self.workload.by_name[edge.source], self.workload.by_name[name]
                    box = self.own.input_box(source, block, self._both(edge.source, name))
                    found.setdefault(edge.source, []).extend([box] if box.size else [])
        return {name: hull(boxes) for name, boxes in found.items() if boxes}

    def _edges(self, block: Block) -> tuple[list[Node], list[Read]]:
        """Return the exchanges before a block, and what it reads then."""
        nodes: list[Node] = []
        reads: dict[str, Read] = {}
        for edge in self.workload.predecessors[block.name]:
            source, samples = self.workload.by_name[edge.source], self._both(edge.source, block.name)
            need = self.own.input_box(source, block, samples)
            has = self.inputs.get(edge.source) or self.outputs.get(edge.source)
            if has is None or need.size == 0:
                blank = (edge.source, f"absent from {block.name}")
                self.absent[blank] = self.own.input_box(source, block, self.active[block.name])
                reads[edge.source] = Read(blank)
                continue
            key = (edge.source, "output")
            exchange = self._edge(source, block) if edge.source in self.outputs else None
            if exchange is not None:
                nodes.append(exchange)
                key, has = exchange.writes[0], need
            reads[edge.source] = Read(key, crop(has, need) or None)
        return nodes, [reads[name] for name in self.arguments[block.name]]

    def _edge(self, source: Block, block: Block) -> Exchange | None:
        """Return the exchange between two blocks of the stage where one slices what the other does not."""
        if not self.cells:
            return None
        active = self.active[block.name]
        made = {d: self.held[d].output_box(source, active) for d in self.cells}
        read = {d: self.held[d].input_box(source, block, active) for d in self.cells}
        both = source.name in self.with_backward and block.name in self.with_backward
        keys = ((source.name, "output"),), ((source.name, f"for {block.name}"),)
        whole, part = self.outputs[source.name].samples, made[self.device].samples
        samples = None if part == whole else slice(part[0] - whole[0], part[1] - whole[0])
        if not all(_holds(made[d], read[d]) for d in self.cells):
            return Exchange(source.name, "whole", *keys, block.name, made, read[self.device], samples, both)
        if both and not all(_holds(read[d], made[d]) for d in self.cells):
            return Exchange(source.name, "slice", *keys, block.name, read, made[self.device], samples)
        return None

    def _inside(self, block: Block, reads: list[Read]) -> list[Node]:
        """Return the units of a block and the exchanges between them."""
        name, gradient = block.name, block.name in self.with_backward
        output = ((name, "output"),)
        if self.cells and self.own.mode == "tensor" and block.tensor is not None:
            return self._tensor(name, reads, gradient)
        collectives = block.sequence.collectives if block.sequence else ()
        if self.cells and self.own.mode == "sequence" and collectives:
            query, packed, keys = (name, "query"), (name, "packed"), (name, "keys")
            source = self.workload.by_name[self.arguments[name][-1]]
            boxes = {d: self.held[d].input_box(source, block, self.active[name]) for d in self.cells}
            span, self.first_tokens[name] = hull([*boxes.values()]), boxes[self.device].tokens[0]
            return [
                Unit(name, "project", tuple(reads), (query, packed)),
                Exchange(name, "keys", (packed,), (keys,), name, boxes, span, with_gradient=gradient),
                Unit(name, "attend", (reads[0], Read(query), Read(keys)), output),
            ]
        return [Unit(name, "whole", tuple(reads), output)]

    def _tensor(self, name: str, reads: list[Read], gradient: bool) -> list[Node]:
        normed, part, total = (name, "normed"), (name, "part"), (name, "sum")
        before = [normed, *((name, f"input {i}") for i in range(1, len(reads)))]
        copies = [(name, f"copy {i}") for i in range(len(reads))]
        return [
            Unit(name, "enter", tuple(reads), tuple(before)),
            Exchange(name, "copy", tuple(before), tuple(copies), name, with_gradient=gradient),
            Unit(name, "partial", tuple(Read(key) for key in copies), (part,)),
            Exchange(name, "sum", (part,), (total,), name, with_gradient=gradient),
            Unit(name, "leave", (reads[0], Read(total)), ((name, "output"),)),
        ]


def _holds(outer: Box, inner: Box) -> bool:
    return (outer & inner) == inner or inner.size == 0


@dataclass(frozen=True)
class Division:
    """How the units of a script fall into pieces.

    Parameters
    ----------
    piece_of
        Number of the piece of every unit, by block and role.
    crossing
        Tensors that something other than the piece that makes them needs, inside the stage.
    """

    piece_of: dict[tuple[str, Role], int]
    crossing: frozenset[Key]


def divide(script: Script, row_of: Mapping[tuple[str, Role], int]) -> Division:
    """Divide a script into pieces, which are as long as they can be.

    Parameters
    ----------
    script
        The script.
    row_of
        Which row of the backward pass a unit belongs to; none for units without one.
    """
    piece_of: dict[tuple[str, Role], int] = {}
    made: dict[Key, int] = {}
    crossing: set[Key] = set()
    piece, row = 0, None
    for node in script.nodes:
        if isinstance(node, Exchange):
            crossing.update(node.reads)
            piece, row = piece + 1, None
            continue
        own = row_of.get((node.block, node.role))
        if row is not None and own is not None and own != row:
            piece += 1
        row = row if own is None else own
        piece_of[node.block, node.role] = piece
        made.update(dict.fromkeys(node.writes, piece))
        crossing.update(r.key for r in node.reads if made.get(r.key, piece) != piece)
    return Division(piece_of, frozenset(crossing))
