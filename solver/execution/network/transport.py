"""Transport: point-to-point messages over gloo, with payload bytes counted by link."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from solver.errors import RunError

Work = dist.Work

_GATHER = 2**30
"""Tag beyond those of a Program's instructions."""


class Group(Protocol):
    """What is used of gloo's process groups, whose own types say nothing of it."""

    def send(self, tensors: list[Tensor], peer: int, tag: int) -> Work:
        """Begin to send a tensor to a process rank."""

    def recv(self, tensors: list[Tensor], peer: int, tag: int) -> Work:
        """Post a receive from a process rank."""


class LinkError(RunError):
    """A message did not come or go.

    Parameters
    ----------
    peer
        Device at the other end.
    reason
        What gloo says.
    """

    def __init__(self, peer: str, reason: str) -> None:
        self.peer = peer
        self.reason = reason
        super().__init__(f"link to {peer}: {reason}")


class Transport:
    """Messages of one worker.

    Parameters
    ----------
    members
        Devices in the order of their process ranks.
    device
        The worker's own.
    limit_s
        Longest wait for any message.
    group
        The workers' connections; ``None`` for a worker that is alone.
    """

    def __init__(self, members: Sequence[str], device: str, limit_s: float, group: Group | None) -> None:
        self.rank = {name: i for i, name in enumerate(members)}
        self.device = device
        self.limit = timedelta(seconds=limit_s)
        self.group = group
        self.sent_bytes: dict[str, int] = {}
        self._counting = threading.Lock()
        self._pending: list[tuple[str, Work, Tensor]] = []

    def send(self, target: str, tag: int, tensor: Tensor) -> None:
        """Begin to send a payload; its bytes are counted.

        Parameters
        ----------
        target
            Device.
        tag
            Number the receiver asks for.
        tensor
            Contiguous; must not change until :meth:`flush`.
        """
        size = tensor.numel() * tensor.element_size()
        with self._counting:  # the thread of collectives sends too
            self.sent_bytes[target] = self.sent_bytes.get(target, 0) + size
        self._send(target, tag, tensor)

    def _send(self, target: str, tag: int, tensor: Tensor) -> None:
        if tensor.numel() == 0:
            return
        assert self.group is not None
        try:
            work = self.group.send([tensor], self.rank[target], tag)
        except RuntimeError as error:
            raise LinkError(target, _reason(error)) from error
        with self._counting:
            self._pending.append((target, work, tensor))

    def settle(self, tensor: Tensor) -> None:
        """Wait until what was sent of a tensor has left, so that it may change."""
        storage = tensor.untyped_storage()._cdata
        with self._counting:
            own = [entry for entry in self._pending if entry[2].untyped_storage()._cdata == storage]
            self._pending = [e for e in self._pending if e[2].untyped_storage()._cdata != storage]
        for target, work, _ in own:
            self.wait(target, work)

    def receive(self, source: str, tag: int, tensor: Tensor) -> Work | None:
        """Post a receive; ``None`` if there is nothing to receive."""
        if tensor.numel() == 0:
            return None
        assert self.group is not None
        try:
            work = self.group.recv([tensor], self.rank[source], tag)
        except RuntimeError as error:
            raise LinkError(source, _reason(error)) from error
        return work

    def wait(self, peer: str, work: Work | None) -> None:
        """Wait for a message from or to a peer; once only, since gloo forgets what it has told."""
        if work is None:
            return
        try:
            work.wait(self.limit)
        except RuntimeError as error:
            raise LinkError(peer, _reason(error)) from error

    def tell(self, target: str, tag: int, moment_ns: int) -> None:
        """Send a moment; control traffic, not counted."""
        self._send(target, tag, torch.tensor([moment_ns], dtype=torch.int64))

    def hear(self, source: str, tag: int) -> int:
        """Wait for a moment that a peer tells."""
        return self.expect(source, tag)()

    def expect(self, source: str, tag: int) -> Callable[[], int]:
        """Post the receive of a moment that a peer tells; return what waits for it."""
        tensor = torch.empty(1, dtype=torch.int64)
        work = self.receive(source, tag, tensor)

        def heard() -> int:
            self.wait(source, work)
            return int(tensor.item())

        return heard

    def tell_bytes(self, target: str, tag: int, content: Tensor) -> None:
        """Send bytes of any number; control traffic, not counted.

        Parameters
        ----------
        target
            Device.
        tag
            Number the receiver asks for.
        content
            (num_bytes,), unsigned bytes; must not change until :meth:`flush`.
        """
        self._send(target, tag, torch.tensor([len(content)], dtype=torch.int64))
        self._send(target, tag, content)

    def hear_bytes(self, source: str, tag: int) -> Tensor:
        """Wait for the bytes that a peer tells."""
        size = torch.empty(1, dtype=torch.int64)
        self.wait(source, self.receive(source, tag, size))
        content = torch.empty(int(size.item()), dtype=torch.uint8)
        self.wait(source, self.receive(source, tag, content))
        return content

    def all_gather(self, own: Tensor) -> list[Tensor]:
        """Return what every worker brings, in the order of their ranks; all wait for all.

        Parameters
        ----------
        own
            This worker's, of the same shape everywhere.

        Notes
        -----
        By way of the first worker, with our own time limit: a worker may have to wait for a whole padded
        step, and the limit of a process group cannot follow the dilation.
        """
        members = list(self.rank)
        table = torch.empty((len(members), *own.shape), dtype=own.dtype)
        table[self.rank[self.device]] = own
        first, others = members[0], members[1:]
        if self.device == first:
            works = [self.receive(name, _GATHER, table[self.rank[name]]) for name in others]
            for name, work in zip(others, works, strict=True):
                self.wait(name, work)
            for name in others:
                self._send(name, _GATHER, table)
        else:
            self._send(first, _GATHER, own)
            self.wait(first, self.receive(first, _GATHER, table))
        self.flush()
        return list(table)

    def flush(self) -> None:
        """Wait until everything that was sent has left."""
        for target, work, _ in self._pending:
            self.wait(target, work)
        self._pending.clear()


def _reason(error: RuntimeError) -> str:
    """Return what gloo says, without the file of its source and its advice."""
    return str(error).split("] ", 1)[-1].split(". This is typically", 1)[0]
