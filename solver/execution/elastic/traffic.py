"""Traffic: what a member has sent and what it waits for, so that a message that is lost is noticed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

OVERDUE_S = 2.0
"""A message that both its sender sent and its receiver waits for since so long is lost."""


@dataclass(frozen=True)
class Due:
    """A message that is waited for.

    Parameters
    ----------
    source, tag, count
        It is the so-manieth under this tag from this device.
    """

    source: str
    tag: int
    count: int


class Traffic:
    """The messages of one member in one generation; any thread may tell it.

    Notes
    -----
    That a message is late says little: its sender may compute. That it was sent and has not come says all:
    the receiver asks, by way of the coordinator, and the sender knows.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: dict[tuple[str, int], tuple[int, float]] = {}
        self._posted: dict[tuple[str, int], int] = {}
        self._due: dict[int, Due] = {}
        self._waits: dict[Due, float] = {}

    def sent(self, target: str, tag: int) -> None:
        """Note that a message goes off."""
        with self._lock:
            count, _ = self._sent.get((target, tag), (0, 0.0))
            self._sent[target, tag] = count + 1, time.monotonic()

    def posted(self, source: str, tag: int, work: object) -> None:
        """Note that the receive of a message is posted.

        Parameters
        ----------
        source, tag
            As :meth:`solver.execution.network.transport.Transport.receive`.
        work
            What is waited for.
        """
        with self._lock:
            count = self._posted.get((source, tag), 0) + 1
            self._posted[source, tag] = count
            self._due[id(work)] = Due(source, tag, count)

    @contextmanager
    def waiting(self, work: object) -> Iterator[None]:
        """Wait for a message, inside: from now on it is due."""
        with self._lock:
            due = self._due.pop(id(work), None)
            if due is not None:
                self._waits[due] = time.monotonic()
        try:
            yield
        finally:
            if due is not None:
                with self._lock:
                    self._waits.pop(due, None)

    def overdue(self) -> list[Due]:
        """Return the messages that are waited for too long."""
        now = time.monotonic()
        with self._lock:
            return [due for due, since in self._waits.items() if now - since > OVERDUE_S]

    def has_long_sent(self, target: str, tag: int, count: int) -> bool:
        """Return whether a message went off so long ago that it must have come.

        Parameters
        ----------
        target, tag, count
            As in :class:`Due`, seen from its sender.
        """
        with self._lock:
            sent, when = self._sent.get((target, tag), (0, 0.0))
            return sent > count or (sent == count and time.monotonic() - when > OVERDUE_S)
