"""Connections of a group of its own: they can be cut, and a new group is apart from the old one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import Store

from solver.execution.network.transport import LinkError, Transport
from solver.execution.network.wires import Wires


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")


def pair(store: Store, name: str) -> list[Wires]:
    """Both ends of a group of two, in one process."""
    with ThreadPoolExecutor(2) as threads:
        ends = [
            threads.submit(Wires, dist.PrefixStore(name, store), rank, 2, 20.0)  # type: ignore[attr-defined]
            for rank in (0, 1)
        ]
        return [end.result() for end in ends]


def test_cut_ends_a_wait_that_nobody_would_answer() -> None:
    ends = pair(dist.HashStore(), "one")  # type: ignore[attr-defined]
    transport = Transport(("a", "b"), "a", 20.0, ends[0].group)
    work = transport.receive("b", 1, torch.empty(3))
    cutter = threading.Timer(0.2, ends[0].cut)
    cutter.start()
    with pytest.raises(LinkError, match="Connection closed"):
        transport.wait("b", work)
    cutter.join()


def test_group_of_a_later_generation_hears_nothing_of_an_earlier_one() -> None:
    store = dist.HashStore()  # type: ignore[attr-defined]
    old, new = pair(store, "one"), pair(store, "two")
    late = old[0].group.send([torch.full((2,), 9.0)], 1, 5)
    fresh = new[0].group.send([torch.full((2,), 1.0)], 1, 5)
    found = torch.empty(2)
    new[1].group.recv([found], 0, 5).wait(timedelta(seconds=10))
    assert found.tolist() == [1.0, 1.0]
    old[1].group.recv([found], 0, 5).wait(timedelta(seconds=10))
    assert found.tolist() == [9.0, 9.0]
    late.wait()
    fresh.wait()
