"""Gate: lets the traffic of one worker through, or none of it, or none of one link, as if it were silent."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from torch import Tensor

from solver.execution.elastic.traffic import Traffic
from solver.execution.network.transport import Group, LinkError, Transport, Work

_PATIENCE_S = 600.0


class Gate:
    """Open, until somebody shuts it."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self._cut: set[str] = set()

    @property
    def is_open(self) -> bool:
        """Whether traffic passes, but for single links."""
        return self._open.is_set()

    def shut(self, peer: str | None = None) -> None:
        """Let nothing through, or nothing to one device."""
        if peer is None:
            self._open.clear()
        else:
            self._cut.add(peer)

    def open(self, peer: str | None = None) -> None:
        """Let everything through again, or everything to one device."""
        if peer is None:
            self._open.set()
        else:
            self._cut.discard(peer)

    def leads_to(self, peer: str) -> bool:
        """Return whether what is sent to a device arrives."""
        return peer not in self._cut

    def wait(self) -> bool:
        """Wait until it is open; return whether one had to wait."""
        if self._open.is_set():
            return False
        self._open.wait(_PATIENCE_S)
        return True


class GatedTransport(Transport):
    """Messages that pass a gate; what is under way while it is shut is lost with its connections.

    Parameters
    ----------
    members, device, limit_s, group
        As for :class:`Transport`.
    gate
        The gate.
    traffic
        Hears of every message.
    """

    def __init__(
        self,
        members: Sequence[str],
        device: str,
        limit_s: float,
        group: Group | None,
        gate: Gate,
        traffic: Traffic,
    ) -> None:
        super().__init__(members, device, limit_s, group)
        self.gate, self.traffic = gate, traffic

    def _send(self, target: str, tag: int, tensor: Tensor) -> None:
        self._pass(target)
        if tensor.numel():
            self.traffic.sent(target, tag)
        if self.gate.leads_to(target):
            super()._send(target, tag, tensor)

    def receive(self, source: str, tag: int, tensor: Tensor) -> Work | None:
        """Post a receive, if the gate is open."""
        self._pass(source)
        work = super().receive(source, tag, tensor)
        if work is not None:
            self.traffic.posted(source, tag, work)
        return work

    def wait(self, peer: str, work: Work | None) -> None:
        """Wait for a message; what comes while the gate is shut did not come."""
        try:
            with self.traffic.waiting(work):
                super().wait(peer, work)
        finally:
            self._pass(peer)

    def _pass(self, peer: str) -> None:
        if self.gate.wait():
            raise LinkError(peer, "the link was silent")
