"""All-reduce on uneven chunks, with messages that go through memory instead of gloo."""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from solver.collective import chunks, sent_bytes
from solver.execution.network.ring import parts_of, ring_collective, scratch_for, star_all_reduce


class MemoryTransport:
    """Messages of one member, by way of queues that all members share."""

    def __init__(self, device: str, boxes: dict[tuple[str, str], queue.Queue[Tensor]]) -> None:
        self.device, self.boxes = device, boxes
        self.sent: dict[str, int] = defaultdict(int)

    def send(self, target: str, tag: int, tensor: Tensor) -> None:
        self.sent[target] += tensor.numel() * tensor.element_size()
        self.boxes[self.device, target].put(tensor.clone())

    def receive(self, source: str, tag: int, tensor: Tensor) -> tuple[str, Tensor]:
        return source, tensor

    def wait(self, peer: str, work: tuple[str, Tensor]) -> None:
        source, tensor = work
        tensor.copy_(self.boxes[source, self.device].get(timeout=5))


def reduce(members: list[str], size: int, star: bool) -> tuple[list[Tensor], list[dict[str, int]]]:
    boxes: dict[tuple[str, str], queue.Queue[Tensor]] = defaultdict(queue.Queue)
    transports = [MemoryTransport(name, boxes) for name in members]
    flats = [torch.arange(size, dtype=torch.float64) * (k + 1) for k in range(len(members))]
    num = len(members)
    function: Any = star_all_reduce if star else partial(ring_collective, operation="all_reduce")
    threads = [
        threading.Thread(
            target=function,
            args=(t,),
            kwargs={
                "ring": members,
                "parts": parts_of(flat, num),
                "scratch": scratch_for(flat, num),
                "tag": 0,
            },
        )
        for t, flat in zip(transports, flats, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return flats, [dict(t.sent) for t in transports]


@pytest.mark.parametrize("size", [2, 7, 12])
@pytest.mark.parametrize("num_members", [2, 3, 5])
def test_ring_adds_up_and_sends_what_the_program_counts(num_members: int, size: int) -> None:
    members = [f"d{i}" for i in range(num_members)]
    flats, sent = reduce(members, size, star=False)
    expected = torch.arange(size, dtype=torch.float64) * sum(range(1, num_members + 1))
    assert all(torch.equal(flat, expected) for flat in flats)
    counted = sent_bytes("all_reduce", chunks(size * 8, num_members, 8))
    for k, name in enumerate(members):
        assert sum(sent[k].values()) == counted[k]
        assert set(sent[k]) == {members[(k + 1) % num_members]} - {name}


def test_star_adds_up_at_the_first_member() -> None:
    flats, sent = reduce(["s", "a", "b"], 7, star=True)
    assert all(torch.equal(flat, torch.arange(7, dtype=torch.float64) * 6) for flat in flats)
    assert sent == [{"a": 56, "b": 56}, {"s": 56}, {"s": 56}]


def test_parts_differ_by_one_item_at_most() -> None:
    assert [len(part) for part in parts_of(torch.zeros(7), 3)] == [3, 2, 2]


@pytest.mark.parametrize("sizes", [[3, 5, 1], [2, 0, 4, 1], [6, 1]])
def test_uneven_parts_are_gathered_and_scattered_as_counted(sizes: list[int]) -> None:
    num, total = len(sizes), sum(sizes)
    members = [f"d{i}" for i in range(num)]
    for operation in ("all_gather", "reduce_scatter"):
        boxes: dict[tuple[str, str], queue.Queue[Tensor]] = defaultdict(queue.Queue)
        transports = [MemoryTransport(name, boxes) for name in members]
        flats = [torch.arange(total, dtype=torch.float64) * (k + 1) for k in range(num)]
        parts = [list(flat.split(sizes)) for flat in flats]
        threads = [
            threading.Thread(
                target=ring_collective,
                args=(transport, operation, members, own, torch.empty(max(sizes), dtype=torch.float64), 0),
            )
            for transport, own in zip(transports, parts, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        whole = torch.arange(total, dtype=torch.float64).split(sizes)
        for k in range(num):
            if operation == "all_gather":
                assert all(torch.equal(parts[k][j], whole[j] * (j + 1)) for j in range(num))
            else:
                assert torch.equal(parts[k][k], whole[k] * sum(range(1, num + 1)))
        counted = sent_bytes(operation, [size * 8 for size in sizes])
        assert [sum(transport.sent.values()) for transport in transports] == counted
