"""Link probe: latency and rate between two machines, by a small TCP echo.

A message is its length, eight bytes, and so many bytes; the other side counts them and answers one byte. What
is received is thrown away.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from dataclasses import dataclass
from statistics import median

from models.errors import Fault, InputError

LENGTH = struct.Struct("!Q")
_MOST_PORT = 65_535
MOST_BYTES = 1 << 30
PINGS = 20
PIECE = bytes(1 << 16)


@dataclass(frozen=True)
class LinkTimes:
    """What lies between two machines.

    Parameters
    ----------
    latency_s
        Half of the median round trip of an empty message.
    bytes_per_s
        Rate of the longest message that was sent.
    num_bytes
        Its length.
    """

    latency_s: float
    bytes_per_s: float
    num_bytes: int


def listen(port: int, time_limit_s: float, host: str = "") -> socket.socket:
    """Return a socket that waits for probes.

    Parameters
    ----------
    port
        TCP port; 0 for any free one.
    time_limit_s
        How long to wait for a probe.
    host
        Address to listen on; all of them if empty.

    Raises
    ------
    InputError
        If the port is in use or not allowed.
    """
    if not 0 <= port <= _MOST_PORT:
        message = f"port {port} cannot be used: a port is at most {_MOST_PORT}"
        raise InputError([Fault("--listen", message)], "profile")
    try:
        server = socket.create_server((host, port))
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise InputError([Fault("--listen", f"port {port} {reason}; give another one")], "profile") from None
    server.settimeout(time_limit_s)
    return server


def answer(server: socket.socket, time_limit_s: float) -> int:
    """Answer a machine's probes until it hangs up; return the bytes received, -1 if nobody called."""
    try:
        peer, _ = server.accept()
    except TimeoutError:
        return -1
    received = 0
    with peer:
        peer.settimeout(time_limit_s)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (head := _exactly(peer, LENGTH.size)) is not None:
            (size,) = LENGTH.unpack(head)
            if size > MOST_BYTES or not _skip(peer, size):
                break
            received += size
            peer.sendall(b"\x06")
    return received


def probe(host: str, port: int, time_limit_s: float = 10.0) -> LinkTimes:
    """Measure the way to a machine that listens.

    Parameters
    ----------
    host, port
        Where it listens.
    time_limit_s
        Most seconds for everything; messages double until one takes a tenth of it.

    Raises
    ------
    InputError
        If it cannot be reached, or does not answer as a probe.
    """
    try:
        with socket.create_connection((host, port), timeout=time_limit_s) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            round_trip = median([_send(peer, 0) for _ in range(PINGS)][1:])
            size, seconds, spent = 1 << 16, 0.0, 0.0
            while True:
                seconds = _send(peer, size)
                spent += seconds
                if seconds > time_limit_s / 10 or spent > time_limit_s / 2 or 2 * size > MOST_BYTES:
                    break
                size *= 2
    except (OSError, EOFError, OverflowError) as error:
        message = (
            f"{host}:{port} does not answer ({error}); run `partage profile --listen {port}` there first"
        )
        raise InputError([Fault("--peer", message)], "profile") from None
    return LinkTimes(round_trip / 2, size / max(seconds - round_trip, 1e-9), size)


def _send(peer: socket.socket, size: int) -> float:
    """Send a message and wait for its answer; return the seconds."""
    began = time.perf_counter()
    peer.sendall(LENGTH.pack(size))
    left = size
    while left:
        left -= peer.send(PIECE[:left])
    if not peer.recv(1):
        raise EOFError("it hung up")
    return time.perf_counter() - began


def _exactly(peer: socket.socket, size: int) -> bytes | None:
    """Receive so many bytes; ``None`` if the peer hangs up before, or falls silent."""
    found = b""
    while len(found) < size:
        try:
            part = peer.recv(size - len(found))
        except OSError:
            return None
        if not part:
            return None
        found += part
    return found


def _skip(peer: socket.socket, size: int) -> bool:
    left = size
    while left:
        try:
            part = peer.recv(min(left, 1 << 20))
        except OSError:
            return False
        if not part:
            return False
        left -= len(part)
    return True
