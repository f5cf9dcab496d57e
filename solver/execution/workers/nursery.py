"""Nursery: one process that has imported everything, from which workers are forked at once.

``python -m solver.execution.workers.nursery SOCKET BOUND`` is started by :class:`Nursery` only. It has a
single thread and computes nothing, so that forking it is safe. Workers die with it, and it dies with
whoever started it.
"""

from __future__ import annotations

import gc
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from solver.errors import RunError
from solver.execution.machine import die_with_parent

_MESSAGE_BYTES = 4096
_START_S = 120.0
_REAP_S = 0.1

# One thread per library, and links on the loopback interface only.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "GLOO_SOCKET_IFNAME": "lo",
}


class Nursery:
    """Forks workers and says how they ended.

    Parameters
    ----------
    log
        File for what the process prints.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self._ended: dict[int, int] = {}
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
        # The kernel watches the thread that starts a process; other threads may end before the pool does.
        is_bound = threading.current_thread() is threading.main_thread()
        words = [str(theirs.fileno()), str(int(is_bound))]
        with log.open("wb") as stream, theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "solver.execution.workers.nursery", *words],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                pass_fds=(theirs.fileno(),),
                process_group=0,  # Ctrl-C is for the process that has the pool, which ends us
                env=os.environ | _ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(filter(None, path))},
            )

    @property
    def lives(self) -> bool:
        """Whether it can still fork."""
        return self._process.poll() is None

    def fork(self, words: list[str], handles: list[int], log: Path) -> int:
        """Start a worker; return its process id.

        Parameters
        ----------
        words
            Arguments of :func:`solver.execution.workers.worker.main` after its file descriptors.
        handles
            File descriptors it gets, in the order in which it takes them.
        log
            File for what it prints.

        Raises
        ------
        RunError
            If the nursery ends before it answers, or does not answer.
        """
        asked = json.dumps({"words": words, "log": str(log)}).encode()
        try:
            socket.send_fds(self._socket, [asked], handles)
            deadline = time.monotonic() + _START_S
            while time.monotonic() < deadline:
                told = self._hear(_START_S)
                if "pid" in told:
                    return int(told["pid"])
            reason = f"did not answer within {_START_S:.0f} s"
        except (OSError, EOFError) as error:
            reason = f"ended ({error}); {' / '.join(_last_lines(self.log))}"
        raise RunError(f"the process that starts workers {reason}")

    def status(self, pid: int, seconds: float = 5.0) -> int | None:
        """Return how a worker ended: its exit code, or minus the signal; ``None`` if it has not."""
        deadline = time.monotonic() + seconds
        try:
            while pid not in self._ended and time.monotonic() < deadline:
                self._hear(seconds)
        except (OSError, EOFError):
            return self._ended.get(pid)
        return self._ended.get(pid)

    def close(self) -> None:
        """End it, and all workers with it."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _hear(self, seconds: float) -> dict[str, Any]:
        """Wait for one message; note it if it says that a worker ended."""
        ready, _, _ = select.select([self._socket], [], [], seconds)
        if not ready:
            return {}
        text = self._socket.recv(_MESSAGE_BYTES)
        if not text:
            raise EOFError("it closed its socket")
        told: dict[str, Any] = json.loads(text)
        if "ended" in told:
            self._ended[told["ended"]] = told["status"]
        return told


def _last_lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").strip().splitlines()[-3:]


def main(arguments: list[str]) -> None:
    """Fork workers until the other end of the socket closes."""
    handle, is_bound = (int(word) for word in arguments)
    if is_bound:
        die_with_parent()
    _import_all()
    ours = socket.socket(fileno=handle)
    living: set[int] = set()
    while True:
        ready, _, _ = select.select([ours], [], [], _REAP_S if living else None)
        for pid in list(living):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                living.discard(pid)
                ours.send(json.dumps({"ended": pid, "status": os.waitstatus_to_exitcode(status)}).encode())
        if not ready:
            continue
        text, handles, _, _ = socket.recv_fds(ours, _MESSAGE_BYTES, 8)
        if not text:
            return
        asked = json.loads(text)
        pid = os.fork()
        if pid == 0:
            ours.close()
            _become_worker(asked, list(handles))
        living.add(pid)
        for handle in handles:
            os.close(handle)
        ours.send(json.dumps({"pid": pid}).encode())


def _import_all() -> None:
    """Import what workers need and what takes long, without starting a thread."""
    import sklearn.datasets  # noqa: F401

    import solver.execution.elastic.member
    import solver.execution.workers.session
    import solver.execution.workers.worker  # noqa: F401

    gc.collect()
    gc.freeze()


def _become_worker(asked: dict[str, Any], handles: list[int]) -> None:
    from solver.execution.workers import worker

    parent = os.getppid()
    die_with_parent()
    if os.getppid() != parent:
        os._exit(1)
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    try:
        worker.main(handles, [int(word) for word in asked["words"]])
    finally:
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
