"""Line: JSON messages over TCP, each after its length: the control plane between coordinator and members."""

from __future__ import annotations

import json
import socket
import struct
import threading
from contextlib import suppress
from typing import Any

_LENGTH = struct.Struct("!I")
_LONGEST_BYTES = 2**30
_CONNECT_S = 10.0

Message = dict[str, Any]


class Line:
    """One end of a connection; any thread may send, one may receive.

    Parameters
    ----------
    connection
        Connected TCP socket; the line owns it.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._sending = threading.Lock()

    @classmethod
    def to(cls, host: str, port: int) -> Line:
        """Connect to a coordinator."""
        return cls(socket.create_connection((host, port), _CONNECT_S))

    def send(self, message: Message) -> None:
        """Send a message; nothing happens if the other end has gone: its loss shows in :meth:`receive`."""
        content = json.dumps(message).encode()
        with self._sending, suppress(OSError):
            self._connection.sendall(_LENGTH.pack(len(content)) + content)

    def receive(self) -> Message | None:
        """Wait for a message; ``None`` when the other end has gone or does not keep to the format."""
        header = self._exactly(_LENGTH.size)
        if header is None:
            return None
        (length,) = _LENGTH.unpack(header)
        content = self._exactly(length) if length <= _LONGEST_BYTES else None
        if content is None:
            return None
        try:
            message = json.loads(content)
        except ValueError:
            return None
        return message if isinstance(message, dict) else None

    def _exactly(self, length: int) -> bytes | None:
        found = bytearray()
        while len(found) < length:
            try:
                part = self._connection.recv(min(length - len(found), 1 << 20))
            except OSError:
                return None
            if not part:
                return None
            found += part
        return bytes(found)

    def close(self) -> None:
        """End the connection; whoever waits in :meth:`receive` returns."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()
