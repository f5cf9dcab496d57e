"""Pool: worker processes on this machine that live on from one run to the next."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from solver.execution.clock import now_ns
from solver.execution.order import Order
from solver.execution.workers.board import Board, Note
from solver.execution.workers.nursery import Nursery

_PREFIX = "partage-pool-"
_LOCK = "lock"
_PLACES = 256
_GRACE_S = 10.0
_LOOK_S = 0.25
_STARTUP_NS = 60 * 10**9
"""A new process may be silent for so long until it has imported what it needs."""


@dataclass(frozen=True)
class Failure:
    """Why a run broke.

    Parameters
    ----------
    device
        Whose worker broke it.
    step, index
        Step and instruction it had begun; -1 for none.
    reason
        What happened to it.
    """

    device: str
    step: int
    index: int
    reason: str


@dataclass
class Outcome:
    """What came of a run.

    Parameters
    ----------
    reports
        Of every worker that could still speak, by device.
    failure
        ``None`` if all went well.
    """

    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    failure: Failure | None = None


@dataclass
class _Worker:
    pid: int
    connection: Connection
    log: Path
    started_ns: int


class LocalPool:
    """Processes for the devices of local runs; a context manager.

    Parameters
    ----------
    silence_s
        A worker that gives no sign of life for so long counts as hung.

    Notes
    -----
    Workers are forked from a process that has imported everything, see
    :mod:`solver.execution.workers.nursery`. They end when the pool closes, when its process
    ends however that happens, and after a failed run.
    """

    def __init__(self, silence_s: float = 10.0) -> None:
        self.silence_s = silence_s
        _remove_deserted()
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = _locked(self.folder)
        self.board, self._board_handle = Board.create(_PLACES)
        self._nursery: Nursery | None = None
        self._workers: dict[int, _Worker] = {}
        self._runs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers and remove what the pool keeps on disk."""
        for place in list(self._workers):
            self._end(place)
        if self._nursery is not None:
            self._nursery.close()
            self._nursery = None
        if self._board_handle >= 0:
            os.close(self._board_handle)
            self._board_handle = -1
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def pids(self) -> dict[int, int]:
        """Return the process id of every worker by its place, which is its process rank."""
        return {place: worker.pid for place, worker in self._workers.items()}

    def run(
        self,
        order: Order,
        devices: Sequence[str],
        on_event: Callable[[dict[str, Any]], None],
        stop: threading.Event | None = None,
    ) -> Outcome:
        """Carry an order out.

        Parameters
        ----------
        order
            The run.
        devices
            Those that take part, in the order of their process ranks.
        on_event
            Called with what workers tell.
        stop
            Set it, and the workers write a checkpoint after the step in work, and end.

        Returns
        -------
        Outcome
            Reports, and why it broke if it did.
        """
        for place in range(len(devices)):
            self._start(place)
        self._runs += 1
        store = self.folder / f"store{self._runs}"
        for rank in range(len(devices)):
            told = {
                "order": order.to_json(),
                "process_rank": rank,
                "num_processes": len(devices),
                "store": str(store),
            }
            self._workers[rank].connection.send_bytes(json.dumps(told).encode())
        try:
            return _Watch(self, devices, on_event, stop).outcome()
        except BaseException:
            for place in range(len(devices)):
                self._end(place)
            raise
        finally:
            store.unlink(missing_ok=True)

    def lend(self, place: int, told: dict[str, Any]) -> None:
        """Give a worker something to do outside the runs of this pool; one is started if there is none.

        Parameters
        ----------
        place
            Which worker.
        told
            What :func:`solver.execution.workers.worker.main` understands.
        """
        self._start(place)
        self.tell(place, told)

    def tell(self, place: int, told: dict[str, Any]) -> None:
        """Send a worker a message, if there is one."""
        if place in self._workers:
            with suppress(OSError):
                self._workers[place].connection.send_bytes(json.dumps(told).encode())

    def end(self, place: int) -> None:
        """End a worker, if there is one."""
        if place in self._workers:
            self._end(place)

    def _start(self, place: int) -> None:
        if place in self._workers:
            return
        if self._nursery is not None and not self._nursery.lives:
            self._nursery.close()
            self._nursery = None
        if self._nursery is None:
            self._nursery = Nursery(self.folder / "nursery.log")
        self.board.clear(place)
        log = self.folder / f"worker{place}.log"
        ours, theirs = socket.socketpair()
        with theirs:
            handles = [theirs.fileno(), self._board_handle]
            pid = self._nursery.fork([str(place), str(_PLACES)], handles, log)
        self._workers[place] = _Worker(pid, Connection(ours.detach()), log, now_ns())

    def _end(self, place: int) -> None:
        worker = self._workers.pop(place)
        worker.connection.close()
        self.kill(worker)

    def epitaph(self, place: int) -> str:
        """Return how a worker died, and what it printed last."""
        worker = self._workers[place]
        code = self.status(worker)
        if code is None:
            return "closed its connection"
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        last = worker.log.read_text(errors="replace").strip().splitlines()[-3:]
        return how + (f" ({' / '.join(last)})" if last else "")

    def status(self, worker: _Worker) -> int | None:
        """Return how a worker ended; ``None`` if it has not, or nobody knows."""
        return self._nursery.status(worker.pid) if self._nursery is not None else None

    def kill(self, worker: _Worker) -> None:
        """Kill a worker, unless it has ended: another process may have its number by now."""
        if self._nursery is not None and self._nursery.status(worker.pid, 0.0) is None:
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)


def _locked(folder: Path) -> int:
    """Lock the folder of a pool while its process lives; return the file descriptor that holds the lock."""
    handle = os.open(folder / "new", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    os.rename(folder / "new", folder / _LOCK)
    return handle


def _remove_deserted() -> None:
    """Remove the folders of pools whose process was killed: nobody holds their locks any more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            handle = os.open(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)


class _Watch:
    """Watches the workers of one run until all are done or have failed."""

    def __init__(
        self,
        pool: LocalPool,
        devices: Sequence[str],
        on_event: Callable[[dict[str, Any]], None],
        stop: threading.Event | None,
    ) -> None:
        self.pool, self.devices, self.on_event, self.stop = pool, devices, on_event, stop
        self.waiting = set(range(len(devices)))
        self.found = Outcome()
        self.failed: dict[int, dict[str, Any]] = {}
        self.dead: dict[int, str] = {}
        self.notes: dict[int, Note] = {}

    def outcome(self) -> Outcome:
        deadline = None
        while self.waiting:
            self._look()
            if (self.failed or self.dead) and deadline is None:
                deadline = time.monotonic() + _GRACE_S
            if deadline is not None and time.monotonic() > deadline:
                for place in sorted(self.waiting):
                    self._lose(place, "did not stop after the failure of another worker")
        if self.failed or self.dead:
            self.found.failure = self._failure()
            for place in (*self.failed, *self.dead):
                if place in self.pool._workers:
                    self.pool._end(place)
        return self.found

    def _look(self) -> None:
        """Take what workers say; notice who is gone or silent."""
        if self.stop is not None and self.stop.is_set():
            self.stop = None
            for place in self.waiting:
                with suppress(OSError):
                    self.pool._workers[place].connection.send_bytes(b'{"stop": true}')
        connections = {self.pool._workers[place].connection: place for place in self.waiting}
        for connection in wait(list(connections), _LOOK_S):
            place = connections[connection]  # type: ignore[index]
            try:
                self._take(place, json.loads(connection.recv_bytes()))  # type: ignore[union-attr]
            except (EOFError, OSError):
                self._lose(place, self.pool.epitaph(place))
        for place in sorted(self.waiting):
            worker = self.pool._workers[place]
            last = self.pool.board.read(place).beat_ns or worker.started_ns + _STARTUP_NS
            silence_s = (now_ns() - last) * 1e-9
            if silence_s > self.pool.silence_s:
                self._lose(place, f"hung: no sign of life for {silence_s:.1f} s")

    def _take(self, place: int, event: dict[str, Any]) -> None:
        if "done" in event:
            self.waiting.discard(place)
            self.found.reports[self.devices[place]] = event["done"]
        elif "failed" in event:
            self.waiting.discard(place)
            self.notes[place] = self.pool.board.read(place)
            self.failed[place] = event["failed"]
            if event["failed"]["report"] is not None:
                self.found.reports[self.devices[place]] = event["failed"]["report"]
        else:
            self.on_event(event)

    def _lose(self, place: int, reason: str) -> None:
        """Give a worker up; ending it lets its peers notice."""
        self.waiting.discard(place)
        self.notes[place] = self.pool.board.read(place)
        self.dead[place] = reason
        self.pool.kill(self.pool._workers[place])

    def _failure(self) -> Failure:
        """Return the first cause: who died, else who raised by itself, else whom the others missed."""
        if self.dead:
            place = next(iter(self.dead))
            reason = self.dead[place]
        else:
            own = [place for place, failed in self.failed.items() if failed["peer"] is None]
            place = next(iter(own or self.failed))
            failed = self.failed[place]
            if own or failed["peer"] not in self.devices:
                reason = f"raised {failed['reason']}"
            else:
                other = self.devices.index(failed["peer"])
                reason = f"gave no answer to {self.devices[place]}: {failed['reason']}"
                place = other
        note = self.notes.get(place) or self.pool.board.read(place)
        return Failure(self.devices[place], note.step, note.place, reason)
