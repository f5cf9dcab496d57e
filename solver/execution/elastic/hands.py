"""Hands: what a coordinator does to the processes of a local pool, faults included."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress

from solver.execution.order import Order
from solver.execution.workers.pool import LocalPool


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

    def strike(self, device: str, kind: str) -> None:
        """Kill or freeze a process, or shut the gate that its traffic passes."""
        if kind == "silence":
            self.pool.tell(self.place[device], {"gate": "shut"})
        else:
            self._signal(device, signal.SIGKILL if kind == "kill" else signal.SIGSTOP)

    def heal(self, device: str, kind: str) -> None:
        """Let a process go on, or open the gate."""
        if kind == "silence":
            self.pool.tell(self.place[device], {"gate": "open"})
        elif kind == "freeze":
            self._signal(device, signal.SIGCONT)

    def _signal(self, device: str, number: int) -> None:
        pid = self.pool.pids().get(self.place[device])
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
