"""Warden: the process around a run. It stops what overruns, and lets nothing of a run outlive it.

Started as ``python -P warden.py``. It reads one JSON request (a line) from standard input, forks the process
of the run (:mod:`solver.bench.child`), watches it and writes one JSON answer to standard output. No code of a
solver runs in here, and nothing heavy is imported: what happens in the run cannot spoil the answer.

- What a solver prints goes into a pipe that is drained here; only its beginning and end are kept.
- On Linux it is the reaper of orphans, so processes that left the group of the run are still its children
  and are ended with the run.
- If whoever asked is gone (end of standard input), the run is ended at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

POLL_S = 0.02
SAMPLE_S = 0.2
START_LIMIT_S = 900.0
"""Longest time to read the instance before the clock of the solver starts, and to compile, seconds."""
STOP_S = 2.0
"""Between asking a run to end (SIGTERM) and ending it (SIGKILL), seconds."""
KEPT_BYTES = 32_768
"""What is kept of the beginning, and of the end, of what a run prints."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class Output:
    """What a run prints: its beginning and its end."""

    def __init__(self) -> None:
        self.head = b""
        self.tail = b""
        self.num_bytes = 0

    def add(self, data: bytes) -> None:
        """Take more of it."""
        self.num_bytes += len(data)
        room = KEPT_BYTES - len(self.head)
        self.head += data[:room]
        self.tail = (self.tail + data[room:])[-KEPT_BYTES:] if len(data) > room else self.tail

    @property
    def text(self) -> str:
        """What is kept, as text."""
        left_out = self.num_bytes - len(self.head) - len(self.tail)
        middle = f"\n... {left_out} bytes left out ...\n".encode() if left_out else b""
        return (self.head + middle + self.tail).decode("utf-8", "replace")


def descendants(pid: int) -> list[int]:
    """Return the processes below a process, as the kernel lists them."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                stat = Path(f"/proc/{entry}/stat").read_text(encoding="utf-8", errors="replace")
                # The name, in brackets, may hold anything; the parent is the second word after it.
                parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    found: list[int] = []
    queue = [pid]
    while queue:
        below = parents.get(queue.pop(), [])
        found += below
        queue += below
    return found


def resident_bytes(pids: list[int]) -> int:
    """Return the memory of processes together, bytes; pages that they share count for each."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * page
    return total


def end_all(first: int, grace_s: float) -> None:
    """End every process below this one: ask, then force; collect them.

    Parameters
    ----------
    first
        Process of the run, leader of its group.
    grace_s
        Seconds between both.
    """
    until = time.monotonic() + grace_s
    number = signal.SIGTERM if grace_s > 0 else signal.SIGKILL
    while True:
        left = descendants(os.getpid())
        with contextlib.suppress(OSError):
            os.killpg(first, number)
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, number)
        _collect()
        if not descendants(os.getpid()):
            return
        if time.monotonic() > until:
            number = signal.SIGKILL
        time.sleep(POLL_S)


def _collect() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


class Run:
    """The process of a run under watch.

    Parameters
    ----------
    request
        What is asked; see :attr:`solver.bench.task.Task.request`.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.output = Output()
        self.lines = b""
        self.answer: dict[str, Any] | None = None
        self.incumbents: list[list[float]] = []
        self.began = time.monotonic()
        self.solving_since: float | None = None
        self.compiling_since: float | None = None
        self.compiling_s = 0.0
        self.peak_bytes = 0
        self.status: int | None = None
        self.open = {0}
        self.events, write_events = os.pipe()
        self.printed, write_printed = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _be_the_run(request, write_events, write_printed)
        os.close(write_events)
        os.close(write_printed)
        for descriptor in (self.events, self.printed):
            os.set_blocking(descriptor, False)
            self.open.add(descriptor)

    def watch(self) -> str:
        """Wait until the run ends or has to be stopped; return why it was stopped, or nothing."""
        next_sample = time.monotonic()
        while True:
            ready, _, _ = select.select(list(self.open), [], [], POLL_S)
            if 0 in ready and not os.read(0, 4096):
                return "gone"
            self._drain(ready)
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self.status = status
                self.peak_bytes = max(self.peak_bytes, usage.ru_maxrss * 1024)
                self._drain([self.events, self.printed])
                return ""
            if time.monotonic() >= next_sample:
                self.peak_bytes = max(self.peak_bytes, resident_bytes(descendants(os.getpid())))
                next_sample = time.monotonic() + SAMPLE_S
            reason = self._overrun()
            if reason:
                return reason

    def _overrun(self) -> str:
        now = time.monotonic()
        limit = self.request.get("memory_limit_bytes")
        if limit is not None and self.peak_bytes > limit:
            return "memory"
        if self.solving_since is None:
            return "start" if now - self.began > START_LIMIT_S else ""
        if self.compiling_since is not None:
            return "start" if now - self.compiling_since > START_LIMIT_S else ""
        return "hang" if self.wall_s > self.request.get("stop_after_s", START_LIMIT_S) else ""

    def _drain(self, ready: list[int]) -> None:
        for descriptor in (self.events, self.printed):
            while descriptor in ready:
                try:
                    data = os.read(descriptor, 65_536)
                except BlockingIOError:
                    break
                if not data:
                    self.open.discard(descriptor)
                    break
                if descriptor == self.printed:
                    self.output.add(data)
                else:
                    self._read_events(data)

    def _read_events(self, data: bytes) -> None:
        *whole, self.lines = (self.lines + data).split(b"\n")
        for line in whole:
            event = json.loads(line)
            if event["event"] == "solving":
                self.solving_since = time.monotonic()
            elif event["event"] == "compiling":
                self.compiling_since = time.monotonic()
            elif event["event"] == "compiled" and self.compiling_since is not None:
                self.compiling_s += time.monotonic() - self.compiling_since
                self.compiling_since = None
            elif event["event"] == "incumbent":
                self.incumbents.append([event["wall_s"], event["score"]])
            else:
                self.answer = event

    @property
    def wall_s(self) -> float:
        """Seconds since the solver began, or since the start if it did not; compiling does not count."""
        return time.monotonic() - (self.solving_since or self.began) - self.compiling_s


def _prctl(what: int, value: int) -> None:
    """Ask Linux for something about this process; elsewhere it is not there, and not asked for."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(what, value, 0, 0, 0)


def _be_the_run(request: dict[str, Any], events: int, printed: int) -> None:
    """Become the process of the run: its own group, its output in a pipe, first to go if memory runs out."""
    code = 70
    try:
        os.setpgid(0, 0)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        sys.path.insert(0, str(ROOT))
        from solver.bench.child import run

        run(request, events)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException as error:  # the process ends here; the warden says how
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code & 0xFF)


def _ending(run: Run, stopped: str) -> tuple[str, str]:
    """Say why a run without an answer ended: (kind of failure, reason)."""
    request = run.request
    if stopped == "hang":
        limit, extra = request["time_limit_s"], request["stop_after_s"] - request["time_limit_s"]
        return "hang", f"still running {extra:g} s after its time limit of {limit:g} s: stopped"
    if stopped == "memory":
        return "memory", f"used more than {request['memory_limit_bytes']:,} bytes: stopped"
    if stopped == "start":
        return "hang", f"did not begin within {START_LIMIT_S:g} s: stopped"
    if stopped == "gone" or run.status is None:
        return "gone", "whoever asked is gone"
    if os.WIFSIGNALED(run.status):
        number = os.WTERMSIG(run.status)
        name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
        more = " (out of memory, if nobody ended it)" if number == signal.SIGKILL else ""
        return "crash", f"its process was ended by signal {name}{more}"
    return "crash", f"its process ended with code {os.WEXITSTATUS(run.status)} and without an answer"


def main() -> None:
    """Read the request, watch the run, answer."""
    line = b""
    while not line.endswith(b"\n"):
        data = os.read(0, 1)
        if not data:
            return
        line += data
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    run = Run(json.loads(line))
    stopped = run.watch()
    if run.answer is not None:
        stopped = ""  # it was about to end
    wall_s = run.wall_s
    end_all(run.pid, STOP_S if stopped in ("hang", "memory", "start") else 0.0)
    answer: dict[str, Any] = {
        "answer": run.answer,
        "incumbents": run.incumbents,
        "wall_s": wall_s,
        "peak_memory_bytes": run.peak_bytes,
        "output": run.output.text,
    }
    if answer["answer"] is None:
        answer["failure"], answer["reason"] = _ending(run, stopped)
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
