"""A worker that dies, hangs or raises ends the run with its name; nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from models import catalog
from solver.errors import WorkerError
from solver.execution.run import run
from solver.execution.state.checkpoint import Checkpoint
from solver.execution.workers.pool import LocalPool
from tests.execution import plans

VIT = catalog.workload("vit_digits")
TWO = plans.cluster("a", "b")


def broken(pool: LocalPool, out: Path, number: int) -> tuple[WorkerError, float]:
    """Send a signal to the second worker after the second step; return the error, and seconds until it."""
    sent = 0.0

    def strike(step: int, loss: float) -> None:
        nonlocal sent
        if step == 1:
            sent = time.monotonic()
            os.kill(pool.pids()[1], number)

    with pytest.raises(WorkerError) as caught:
        run(
            plans.chain_plan(),
            VIT,
            TWO,
            steps=500,
            mode="padded",
            dilation=2.0,
            out=out,
            pool=pool,
            progress=strike,
        )
    return caught.value, time.monotonic() - sent


def test_killed_worker_is_named_and_the_others_state_is_kept(pool: LocalPool, tmp_path: Path) -> None:
    error, seconds = broken(pool, tmp_path, signal.SIGKILL)
    assert error.device == "b"
    assert "signal 9" in error.reason
    assert " of step " in error.instruction
    assert seconds < 20
    trace = json.loads((tmp_path / "trace.json").read_text())
    assert trace["failure"]["device"] == "b"
    assert len(trace["losses"]) >= 2
    assert set(trace["devices"]) == {"a"}
    (left,) = (tmp_path / "checkpoints").iterdir()
    state = Checkpoint.open(left)
    assert left.name.endswith("-incomplete")
    assert set(state.manifest.blocks) == set(plans.VIT[:5])
    assert state.manifest.missing == tuple(plans.VIT[5:])
    assert state.manifest.about.step == len(state.manifest.about.losses) >= 2


def test_pool_replaces_what_broke(pool: LocalPool) -> None:
    result = run(plans.chain_plan(), VIT, TWO, steps=1, mode="raw", pool=pool)
    assert result.max_relative_weight_difference is not None


def test_stopped_worker_is_given_up_after_a_time(tmp_path: Path) -> None:
    with LocalPool(silence_s=4.0) as pool:
        error, seconds = broken(pool, tmp_path, signal.SIGSTOP)
        pids = list(pool.pids().values())
    assert error.device == "b"
    assert "no sign of life" in error.reason
    assert seconds < 30
    assert not any(psutil.pid_exists(pid) for pid in pids)
    (left,) = (tmp_path / "checkpoints").iterdir()
    assert set(Checkpoint.open(left).manifest.blocks) == set(plans.VIT[:5])


def test_worker_that_raises_says_why(pool: LocalPool, tmp_path: Path) -> None:
    card = VIT.model_copy(update={"net": "cnn_digits"})
    with pytest.raises(WorkerError, match=r"worker of [ab] raised KeyError"):
        run(plans.chain_plan(), card, TWO, steps=1, mode="raw", pool=pool)
