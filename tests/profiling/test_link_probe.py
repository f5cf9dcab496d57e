"""The link probe over loopback."""

import socket
import threading

import pytest

from models.errors import InputError
from solver.profiling.link_probe import LENGTH, answer, listen, probe


def test_a_probe_is_answered_and_everything_received():
    with listen(0, 10, host="127.0.0.1") as server:
        received = []
        thread = threading.Thread(target=lambda: received.append(answer(server, 10)))
        thread.start()
        found = probe("127.0.0.1", server.getsockname()[1], time_limit_s=1)
        thread.join(10)
    assert found.latency_s > 0
    assert found.bytes_per_s > 0
    # Messages double from 64 KiB: together twice the last one, less the first.
    assert received == [2 * found.num_bytes - 2**16]


def test_a_port_in_use_is_said():
    with listen(0, 1, host="127.0.0.1") as server:
        port = server.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} is in use; give another one"):
            listen(port, 1, host="127.0.0.1")


def test_nobody_calls():
    with listen(0, 0.01, host="127.0.0.1") as server:
        assert answer(server, 0.01) == -1


def test_nobody_answers():
    with listen(0, 1, host="127.0.0.1") as server:
        port = server.getsockname()[1]
    with pytest.raises(InputError, match=f"127.0.0.1:{port} does not answer"):
        probe("127.0.0.1", port, time_limit_s=1)


def test_a_caller_that_announces_too_much_is_hung_up_on():
    with listen(0, 10, host="127.0.0.1") as server:
        thread = threading.Thread(target=answer, args=(server, 10))
        thread.start()
        with socket.create_connection(server.getsockname(), timeout=10) as peer:
            peer.sendall(LENGTH.pack(2**60))
            assert peer.recv(1) == b""
        thread.join(10)
