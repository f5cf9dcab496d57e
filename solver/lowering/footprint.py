"""Footprint: what a device holds for one micro-batch of a stage, beside weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from models.workload import Block
from solver.layout import Box, Holding, hull, union
from solver.lowering.context import Context
from solver.lowering.messages import Message, gradient_boxes, needs_of
from solver.lowering.segments import box_bytes, expert_part
from solver.lowering.stages import StageView


@dataclass(frozen=True)
class Footprint:
    """Activation memory of one device in one stage for one micro-batch, bytes.

    Parameters
    ----------
    blocks
        Kept from forward to backward by block, inputs that they keep included.
    shared
        Part of that which is counted elsewhere too; negative: what they keep more, because they read a part
        of a tensor and so keep all of it.
    output
        Outputs that other stages need, held until the backward pass or until they are sent.
    received, received_gradients
        Receive buffers of the two passes.
    sent_gradients
        Gradients of the input, until they are sent.
    handed_gradients
        Gradients of the input for an earlier stage on the same device, until the backward pass of that.
    own_gradients
        What later stages on the same device have handed to this one.
    merged_gradients
        Where gradients of the output come from several devices: room to put them together, beside what
        arrived in place.
    recomputed
        What recomputation makes again in the backward pass, one block at a time.
    """

    blocks: dict[str, int]
    shared: int = 0
    output: int = 0
    received: int = 0
    received_gradients: int = 0
    sent_gradients: int = 0
    handed_gradients: int = 0
    own_gradients: int = 0
    merged_gradients: int = 0
    recomputed: int = 0

    @property
    def kept(self) -> int:
        """Kept from forward to backward."""
        return max(0, sum(self.blocks.values()) - self.shared)

    def growth(self, parts: list[tuple[str, ...]]) -> list[int]:
        """Return what is newly kept in each part of the forward pass; what was received is there already.

        Parameters
        ----------
        parts
            New blocks of each part.
        """
        sizes = [sum(self.blocks[name] for name in part) for part in parts]
        sizes[-1] += max(0, -self.shared)
        there = self.received + max(0, self.shared)
        found = []
        for size in sizes:
            found.append(max(0, size - there))
            there = max(0, there - size)
        return found


Messages = Callable[[int, int, str], list[Message]]
"""Returns the messages that leave a stage, or that it waits for, by stage, class and pass."""


class Footprints:
    """Finds the footprints of all devices in all stages.

    Parameters
    ----------
    context, views
        The plan and its stages.
    out, into
        Messages that leave a stage after a pass, and that it waits for.
    """

    def __init__(self, context: Context, views: list[StageView], out: Messages, into: Messages) -> None:
        self.context, self.views, self.out, self.into = context, views, out, into
        self._found: dict[tuple[int, int, str], Footprint] = {}

    def of(self, view: StageView, number: int, device: str) -> Footprint:
        """Return the footprint of a device in a stage.

        Parameters
        ----------
        view, number, device
            The stage, the class of the micro-batch, and the device.

        Notes
        -----
        The input a device receives is the tensor its first block keeps, so it is counted once.
        """
        key = (view.index, number, device)
        if key not in self._found:
            self._found[key] = self._find(view, number, device)
        return self._found[key]

    def _find(self, view: StageView, number: int, device: str) -> Footprint:
        s = view.index
        holding = view.holdings(self.context, number)[device]
        blocks: dict[str, int] = {}
        recomputed = 0
        recompute = set(view.stage.recompute) if view.stage else set()
        for name in view.blocks:
            active = view.classes[number].active[name]
            samples = max(0, min(holding.samples[1], active[1]) - max(holding.samples[0], active[0]))
            block, cost = self.context.workload.by_name[name], self.context.cost(name, device)
            size = round(_kept_bytes(self.context, block, holding, cost.kept_bytes) * samples)
            if name in recompute and self.context.costs.has_backward(name):
                again = size
                size = round(_input_bytes(self.context, block, holding, cost.input_bytes) * samples)
                recomputed = max(recomputed, again - size)
            blocks[name] = size
        leaving = self._leaving(view, number, device)
        back = self.into(s, number, "backward") if view.has_backward else []
        return Footprint(
            blocks=blocks,
            shared=self._shared(view, number, device, blocks, leaving),
            output=sum(leaving.values()),
            received=sum(m.num_bytes for m in self.into(s, number, "forward") if m.target == device),
            received_gradients=sum(m.num_bytes for m in back if m.target == device),
            sent_gradients=self._sent_gradients(s, number, device),
            handed_gradients=sum(self._handed(view, self.views[p], number, device) for p in view.preds),
            own_gradients=sum(self._handed(self.views[t], view, number, device) for t in view.succs),
            merged_gradients=self._merged(view, number, device),
            recomputed=recomputed,
        )

    def _output_box(self, view: StageView, number: int, device: str, name: str) -> Box:
        block, active = self.context.workload.by_name[name], view.classes[number].active[name]
        return view.holdings(self.context, number)[device].output_box(block, active)

    def _size(self, name: str, box: Box) -> int:
        block = self.context.workload.by_name[name]
        return box_bytes(self.context, block, box, expert_part(self.context, block)) if box.size else 0

    def _leaving(self, view: StageView, number: int, device: str) -> dict[str, int]:
        """Return the bytes of every output that this device sends, or uses itself in a later stage."""
        messages = self.out(view.index, number, "forward")
        names = {part.block for message in messages if message.source == device for part in message.slices}
        if view.has_backward:
            names |= {name for t in view.succs for name in self._given(view, self.views[t], number, device)}
        return {
            name: self._size(name, self._output_box(view, number, device, name)) for name in sorted(names)
        }

    def _given(self, view: StageView, after: StageView, number: int, device: str) -> dict[str, Box]:
        """Return the outputs a device makes in one stage and uses in a later one, and what it needs there."""
        if any(device not in one.holdings(self.context, number) for one in (view, after)):
            return {}
        found: dict[str, Box] = {}
        for name in view.blocks:
            boxes = needs_of(self.context, after, number, name).get(device)
            if boxes and self._output_box(view, number, device, name).size:
                found[name] = hull(boxes)
        return found

    def _shared(
        self, view: StageView, number: int, device: str, sizes: dict[str, int], leaving: dict[str, int]
    ) -> int:
        """Return what is counted twice of the inputs that blocks keep.

        Notes
        -----
        A block with several inputs is taken to keep what it makes of them, not the inputs.
        """
        workload, holding = self.context.workload, view.holdings(self.context, number)[device]
        counted: dict[str, list[Box]] = {}
        for name in (name for name, size in sizes.items() if size):
            edges = workload.predecessors[name]
            if len(edges) == 1:
                source, active = edges[0].source, view.classes[number].active
                both = max(active[source][0], active[name][0]), min(active[source][1], active[name][1])
                box = holding.input_box(workload.by_name[source], workload.by_name[name], both)
                counted.setdefault(source, []).extend([box] if box.size else [])
        total = 0
        for source, boxes in counted.items():
            if boxes:
                kept = sum(self._size(source, box) for box in boxes)
                total += kept - self._storage(view, number, device, source, boxes, leaving)
        return total

    def _storage(
        self,
        view: StageView,
        number: int,
        device: str,
        source: str,
        boxes: list[Box],
        leaving: dict[str, int],
    ) -> int:
        """Return the bytes of the tensor that blocks of a stage read, unless it is counted as an output."""
        if source in view.inside:
            own = self._output_box(view, number, device, source)
            if any((own & box) != box for box in boxes):
                return sum(self._size(source, box) for box in boxes)  # gathered: a tensor of its own
            return 0 if source in leaving else self._size(source, own)
        for p in view.preds:
            before = self.views[p]
            if (
                source in before.inside
                and before.has_backward
                and not self._arrives(device, source, p, number)
            ):
                return 0
        return self._size(source, hull(boxes))

    def _arrives(self, device: str, source: str, maker: int, number: int) -> bool:
        """Return whether any of a block's output reaches a device as a message."""
        messages = self.out(maker, number, "forward")
        return any(m.target == device and any(p.block == source for p in m.slices) for m in messages)

    def _sent_gradients(self, s: int, number: int, device: str) -> int:
        """Return the gradients a device sends; what goes to several is one tensor."""
        messages = [m for m in self.out(s, number, "backward") if m.source == device]
        total = sum(message.num_bytes for message in messages)
        for name in {part.block for message in messages for part in message.slices}:
            boxes = [part.box for message in messages for part in message.slices if part.block == name]
            once = union(boxes)
            if sum(box.size for box in once) < sum(box.size for box in boxes):
                total -= sum(self._size(name, b) for b in boxes) - sum(self._size(name, b) for b in once)
        return total

    def _handed(self, view: StageView, before: StageView, number: int, device: str) -> int:
        """Return the gradients that a stage hands to an earlier one on the same device, but does not send."""
        if not (view.has_backward and before.has_backward):
            return 0
        given = self._given(before, view, number, device)
        sent = [m for m in self.out(view.index, number, "backward") if m.source == device]
        total = 0
        for name, box in given.items():
            if self.context.costs.has_backward(name):
                away = union(p.box for m in sent for p in m.slices if p.block == name)
                total += max(0, self._size(name, box) - sum(self._size(name, part) for part in away))
        return total

    def _merged(self, view: StageView, number: int, device: str) -> int:
        """Return the room in which gradients of the output are put together, beside what arrives in place."""
        total = 0
        for t in view.succs if view.has_backward else ():
            after = self.views[t]
            if not after.has_backward:
                continue
            given = self._given(view, after, number, device)
            messages = self.out(t, number, "backward")
            for name in view.blocks:
                own = self._output_box(view, number, device, name)
                came = [p.box for m in messages if m.target == device for p in m.slices if p.block == name]
                here = gradient_boxes(self.context, after, number, name).get(device, [])
                if not came and not (name in given and here):
                    continue
                if not came and len(union(here)) == 1 and (here[0] & own) == own:
                    continue
                in_place = [box for box in came if box[1:] == own[1:]]
                total += max(0, self._size(name, own) - sum(self._size(name, box) for box in in_place))
        return total


def _kept_bytes(context: Context, block: Block, holding: Holding, size: int) -> float:
    """Return what a device keeps of a block per sample, out of ``size`` bytes that a single device keeps.

    Notes
    -----
    Mode tensor leaves the input and what norms keep whole; what mode sequence gathers is kept whole.
    """
    part = holding.tensor_part(block) * holding.token_part(block)
    whole = 0
    if holding.mode == "tensor" and block.tensor is not None:
        whole = min(size, context.costs.bytes(block.tensor.kept_whole_bytes))
    if holding.mode == "sequence" and block.sequence is not None and size:
        gathers = [c for c in block.sequence.collectives if c.phase == "forward"]
        gathered = sum(
            context.costs.bytes(c.bytes_per_sample) for c in gathers if c.operation == "all_gather"
        )
        whole = min(size, gathered)
    return float(whole + (size - whole) * part) * expert_part(context, block)


def _input_bytes(context: Context, block: Block, holding: Holding, size: int) -> float:
    """Return what a device keeps of a recomputed block per sample, out of inputs of ``size`` bytes.

    Notes
    -----
    What the group exchanges inside the block is not exchanged again, so what comes before that is kept: in
    mode tensor the input and what norms make of it; in mode sequence, where keys and values are gathered,
    those of all tokens and the queries of the own ones.
    """
    part = expert_part(context, block)
    if holding.mode == "tensor" and block.tensor is not None and len(holding.cells) > 1:
        return max(size, context.costs.bytes(block.tensor.kept_whole_bytes)) * part
    tokens = holding.token_part(block)
    gathered = 0
    if holding.mode == "sequence" and block.sequence is not None:
        gathers = (c for c in block.sequence.collectives if c.operation == "all_gather")
        gathered = sum(context.costs.bytes(c.bytes_per_sample) for c in gathers if c.phase == "forward")
    return float(size * tokens + gathered * (1 + tokens / 2)) * part
