"""Processes that do not mean the same run all hear of it."""

from __future__ import annotations

import threading

import pytest
from torch.distributed import HashStore

from models.errors import InputError
from solver.errors import RunError
from solver.execution.workers.handshake import Hello, agree


def answers(*hellos: Hello) -> list[Hello | InputError]:
    store, found = HashStore(), {}

    def speak(rank: int) -> None:
        try:
            found[rank] = agree(store, rank, len(hellos), hellos[rank], 5.0)
        except InputError as error:
            found[rank] = error

    threads = [threading.Thread(target=speak, args=(rank,)) for rank in range(len(hellos))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[rank] for rank in range(len(hellos))]


def test_all_hear_where_the_first_one_begins() -> None:
    first = Hello({"plan": "1"}, begin={"seed": 3}, host="x")
    assert answers(first, Hello({"plan": "1"}, host="y")) == [first, first]


def test_versions_and_faults_are_told_with_the_process_and_its_host() -> None:
    found = answers(
        Hello({"version of torch": "2.13"}, host="x"),
        Hello({"version of torch": "2.12"}, host="y"),
        Hello(fault="no such plan", host="z"),
    )
    for one in found:
        assert isinstance(one, InputError)
        assert [(fault.path, fault.message) for fault in one.faults] == [
            ("process 1 on y", "its version of torch is 2.12, that of process 0 on x is 2.13"),
            ("process 2 on z", "no such plan"),
        ]


def test_who_does_not_come_is_named() -> None:
    with pytest.raises(RunError, match=r"process 1, 2 of 3 gave no sign within 0\.2 s"):
        agree(HashStore(), 0, 3, Hello(), 0.2)
