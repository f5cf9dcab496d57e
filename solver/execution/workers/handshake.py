"""Handshake: processes on several machines make sure, before anything starts, that they mean the same run."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from torch.distributed.distributed_c10d import Store

from models.errors import Fault, InputError
from solver.errors import RunError

_FAREWELL_S = 5.0
"""A process whose input is wrong ends when all have read what it said, or after so long."""


@dataclass(frozen=True)
class Hello:
    """What a process says of itself.

    Parameters
    ----------
    facts
        What must be the same everywhere, in words, by name.
    fault
        Why this process cannot take part; ``None`` if it can.
    begin
        Words of the order that only the first process knows: where the run begins.
    host
        Where it is.
    """

    facts: Mapping[str, str] = field(default_factory=dict)
    fault: str | None = None
    begin: dict[str, Any] | None = None
    host: str = field(default_factory=platform.node)


def agree(store: Store, process_rank: int, num_processes: int, own: Hello, limit_s: float) -> Hello:
    """Tell all others who we are; return what the first process says.

    Parameters
    ----------
    store
        Where all processes meet.
    process_rank, num_processes
        Place of this process, and how many there are.
    own
        What it says.
    limit_s
        Longest wait for the others.

    Raises
    ------
    InputError
        On every process the same: who cannot take part and why, and who differs from the first in what.
    RunError
        If some do not come.
    """
    store.set(f"hello/{process_rank}", json.dumps(asdict(own)))
    found = [Hello(**json.loads(text)) for text in _texts(store, num_processes, limit_s)]
    faults = [fault for rank, hello in enumerate(found) for fault in _faults(rank, hello, found[0])]
    if not faults:
        return found[0]
    store.set(f"read/{process_rank}", "")
    with suppress(RuntimeError):
        store.wait([f"read/{rank}" for rank in range(num_processes)], timedelta(seconds=_FAREWELL_S))
    raise InputError(faults, "run on several machines")


def _texts(store: Store, num_processes: int, limit_s: float) -> list[bytes]:
    keys = [f"hello/{rank}" for rank in range(num_processes)]
    try:
        store.wait(keys, timedelta(seconds=limit_s))
    except RuntimeError as error:
        missing = [str(rank) for rank, key in enumerate(keys) if not store.check([key])]
        message = f"process {', '.join(missing)} of {num_processes} gave no sign within {limit_s:g} s"
        raise RunError(message) from error
    return [store.get(key) for key in keys]


def _faults(rank: int, hello: Hello, first: Hello) -> Iterator[Fault]:
    name = f"process {rank} on {hello.host}"
    if hello.fault is not None:
        yield Fault(name, hello.fault)
    if hello.fault is None and first.fault is None:
        for word in {**first.facts, **hello.facts}:
            ours, theirs = hello.facts.get(word, "none"), first.facts.get(word, "none")
            if ours != theirs:
                yield Fault(name, f"its {word} is {ours}, that of process 0 on {first.host} is {theirs}")
