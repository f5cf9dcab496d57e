"""Links: the messages one worker receives and the collectives it takes part in, in the Program's order.

A *raw* worker lets everything go at once: who needs a message waits for it, and a thread does the collectives
beside the computations. The thread of a *padded* worker also emulates the links: whoever receives a message
decides when it starts, which is when the sender has computed it, the receiver has posted it and the transfers
before it on all its lanes are over; it ends ``duration x dilation`` later.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from solver.execution.clock import now_ns, sharpen
from solver.execution.network.ring import parts_of, ring_collective, star_all_reduce
from solver.execution.network.transport import Transport, Work
from solver.execution.network.turns import Turn
from solver.program import Instruction, Kind, Row

Span = tuple[int, int]
"""Start and end, nanoseconds."""

_HEADER, _PAYLOAD, _TURN, _REPLY = 0, 1, 2, 3
_TAGS = 4


@dataclass
class Transfer:
    """A message this worker receives, or a collective it takes part in.

    Parameters
    ----------
    instruction
        Its receive, or its collective.
    posted_ns
        When the computation before it was done.
    works
        Messages: the receives that gloo has been asked for.
    header
        Messages of a padded run: waits for the sender's stamp.
    parts, scratch
        Collectives: the part of each member, in ring order, and a buffer.
    around
        Collectives: called just before, and when the result is there.
    """

    instruction: Instruction
    posted_ns: int
    works: list[Work | None] = field(default_factory=list)
    header: Callable[[], int] | None = None
    parts: list[Tensor] | None = None
    scratch: Tensor | None = None
    around: tuple[Callable[[], None], Callable[[], None]] | None = None


class Links:
    """The transfers of one worker in one step; raw.

    Parameters
    ----------
    transport
        Its messages.
    limit_s
        Longest wait for a transfer.
    """

    def __init__(self, transport: Transport, limit_s: float) -> None:
        self.transport = transport
        self.limit_s = limit_s
        self.spans: dict[int, Span] = {}
        self.taken_ns: dict[int, int] = {}
        self.overruns: list[tuple[Row, float]] = []
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._queue: queue.SimpleQueue[Transfer | None] = queue.SimpleQueue()
        self._given = 0
        self._posted: dict[int, Transfer] = {}
        self._thread = threading.Thread(target=self._serve, name="links", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._queue.put(None)

    def begin(self, start_ns: int) -> None:
        """Forget the step before."""
        self.spans, self.taken_ns, self.overruns, self._given, self._posted = {}, {}, [], 0, {}
        self.start_ns = start_ns

    def send(self, instruction: Instruction, tensors: list[Tensor], ready_ns: int) -> None:
        """Begin to send a message.

        Parameters
        ----------
        instruction
            The send.
        tensors
            What it carries.
        ready_ns
            When the computation before it was done.
        """
        for tensor in tensors:
            self.transport.send(instruction.row.peer or "", _TAGS * instruction.index + _PAYLOAD, tensor)

    def receive(self, instruction: Instruction, tensors: list[Tensor], posted_ns: int) -> None:
        """Post a receive.

        Parameters
        ----------
        instruction
            The receive.
        tensors
            Where it writes.
        posted_ns
            When the computation before it was done.
        """
        self._posted[instruction.index] = self._post(instruction, tensors, posted_ns)

    def _post(self, instruction: Instruction, tensors: list[Tensor], posted_ns: int) -> Transfer:
        source, tag = instruction.row.peer or "", _TAGS * instruction.mate + _PAYLOAD
        works = [self.transport.receive(source, tag, tensor) for tensor in tensors]
        return Transfer(instruction, posted_ns, works)

    def reduce(
        self,
        instruction: Instruction,
        flat: Tensor,
        scratch: Tensor,
        ready_ns: int,
        around: tuple[Callable[[], None], Callable[[], None]] | None = None,
    ) -> None:
        """Queue a collective on gradients.

        Parameters
        ----------
        instruction
            The collective.
        flat, scratch
            The gradients, and a buffer for the largest part that is passed on.
        ready_ns
            When the computation before it was done.
        around
            Called just before, and when the sum is there.
        """
        parts = parts_of(flat, len(instruction.row.ring))
        self._put(Transfer(instruction, ready_ns, parts=parts, scratch=scratch, around=around))

    def exchange(self, instruction: Instruction, parts: list[Tensor], scratch: Tensor, ready_ns: int) -> Span:
        """Carry out a collective inside a stage, whose computation waits for it; return its start and end.

        Parameters
        ----------
        instruction
            The collective.
        parts, scratch
            The part of each member, in ring order, and a buffer for the largest.
        ready_ns
            When the computation before it was done.
        """
        span = self._reduce(Transfer(instruction, ready_ns, parts=parts, scratch=scratch))
        with self._changed:
            self.spans[instruction.index] = span
        return span

    def wait(self, index: int) -> int:
        """Wait until a transfer is decided and has really arrived; return its end."""
        posted = self._posted.pop(index, None)
        if posted is not None:
            self.spans[index] = self._receive(posted)
        elif index not in self.spans:
            self._wait_for(lambda: index in self.spans)
        return self.spans[index][1]

    def drain(self) -> int:
        """Wait for everything; return when the last transfer ends, 0 if there was none."""
        for index in list(self._posted):
            self.wait(index)
        if self._given:
            self._wait_for(lambda: self._given == 0)
        self.transport.flush()
        return max((end for _, end in self.spans.values()), default=0)

    def _wait_for(self, done: Callable[[], bool]) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: done() or self._error is not None, self.limit_s):
                raise TimeoutError(f"no answer of the link thread within {self.limit_s:.0f} s")
        if self._error is not None:
            raise self._error

    def _put(self, transfer: Transfer) -> None:
        with self._changed:
            self._given += 1
        self._queue.put(transfer)

    def _serve(self) -> None:
        sharpen()
        torch.set_num_threads(1)
        while (transfer := self._next()) is not None:
            try:
                collective = transfer.parts is not None
                planned = self._reduce(transfer) if collective else self._receive(transfer)
                span = self._done(transfer, planned)
            except BaseException as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            with self._changed:
                self.spans[transfer.instruction.index] = span
                self._given -= 1
                self._changed.notify_all()

    def _next(self) -> Transfer | None:
        """Return the next transfer to serve; ``None`` at the end."""
        return self._queue.get()

    def _receive(self, transfer: Transfer) -> Span:
        self._arrive(transfer)
        return transfer.posted_ns, now_ns()

    def _arrive(self, transfer: Transfer) -> None:
        for work in transfer.works:
            self.transport.wait(transfer.instruction.row.peer or "", work)

    def _done(self, transfer: Transfer, span: Span) -> Span:
        """Return when a transfer of the thread really was, given what it was to be."""
        return span

    def _reduce(self, transfer: Transfer) -> Span:
        start = now_ns()
        self._all_reduce(transfer)
        return start, now_ns()

    def _all_reduce(self, transfer: Transfer) -> None:
        row = transfer.instruction.row
        assert transfer.parts is not None and transfer.scratch is not None
        tag = _TAGS * number_of(transfer.instruction) + _PAYLOAD
        if transfer.around is not None:
            transfer.around[0]()
        given = transfer.parts, transfer.scratch, tag
        if row.topology == "star":
            star_all_reduce(self.transport, row.ring, *given)
        else:
            ring_collective(self.transport, row.operation, row.ring, *given)
        if transfer.around is not None:
            transfer.around[1]()
            self.transport.settle(transfer.parts[0])


class PaddedLinks(Links):
    """The transfers of one worker in one step, each as long as the plan says.

    Parameters
    ----------
    transport, limit_s
        As for :class:`Links`.
    turns
        Order of all transfers on their lanes.
    dilation
        Real seconds per emulated second.
    queued
        Receives and reductions of gradients of this worker's list, by index: those the thread serves.

    Notes
    -----
    The thread serves them in the order of the Program's messages and collectives, not in that in which they
    are posted: a reduction may stand behind a receive in the list and before its message, and who waited for
    the message first would keep the reduction's other members waiting.
    """

    def __init__(
        self,
        transport: Transport,
        limit_s: float,
        turns: dict[int, Turn],
        dilation: float,
        queued: Iterable[Instruction],
    ) -> None:
        self.turns, self.dilation = turns, dilation
        self._ends: dict[int, int] = {}
        self._order = [instruction.index for instruction in sorted(queued, key=turn_of)]
        self._place = 0
        self._pending: dict[int, Transfer] = {}
        super().__init__(transport, limit_s)

    def begin(self, start_ns: int) -> None:
        """Forget the step before."""
        super().begin(start_ns)
        self._ends = {}

    def _next(self) -> Transfer | None:
        """Return the next transfer in the order of the Program; ``None`` at the end."""
        wanted = self._order[self._place] if self._order else -1
        while wanted not in self._pending:
            transfer = self._queue.get()
            if transfer is None:
                return None
            self._pending[transfer.instruction.index] = transfer
        self._place = (self._place + 1) % len(self._order)
        return self._pending.pop(wanted)

    def send(self, instruction: Instruction, tensors: list[Tensor], ready_ns: int) -> None:
        """Begin to send a message, its stamp first."""
        self.transport.tell(instruction.row.peer or "", _TAGS * instruction.index + _HEADER, ready_ns)
        super().send(instruction, tensors, ready_ns)

    def receive(self, instruction: Instruction, tensors: list[Tensor], posted_ns: int) -> None:
        """Post a receive and that of its stamp; the thread decides when it starts."""
        transfer = self._post(instruction, tensors, posted_ns)
        source, tag = instruction.row.peer or "", _TAGS * instruction.mate + _HEADER
        transfer.header = self.transport.expect(source, tag)
        self._put(transfer)

    def _receive(self, transfer: Transfer) -> Span:
        row = transfer.instruction.row
        assert transfer.header is not None
        ready = max(transfer.header(), transfer.posted_ns)
        span = self._decide(self.turns[transfer.instruction.mate], ready, row.duration_s)
        self._arrive(transfer)
        return span

    def _decide(self, turn: Turn, ready_ns: int, duration_s: float) -> Span:
        """Return start and end of a transfer, and tell them to those who come after it on its lanes."""
        start = max(ready_ns, self.start_ns)
        for number, decider in turn.before:
            here = decider == self.transport.device
            tag = _TAGS * turn.number + _TURN
            start = max(start, self._end_of(number) if here else self.transport.hear(decider, tag))
        end = start + round(duration_s * self.dilation * 1e9)
        with self._changed:
            self._ends[turn.number] = end
            self._changed.notify_all()
        for number, decider in turn.after:
            if decider != self.transport.device:
                self.transport.tell(decider, _TAGS * number + _TURN, end)
        return start, end

    def _end_of(self, number: int) -> int:
        """Wait until the other thread of this worker has decided a transfer; return its end."""
        self._wait_for(lambda: number in self._ends)
        return self._ends[number]

    def _reduce(self, transfer: Transfer) -> Span:
        """Carry out a collective, and find out when it was to be; stamps travel while the data does."""
        row, number = transfer.instruction.row, number_of(transfer.instruction)
        leader, others = row.ring[0], row.ring[1:]
        header, reply = _TAGS * number + _HEADER, _TAGS * number + _REPLY
        if self.transport.device == leader:
            stamps = [self.transport.expect(name, header) for name in others]
            self._all_reduce(transfer)
            ready = max([transfer.posted_ns, *(stamp() for stamp in stamps)])
            span = self._decide(self.turns[number], ready, row.duration_s)
            for name in others:
                self.transport.tell(name, reply, span[0])
            return span
        self.transport.tell(leader, header, transfer.posted_ns)
        told = self.transport.expect(leader, reply)
        self._all_reduce(transfer)
        start = told()
        return start, start + round(row.duration_s * self.dilation * 1e9)

    def _done(self, transfer: Transfer, span: Span) -> Span:
        """Note what a transfer of the thread really took; it ends later if it was late."""
        if not transfer.works and transfer.parts is None:
            return span  # nothing was sent
        instruction, now = transfer.instruction, now_ns()
        start, end = span
        self.taken_ns[instruction.index] = now - start
        if now > end:
            self.overruns.append((instruction.row, (now - end) * 1e-9))
        return start, max(now, end)


def turn_of(instruction: Instruction) -> int:
    """Return the number under which a receive or a collective has its turn."""
    return instruction.mate if instruction.row.kind == Kind.RECV else number_of(instruction)


def number_of(instruction: Instruction) -> int:
    """Return the number of a collective: the index of its first member's row."""
    row = instruction.row
    return instruction.index - row.ring.index(row.device)
