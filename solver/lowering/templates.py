"""Templates: the rows of one operation (stage, pass, class of micro-batch), messages included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from solver.lowering.blocking import blocked_s
from solver.lowering.collectives import collective_rows
from solver.lowering.context import Context
from solver.lowering.footprint import Footprints
from solver.lowering.host_copies import copies_s, first_user
from solver.lowering.messages import Message, backward_messages, forward_messages
from solver.lowering.segments import Compute, Exchange, Item, segments
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
class Moves:
    """Memory that one computation takes before, and gives back after; change of receive buffers; bytes.

    Parameters
    ----------
    alloc_bytes, free_bytes, buffer_bytes
        As in a row.
    is_last
        Whether it is the last computation of its operation.
    """

    alloc_bytes: int = 0
    free_bytes: int = 0
    buffer_bytes: int = 0
    is_last: bool = False


def _firsts(own: Sequence[Compute], view: StageView, *, by_last: bool) -> list[tuple[str, ...]]:
    """Return the blocks that are new in each computation; those that never compute are in the last.

    Parameters
    ----------
    own, view
        Computations of one device; their stage.
    by_last
        Whether a block that is in several belongs to the last of them, or to the first.
    """
    place = dict.fromkeys(view.blocks, len(own) - 1)
    for number, item in enumerate(own if by_last else reversed(own)):
        place.update(dict.fromkeys(item.blocks, number if by_last else len(own) - 1 - number))
    return [tuple(name for name in view.blocks if place[name] == number) for number in range(len(own))]


def _with_room(row: Row, item: Exchange) -> Row:
    """Set what a collective inside an operation needs besides what its device holds anyway.

    Notes
    -----
    Gathered chunks arrive in the whole tensor, the own one is copied there; or beside it, before they are put
    together. Scattered chunks are added up one by one.
    """
    own = item.sizes[item.members.index(row.device)]
    whole = sum(item.sizes)
    gathered = 2 * whole - own if item.puts_together else whole
    room = {"all_gather": gathered, "reduce_scatter": max(item.sizes)}.get(item.operation, row.alloc_bytes)
    return replace(row, alloc_bytes=room, free_bytes=room)


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
        self.footprints = Footprints(context, views, self.messages, self.into)

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
        memory = {device: self._memory(view, number, phase, device, items) for device in held}
        for item in items:
            if isinstance(item, Compute):
                number_of = seen[item.device]
                moves = memory[item.device][number_of]
                row = self._compute_row(view, number, phase, item, number_of, moves, template)
                template.compute.append(row)
                seen[item.device] += 1
            else:
                template.compute += self._exchange_rows(view, phase, item)
        return template

    def _compute_row(
        self,
        view: StageView,
        number: int,
        phase: str,
        item: Compute,
        place: int,
        memory: Moves,
        template: Template,
    ) -> Row:
        messages = self._messages_s(view, number, phase, item.device, place == 0, memory.is_last)
        direction = 0 if phase == "forward" else 1
        unit = view.unit(self.context, number, item.device)
        return Row(
            kind=Kind.FORWARD if phase == "forward" else Kind.BACKWARD,
            device=item.device,
            duration_s=item.seconds + messages,
            alloc_bytes=memory.alloc_bytes,
            free_bytes=memory.free_bytes,
            buffer_bytes=memory.buffer_bytes,
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

    def _memory(
        self, view: StageView, number: int, phase: str, device: str, items: Sequence[Item]
    ) -> list[Moves]:
        """Return what each computation of a device in an operation takes and gives back.

        Notes
        -----
        What the blocks of a computation keep is taken when it begins; what a backward pass gives back is
        counted until all of it is over.
        """
        own = [item for item in items if isinstance(item, Compute) and item.device == device]
        if view.stage is None or not own:
            return [Moves(is_last=True)]
        f = self.footprints.of(view, number, device)
        taken = [0] * len(own)
        if phase == "backward":
            taken[0] += f.sent_gradients + f.handed_gradients + f.merged_gradients + f.recomputed
            free = f.kept + f.output + f.received_gradients + f.own_gradients
            free += f.merged_gradients + f.recomputed
            buffers = -f.received_gradients
        elif view.has_backward:
            taken = f.growth(_firsts(own, view, by_last=self._gathers(view, number, device)))
            taken[-1] += f.output
            free, buffers = max(0, f.received + sum(taken) - f.output - f.kept), -f.received
        else:
            taken[-1] += f.output
            sends = any(m.source == device for m in self.messages(view.index, number, "forward"))
            free, buffers = f.received + (0 if sends else f.output), -f.received
        moves = [Moves(size) for size in taken[:-1]]
        return [*moves, Moves(taken[-1], free, buffers, is_last=True)]

    def _gathers(self, view: StageView, number: int, device: str) -> bool:
        """Return whether blocks gather keys and values between their parts, before they keep them."""
        holding = view.holdings(self.context, number)[device]
        return holding.mode == "sequence" and len(holding.cells) > 1

    def _exchange_rows(self, view: StageView, phase: str, item: Exchange) -> list[Row]:
        """Return the rows of a collective inside an operation: the device waits for it."""
        ring = view.stage.ring if view.stage else ()
        rows = collective_rows(self.context, item.members, item.operation, item.sizes, ring=ring)
        rows = [_with_room(row, item) for row in rows]
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

    def _freed(self, view: StageView, number: int, messages: Sequence[Message]) -> list[int]:
        """Return the gradients given back with every message: what goes to several, with the last."""
        names = {message.source for message in messages}
        left = {name: self.footprints.of(view, number, name).sent_gradients for name in names}
        found = []
        for message in reversed(messages):
            found.append(min(message.num_bytes, left[message.source]))
            left[message.source] -= found[-1]
        return found[::-1]

    def attach_messages(
        self, s: int, number: int, phase: str, templates: dict[tuple[int, int, str], Template]
    ) -> None:
        """Add the messages of an operation to its template; all templates of the class must exist."""
        template, view = templates[s, number, phase], self.views[s]
        messages = self.messages(s, number, phase)
        last_send = {m.source: i for i, m in enumerate(messages)}
        freed = self._freed(view, number, messages) if phase == "backward" else []
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
                free = freed[i]
            elif view.stage is not None and not view.has_backward and last_send[message.source] == i:
                free = self.footprints.of(view, number, message.source).output
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
