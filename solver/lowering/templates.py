"""Templates: the rows of one operation (stage, pass, class of micro-batch), messages included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from models.workload import Block
from solver.layout import Holding
from solver.lowering.blocking import blocked_s
from solver.lowering.collectives import collective_rows
from solver.lowering.context import Context
from solver.lowering.host_copies import copies_s, first_user
from solver.lowering.messages import Message, backward_messages, forward_messages
from solver.lowering.segments import Compute, Exchange, Item, box_bytes, expert_part, segments
from solver.lowering.stages import StageView
from solver.program import Kind, Row


@dataclass
class Template:
    """Rows of one operation.

    Parameters
    ----------
    compute
        Computations and collectives, in order.
    messages
        Sends, each followed by its receive, and handovers.
    consumers
        For every row of ``messages``: (stage, slot offset, place of the device) of who needs it.
    units
        Compute lanes of the operation.
    offsets
        First slot of every device, relative to the operation.
    num_slots
        How many slots the operation has.
    """

    compute: list[Row] = field(default_factory=list)
    messages: list[Row] = field(default_factory=list)
    consumers: list[list[tuple[int, int, int]]] = field(default_factory=list)
    units: list[int] = field(default_factory=list)
    offsets: dict[str, int] = field(default_factory=dict)
    num_slots: int = 0


@dataclass(frozen=True)
class Footprint:
    """Activation memory of one device in one stage for one micro-batch, bytes.

    Parameters
    ----------
    kept
        Kept from forward to backward.
    output
        Outputs that other stages need, held until the backward pass or until they are sent.
    received, received_gradients
        Receive buffers of the two passes.
    sent_gradients
        Gradients of the input, until they are sent.
    recomputed
        What recomputation makes again in the backward pass, one block at a time.
    """

    kept: int = 0
    output: int = 0
    received: int = 0
    received_gradients: int = 0
    sent_gradients: int = 0
    recomputed: int = 0


def footprint(
    context: Context,
    view: StageView,
    number: int,
    device: str,
    into: Sequence[Message],
    gradients_into: Sequence[Message],
    gradients_out: Sequence[Message],
    out: Sequence[Message],
) -> Footprint:
    """Return the activation memory of a device in a stage.

    Parameters
    ----------
    context, view, number, device
        The stage, the class of the micro-batch, and the device.
    into, gradients_into, gradients_out, out
        Messages of the four kinds that touch the stage.

    Notes
    -----
    The input a device receives is the tensor its first block keeps, so it is counted once.
    """
    holding = view.holdings(context, number)[device]
    kept = output = recomputed = 0
    recompute = set(view.stage.recompute) if view.stage else set()
    sent = {part.block for message in out if message.source == device for part in message.slices}
    for name in view.blocks:
        active = view.classes[number].active[name]
        samples = max(0, min(holding.samples[1], active[1]) - max(holding.samples[0], active[0]))
        block, cost = context.workload.by_name[name], context.cost(name, device)
        size = round(_kept_bytes(context, block, holding, cost.kept_bytes) * samples)
        if name in recompute:
            again = size
            size = round(_input_bytes(context, block, holding, cost.input_bytes) * samples)
            recomputed = max(recomputed, again - size)
        kept += size
        if name in sent:
            box = holding.output_box(block, active)
            output += box_bytes(context, block, box, expert_part(context, block))
    return Footprint(
        kept=kept,
        output=output,
        received=sum(m.num_bytes for m in into if m.target == device),
        received_gradients=sum(m.num_bytes for m in gradients_into if m.target == device),
        sent_gradients=sum(m.num_bytes for m in gradients_out if m.source == device),
        recomputed=recomputed,
    )


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


class TemplateMaker:
    """Makes the templates of all stages of a plan.

    Parameters
    ----------
    context, views
        The plan.
    """

    def __init__(self, context: Context, views: list[StageView]) -> None:
        self.context, self.views = context, views
        self._out: dict[tuple[int, int, str], list[Message]] = {}

    def messages(self, s: int, number: int, phase: str) -> list[Message]:
        """Return the messages that leave stage ``s`` after a pass."""
        key = (s, number, phase)
        if key not in self._out:
            make = forward_messages if phase == "forward" else backward_messages
            view = self.views[s]
            none = phase == "backward" and not view.has_backward
            self._out[key] = [] if none else make(self.context, view, number, self.views)
        return self._out[key]

    def into(self, s: int, number: int, phase: str) -> list[Message]:
        """Return the messages that stage ``s`` waits for in a pass; each counts at its first user."""
        view = self.views[s]
        before = view.preds if phase == "forward" else view.succs
        found = []
        for t in before:
            if phase == "backward" and not self.views[t].has_backward:
                continue
            found += [m for m in self.messages(t, number, phase) if m.consumers[0] == s]
        return found

    def make(self, s: int, number: int, phase: str) -> Template:
        """Return the template of one operation, without its consumers' slots resolved."""
        view, context = self.views[s], self.context
        template = Template()
        held = view.holdings(context, number)
        template.units = [view.unit(context, number, device) for device in held]
        if view.stage is None:
            device = view.owner
            items: list[Item] = [Compute(device, 0.0, (), (0, view.classes[number].samples))]
        else:
            items = segments(context, view, number, phase)
        count = {
            device: sum(1 for i in items if isinstance(i, Compute) and i.device == device) for device in held
        }
        for device in held:
            template.offsets[device] = template.num_slots
            template.num_slots += count[device]
        seen = dict.fromkeys(held, 0)
        for item in items:
            if isinstance(item, Compute):
                number_of = seen[item.device]
                last = number_of + 1 == count[item.device]
                row = self._compute_row(view, number, phase, item, number_of, last, template)
                template.compute.append(row)
                seen[item.device] += 1
            else:
                template.compute += self._exchange_rows(view, phase, item)
        return template

    def _footprint(self, view: StageView, number: int, device: str) -> Footprint:
        s = view.index
        return footprint(
            self.context,
            view,
            number,
            device,
            self.into(s, number, "forward"),
            self.into(s, number, "backward") if view.has_backward else [],
            self.messages(s, number, "backward"),
            self.messages(s, number, "forward"),
        )

    def _compute_row(
        self,
        view: StageView,
        number: int,
        phase: str,
        item: Compute,
        place: int,
        last: bool,
        template: Template,
    ) -> Row:
        memory = self._memory(view, number, phase, item.device) if place == 0 or last else (0, 0, 0)
        alloc, free, buffers = memory
        messages = self._messages_s(view, number, phase, item.device, place == 0, last)
        direction = 0 if phase == "forward" else 1
        unit = view.unit(self.context, number, item.device)
        return Row(
            kind=Kind.FORWARD if phase == "forward" else Kind.BACKWARD,
            device=item.device,
            duration_s=item.seconds + messages,
            alloc_bytes=alloc if place == 0 else 0,
            free_bytes=free if last else 0,
            buffer_bytes=buffers if last else 0,
            power_w=self.context.extra_w(item.device),
            unit=unit,
            lanes=(unit,),
            waits=(2 * view.index + direction, template.offsets[item.device] + place),
            pipeline=view.pipeline,
            stage=view.number,
            phase=phase,
            blocks=item.blocks,
            samples=item.samples,
            segment=place,
        )

    def _messages_s(
        self, view: StageView, number: int, phase: str, device: str, first: bool, last: bool
    ) -> float:
        """Return the seconds of messages within a computation, the first or last of its operation or not."""
        if self.context.settings.transfers == "link":
            return 0.0
        within_s = copies_s if self.context.settings.transfers == "host" else blocked_s
        total = 0.0
        if first:
            before = view.preds if phase == "forward" else view.succs
            into = [m for t in before for m in self.messages(t, number, phase) if m.target == device]
            mine = [m for m in into if first_user(m, self.views) == view.index]
            total += within_s(self.context, device, mine)
        if last:
            out = [m for m in self.messages(view.index, number, phase) if m.source == device]
            total += within_s(self.context, device, out)
        return total

    def _memory(self, view: StageView, number: int, phase: str, device: str) -> tuple[int, int, int]:
        """Return (taken before, given back after, change of receive buffers) of an operation."""
        if view.stage is None:
            return 0, 0, 0
        f = self._footprint(view, number, device)
        if phase == "backward":
            taken = f.sent_gradients + f.recomputed
            return taken, f.kept + f.output + f.received_gradients + f.recomputed, -f.received_gradients
        if view.has_backward:
            return max(f.kept - f.received, 0) + f.output, max(f.received - f.kept, 0), -f.received
        sends = any(m.source == device for m in self.messages(view.index, number, "forward"))
        return f.output, f.received + (0 if sends else f.output), -f.received

    def _exchange_rows(self, view: StageView, phase: str, item: Exchange) -> list[Row]:
        """Return the rows of a collective inside an operation: the device waits for it."""
        rows = collective_rows(self.context, item.members, item.operation, item.sizes)
        return [
            replace(
                row,
                lanes=self._exchange_lanes(row),
                pipeline=view.pipeline,
                stage=view.number,
                phase=phase,
                blocks=(item.block,),
            )
            for row in rows
        ]

    def _exchange_lanes(self, row: Row) -> tuple[int, ...]:
        """Return the lanes of a collective inside an operation: its compute lane among them."""
        lanes = row.lanes
        if self.context.settings.collectives == "channel":
            own = {self.context.lane(row.device, way) for way in ("send", "recv")}
            lanes = tuple(lane for lane in lanes if lane not in own)
        return lanes if row.unit in lanes else (row.unit, *lanes)

    def attach_messages(
        self, s: int, number: int, phase: str, templates: dict[tuple[int, int, str], Template]
    ) -> None:
        """Add the messages of an operation to its template; all templates of the class must exist."""
        template, view = templates[s, number, phase], self.views[s]
        messages = self.messages(s, number, phase)
        last_send = {m.source: i for i, m in enumerate(messages)}
        for i, message in enumerate(messages):
            users: dict[int, list[tuple[int, int, int]]] = {}
            for t in message.consumers:
                user = templates[t, number, phase]
                if message.target in user.offsets:
                    place = list(user.offsets).index(message.target)
                    unit = self.views[t].unit(self.context, number, message.target)
                    users.setdefault(unit, []).append((t, user.offsets[message.target], place))
            free = 0
            if phase == "backward":
                free = message.num_bytes
            elif view.stage is not None and not view.has_backward and last_send[message.source] == i:
                free = self._footprint(view, number, message.source).output
            rows = message_rows(self.context, message, free, phase)
            placed = [replace(row, pipeline=view.pipeline, stage=view.number) for row in rows]
            unit = view.unit(self.context, number, message.source)
            lanes = placed[0].lanes if self.context.settings.transfers == "link" else (unit,)
            placed[0] = replace(placed[0], unit=unit, lanes=lanes)
            first, *others = users
            if len(placed) == 2:
                placed[1] = replace(placed[1], unit=first)
            template.messages += placed
            template.consumers += [users[first]] * len(placed)
            for unit in others:
                # On its lanes the message has just arrived: the target's other compute lanes learn of it.
                handover = message_rows(self.context, replace(message, source=message.target), 0, phase)[0]
                template.messages.append(replace(handover, unit=unit, lanes=lanes, pipeline=view.pipeline))
                template.consumers.append(users[unit])


def message_rows(context: Context, message: Message, free: int, phase: str) -> list[Row]:
    """Return a send and its receive, or a handover.

    Parameters
    ----------
    context, message
        What is sent.
    free
        Memory the sender gives back when it is gone, bytes.
    phase
        ``forward``, ``backward``, ``upload``, ``download`` or ``backup``.
    """
    if message.source == message.target:
        return [Row(Kind.HANDOVER, message.source, free_bytes=free, peer=message.target, phase=phase)]
    seconds, lanes = context.transfer(message.source, message.target, message.num_bytes)
    if context.settings.transfers != "link" and phase in ("forward", "backward"):
        seconds, lanes = 0.0, (context.unit_of[message.source],)
    send = Row(
        kind=Kind.SEND,
        device=message.source,
        duration_s=seconds,
        num_bytes=message.num_bytes,
        free_bytes=free,
        power_w=context.radio_w(message.source),
        lanes=lanes,
        phase=phase,
        peer=message.target,
        slices=message.slices,
        raw=message.raw,
    )
    receive = replace(
        send,
        kind=Kind.RECV,
        device=message.target,
        num_bytes=0,
        free_bytes=0,
        alloc_bytes=message.num_bytes,
        buffer_bytes=message.num_bytes,
        power_w=context.devices[message.target].radio_w.value,
        lanes=(),
        peer=message.source,
    )
    return [send, receive]
