"""Hands: what a coordinator does to the processes of a local pool, faults included."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from solver.execution.elastic.drill import Striker
from solver.execution.elastic.strikes import Strike
from solver.execution.order import Order
from solver.execution.workers.pool import LocalPool


class Hands(Striker, Protocol):
    """What a coordinator can do to processes; each device has one."""

    def start(self, device: str, host: str, port: int) -> None:
        """Start a device's process, which will say hello."""

    def epitaph(self, device: str) -> str:
        """Return how a device's process ended."""

    def reap(self, device: str) -> None:
        """Clean up after a process that has ended."""


class PoolHands:
    """One worker of a pool for each device.

    Parameters
    ----------
    pool
        Has the processes.
    devices
        By place.
    order
        The run.
    """

    def __init__(self, pool: LocalPool, devices: Sequence[str], order: Order) -> None:
        self.pool, self.order = pool, order.to_json()
        self.place = {name: i for i, name in enumerate(devices)}

    def start(self, device: str, host: str, port: int) -> None:
        """Have a process take part; a new one is started if there is none."""
        told = {"device": device, "host": host, "port": port, "order": self.order}
        self.pool.lend(self.place[device], {"elastic": told})

    def epitaph(self, device: str) -> str:
        """Return how a process ended."""
        return self.pool.epitaph(self.place[device])

    def reap(self, device: str) -> None:
        """End a process and clean up after it."""
        self.pool.end(self.place[device])

    def strike(self, strike: Strike) -> None:
        """Kill or freeze a process, or shut the gate that its traffic passes."""
        if strike.kind in ("silence", "link"):
            self._turn("shut", strike)
        else:
            self._signal(strike.device, signal.SIGKILL if strike.kind == "kill" else signal.SIGSTOP)

    def heal(self, strike: Strike) -> None:
        """Let a process go on, or open the gate."""
        if strike.kind in ("silence", "link"):
            self._turn("open", strike)
        elif strike.kind == "freeze":
            self._signal(strike.device, signal.SIGCONT)

    def _turn(self, how: str, strike: Strike) -> None:
        """Shut or open a gate, or for one link those of both its ends."""
        self.pool.tell(self.place[strike.device], {"gate": how, "peer": strike.peer})
        if strike.peer is not None:
            self.pool.tell(self.place[strike.peer], {"gate": how, "peer": strike.device})

    def _signal(self, device: str, number: int) -> None:
        pid = self.pool.pids().get(self.place[device])
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
