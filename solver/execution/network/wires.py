"""Wires: the gloo connections among the workers of one run, which can be cut at once."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from torch.distributed.distributed_c10d import Store

from solver.execution.network.transport import Group


class Wires:
    """A process group of its own, apart from torch's default one.

    Parameters
    ----------
    store
        Where its members find one another.
    process_rank, num_processes
        Place of this worker among them, and how many there are.
    limit_s
        Longest wait for the others, and for a message that gives no limit of its own.

    Notes
    -----
    gloo has no way to end a wait for a peer that says nothing: neither ``abort`` nor ``shutdown`` of the
    group does. :meth:`cut` shuts the sockets below it down, upon which gloo ends every wait with an error,
    here and at the peers. Whoever still holds an old group can never reach a new one: they share no socket.
    """

    def __init__(self, store: Store, process_rank: int, num_processes: int, limit_s: float) -> None:
        before = _sockets()
        limit = timedelta(seconds=limit_s)
        group: Any = dist.ProcessGroupGloo(store, process_rank, num_processes, limit)
        self.group: Group = group
        self._sockets = _sockets() - before

    def cut(self) -> None:
        """Shut all connections down; waits of other threads end at once."""
        for handle, inode in self._sockets:
            with suppress(OSError):
                if os.fstat(handle).st_ino == inode:  # the number may belong to another file by now
                    _shut_down(handle)


def _shut_down(handle: int) -> None:
    with socket.socket(fileno=os.dup(handle)) as wire:
        # gloo ends the whole process if its listening socket goes.
        if not wire.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            wire.shutdown(socket.SHUT_RDWR)


def _sockets() -> set[tuple[int, int]]:
    """Return (number, inode) of every open socket of this process."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            about = os.fstat(int(name))
            if stat.S_ISSOCK(about.st_mode):
                found.add((int(name), about.st_ino))
    return found
