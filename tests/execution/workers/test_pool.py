"""No worker outlives its pool, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from models import catalog
from solver.execution.run import run
from solver.execution.workers.pool import LocalPool
from tests.execution import plans

ROOT = Path(__file__).resolve().parents[3]


def gone(pid: int, seconds: float = 10.0) -> bool:
    """Whether a process ends within a time; one that nobody has waited for has ended too."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_when_their_parent_is_killed_even_a_stopped_one(number: int) -> None:
    code = (
        "import time\n"
        "from solver.execution.workers.pool import LocalPool\n"
        "pool = LocalPool()\n"
        "for place in (0, 1): pool._start(place)\n"
        "while not all(pool.board.read(place).beat_ns for place in (0, 1)): time.sleep(0.05)\n"
        "print(*pool.pids().values(), flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        first, second = (int(word) for word in parent.stdout.readline().split())
        os.kill(first, signal.SIGSTOP)
        parent.send_signal(number)
    assert gone(first)
    assert gone(second)


def test_the_folder_of_a_killed_process_is_removed_by_the_next_pool_and_no_living_one() -> None:
    code = (
        "import time\n"
        "from solver.execution.workers.pool import LocalPool\n"
        "print(LocalPool().folder, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        left = Path(parent.stdout.readline().strip())
        LocalPool().close()
        assert left.is_dir()
        parent.kill()
    LocalPool().close()
    assert not left.exists()


def test_interrupt_ends_the_workers_of_the_run() -> None:
    pids: list[int] = []

    def interrupt(step: int, loss: float) -> None:
        pids.extend(pool.pids().values())
        raise KeyboardInterrupt

    plan = plans.plan([plans.pipeline(1, 2, (plans.VIT, {"a": 2}))])
    with LocalPool() as pool:
        with pytest.raises(KeyboardInterrupt):
            run(
                plan,
                catalog.workload("vit_digits"),
                plans.cluster("a"),
                steps=1000,
                mode="raw",
                pool=pool,
                progress=interrupt,
            )
        assert pool.pids() == {}
    assert pids
    assert all(gone(pid) for pid in pids)
    assert not pool.folder.exists()
