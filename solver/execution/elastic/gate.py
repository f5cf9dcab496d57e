"""Gate: lets all traffic of one worker through, or none, as a link that goes silent would."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from torch import Tensor

from solver.execution.network.transport import Group, LinkError, Transport, Work

_PATIENCE_S = 600.0


class Gate:
    """Open, until somebody shuts it."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()

    @property
    def is_open(self) -> bool:
        """Whether traffic passes."""
        return self._open.is_set()

    def shut(self) -> None:
        """Let nothing through."""
        self._open.clear()

    def open(self) -> None:
        """Let everything through again."""
        self._open.set()

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
    """

    def __init__(
        self, members: Sequence[str], device: str, limit_s: float, group: Group | None, gate: Gate
    ) -> None:
        super().__init__(members, device, limit_s, group)
        self.gate = gate

    def _send(self, target: str, tag: int, tensor: Tensor) -> None:
        self._pass(target)
        super()._send(target, tag, tensor)

    def receive(self, source: str, tag: int, tensor: Tensor) -> Work | None:
        """Post a receive, if the gate is open."""
        self._pass(source)
        return super().receive(source, tag, tensor)

    def wait(self, peer: str, work: Work | None) -> None:
        """Wait for a message; what comes while the gate is shut did not come."""
        try:
            super().wait(peer, work)
        finally:
            self._pass(peer)

    def _pass(self, peer: str) -> None:
        if self.gate.wait():
            raise LinkError(peer, "the link was silent")
