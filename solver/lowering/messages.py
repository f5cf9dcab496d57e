"""Messages: which slices leave the devices of a stage when it has computed, and to whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from models.workload import Edge
from solver.layout import Box, union
from solver.lowering.context import Context
from solver.lowering.segments import box_bytes
from solver.lowering.stages import StageView
from solver.program import Slice
from solver.routing import route


@dataclass(frozen=True)
class Message:
    """What one device sends another after an operation.

    Parameters
    ----------
    source, target
        Devices; equal when it only hands over to another compute lane of the same device.
    num_bytes
        Size.
    slices
        What it carries.
    consumers
        Stages on the target that need it, by index.
    raw
        Whether it carries raw data.
    """

    source: str
    target: str
    num_bytes: int
    slices: tuple[Slice, ...]
    consumers: tuple[int, ...]
    raw: bool = False


def edge_part(context: Context, edge: Edge) -> float:
    """Return the part of a tensor's tokens that an edge carries: a capacity, or the expected share."""
    by_name = context.workload.by_name
    for name in (edge.target, edge.source):
        capacity = by_name[name].capacity
        if capacity is not None:
            return capacity
    return edge.share


def carried_part(context: Context, source: str, blocks: Iterable[str]) -> float:
    """Return the part of a block's output that some of its successors on one device need together.

    Notes
    -----
    Experts take different tokens, so their parts add up, to the whole at most.
    """
    inside = set(blocks)
    edges = [edge for edge in context.workload.successors[source] if edge.target in inside]
    return min(1.0, sum(edge_part(context, edge) for edge in edges))


def overflow_tokens(context: Context, view: StageView, number: int) -> float:
    """Return the expected tokens of a micro-batch that experts of a stage have no room for."""
    total = 0.0
    for name in view.blocks:
        block = context.workload.by_name[name]
        for edge in context.workload.predecessors[name] if block.capacity is not None else ():
            samples = view.classes[number].active[name]
            beyond = max(0.0, edge.share - (block.capacity or 1.0))
            total += beyond * (samples[1] - samples[0]) * context.workload.by_name[edge.source].tokens
    return total


def forward_messages(context: Context, view: StageView, number: int, views: list[StageView]) -> list[Message]:
    """Return the messages after a forward pass.

    Parameters
    ----------
    context, view
        The stage that has computed.
    number
        Class of the micro-batch.
    views
        All stages.
    """
    if view.stage is None:
        return _raw_messages(context, view, number, views)
    gathered = _Gathered()
    own = view.holdings(context, number)
    for name in view.blocks:
        block, active = context.workload.by_name[name], view.classes[number].active[name]
        needs: dict[str, list[Box]] = {}
        users: dict[str, list[int]] = {}
        for t in view.succs:
            for device, boxes in needs_of(context, views[t], number, name).items():
                needs[device] = union([*needs.get(device, []), *boxes])
                users.setdefault(device, []).append(t)
        held = {device: h.output_box(block, active) for device, h in own.items()}
        for piece in route(held, needs, context.distance):
            to = users[piece.target]
            part = carried_part(context, name, [user for t in to for user in views[t].blocks])
            size = box_bytes(context, block, piece.box, part)
            gathered.add(piece.source, piece.target, to, Slice(name, piece.box), size)
        for device in needs:
            _hand_over(context, gathered, view, number, device, users[device], views)
    return gathered.messages()


def backward_messages(
    context: Context, view: StageView, number: int, views: list[StageView]
) -> list[Message]:
    """Return the messages after a backward pass: gradients go back to who made the input.

    Parameters
    ----------
    context, view, number, views
        As for :func:`forward_messages`.
    """
    gathered = _Gathered()
    for s in view.preds:
        before = views[s]
        for name in before.blocks:
            if not context.costs.has_backward(name):
                continue
            held = gradient_boxes(context, view, number, name)
            if not held:
                continue
            block, active = context.workload.by_name[name], view.classes[number].active[name]
            makers = before.holdings(context, number)
            covered = union([box for boxes in held.values() for box in boxes])
            wanted = {}
            for device, holding in makers.items():
                own = holding.output_box(block, active)
                wanted[device] = [own & box for box in covered if (own & box).size]
            part = carried_part(context, name, view.blocks)
            for piece in route(held, wanted, context.distance):
                size = box_bytes(context, block, piece.box, part)
                gathered.add(piece.source, piece.target, [s], Slice(name, piece.box), size)
    return gathered.messages()


def gradient_boxes(context: Context, view: StageView, number: int, source: str) -> dict[str, list[Box]]:
    """Return of which slices of an input each device of a stage has the whole gradient after its backward.

    Parameters
    ----------
    context, view, number
        The stage that has computed.
    source
        The block of another stage whose output it reads.

    Notes
    -----
    A block cut over tokens gives the gradient of its own tokens only; where another block of the stage reads
    all of them, what is beyond the own tokens lacks a part.
    """
    by_target = _needs_by_target(context, view, number, source)
    found: dict[str, list[Box]] = {}
    for device, boxes in by_target.items():
        for box in boxes:
            for other in boxes:
                meets = min(box.samples[1], other.samples[1]) > max(box.samples[0], other.samples[0])
                box = box & Box(box.samples, other.tokens, other.columns) if meets else box
            found[device] = union([*found.get(device, []), box])
    return found


class _Gathered:
    """Slices between the same two devices for the same stages travel as one message."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str, tuple[int, ...]], tuple[int, list[Slice]]] = {}

    def add(self, source: str, target: str, consumers: Iterable[int], part: Slice | None, size: int) -> None:
        key = (source, target, tuple(dict.fromkeys(consumers)))
        total, slices = self.found.get(key, (0, []))
        self.found[key] = (total + size, [*slices, part] if part else slices)

    def messages(self) -> list[Message]:
        return [Message(a, b, n, tuple(slices), users) for (a, b, users), (n, slices) in self.found.items()]


def needs_of(context: Context, view: StageView, number: int, source: str) -> dict[str, list[Box]]:
    """Return what each device of a stage needs of a block's output."""
    found = _needs_by_target(context, view, number, source)
    return {device: union(boxes) for device, boxes in found.items()}


def _needs_by_target(context: Context, view: StageView, number: int, source: str) -> dict[str, list[Box]]:
    """Return what each device of a stage needs of a block's output, block by block."""
    workload = context.workload
    targets = [edge.target for edge in workload.successors[source] if edge.target in view.inside]
    found: dict[str, list[Box]] = {}
    for device, holding in view.holdings(context, number).items() if targets else ():
        for target in targets:
            active = view.classes[number].active[target]
            source_active = view.classes[number].active[source]
            both = max(active[0], source_active[0]), min(active[1], source_active[1])
            if both[1] <= both[0]:
                continue
            box = holding.input_box(workload.by_name[source], workload.by_name[target], both)
            if box.size:
                found.setdefault(device, []).append(box)
    return found


def _hand_over(
    context: Context,
    gathered: _Gathered,
    view: StageView,
    number: int,
    device: str,
    users: list[int],
    views: list[StageView],
) -> None:
    """Order two compute lanes of one device that work on the same micro-batch."""
    if device not in view.holdings(context, number):
        return
    here = view.unit(context, number, device)
    for t in users:
        if views[t].unit(context, number, device) != here:
            gathered.add(device, device, [t], None, 0)


def _raw_messages(context: Context, view: StageView, number: int, views: list[StageView]) -> list[Message]:
    """Return the raw data an owner sends to the devices that read it."""
    user = views[view.succs[0]]
    found: dict[str, tuple[int, list[Slice]]] = {}
    for name in view.raw:
        block, active = context.workload.by_name[name], view.classes[number].active[name]
        data = block.data
        if data is None:
            continue
        for device, holding in user.holdings(context, number).items():
            samples = max(holding.samples[0], active[0]), min(holding.samples[1], active[1])
            if data.name in context.cluster.by_name[device].data or samples[1] <= samples[0]:
                continue
            box = Box(samples, (0, 1), (0, 1))
            size, slices = found.get(device, (0, []))
            size += data.bytes_per_sample * (samples[1] - samples[0])
            found[device] = (size, [*slices, Slice(name, box)])
    return [
        Message(view.owner, device, size, tuple(slices), (user.index,), raw=True)
        for device, (size, slices) in found.items()
    ]
