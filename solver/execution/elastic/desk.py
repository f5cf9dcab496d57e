"""Desk: where the members of an elastic run connect, and what is known of each of them."""

from __future__ import annotations

import queue
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from solver.execution.elastic.line import Line, Message

_LISTEN_S = 0.5


@dataclass
class Mate:
    """A member as the coordinator sees it.

    Parameters
    ----------
    device
        Its name.
    line
        To it; ``None`` while it is not connected.
    state
        ``absent``: no connection; ``idle``: ready to be taken in; ``busy``: in the generation; ``stopped``:
        has left it; ``done``: has finished the run; ``outdated``: given up, what it says is of the past.
    heard_s
        When it last said anything.
    passed, holds, kept
        What it said when it stopped: steps all had done, generations whose blocks it has, and these with the
        earlier numbers of steps after which it still has them.
    copies
        Pipeline, stage and number of steps of the copies it keeps for others, as it said then.
    pid
        Its process.
    stopped
        How it told that it had stopped.
    is_warned
        Whether it was told that it is outdated.
    """

    device: str
    line: Line | None = None
    state: str = "absent"
    heard_s: float = 0.0
    passed: int = 0
    holds: tuple[int, ...] = ()
    kept: frozenset[tuple[int, int]] = frozenset()
    copies: frozenset[tuple[int, int, int]] = frozenset()
    pid: int = -1
    stopped: Message = field(default_factory=dict)
    is_warned: bool = False

    def learn(self, message: Message) -> None:
        """Take in what it says of the weights it has.

        Parameters
        ----------
        message
            With ``passed``, ``holds``, ``kept`` and ``copies``.
        """
        self.passed = message["passed"]
        self.holds = tuple(message["holds"])
        self.kept = frozenset((generation, version) for generation, version in message["kept"])
        self.copies = frozenset((p, s, version) for p, s, version in message["copies"])

    def tell(self, message: Message) -> None:
        """Send it a message."""
        if self.line is not None:
            self.line.send(message)


Heard = tuple[str, Line, Message | None]
"""Device, its line, and what it said; ``None`` when the line ended."""


class Desk:
    """Where members connect: a TCP port, and everything they say in one queue; a context manager."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._server = socket.create_server((host, 0))
        self._server.settimeout(_LISTEN_S)
        self.host, self.port = host, int(self._server.getsockname()[1])
        self.heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._lines: list[Line] = []
        self._open = True
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while self._open:
            try:
                connection, _ = self._server.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            line = Line(connection)
            self._lines.append(line)
            reader = threading.Thread(target=self._read, args=(line,), daemon=True)
            self._threads.append(reader)
            reader.start()

    def _read(self, line: Line) -> None:
        device = ""
        while (message := line.receive()) is not None:
            device = message.get("hello", device)
            self.heard.put((device, line, message))
        self.heard.put((device, line, None))

    def listen(self, seconds: float) -> Heard | None:
        """Return what was said next, ``None`` if nobody says anything for a time."""
        with suppress(queue.Empty):
            return self.heard.get(timeout=seconds)
        return None

    def close(self) -> None:
        """End all connections and give the port back."""
        self._open = False
        self._server.close()
        for line in self._lines:
            line.close()
        for thread in self._threads:
            thread.join(2 * _LISTEN_S)
