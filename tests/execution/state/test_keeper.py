"""Checkpoints on the way of a run: how many stay, what a full disk does, and what Ctrl-C leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models import catalog
from solver.errors import RunError
from solver.execution.run import run
from solver.execution.state.checkpoint import Checkpoint, all_of
from solver.execution.workers.pool import LocalPool
from tests.execution import plans

ROOT = Path(__file__).resolve().parents[3]
VIT = catalog.workload("vit_digits")
TWO = plans.cluster("a", "b")


def test_the_newest_stay(pool: LocalPool, tmp_path: Path) -> None:
    told: list[str] = []
    words = {"mode": "raw", "pool": pool, "out": tmp_path, "reference": False, "notice": told.append}
    run(
        plans.chain_plan(),
        VIT,
        TWO,
        steps=5,
        checkpoint_every=2,
        keep_checkpoint=True,
        keep_checkpoints=2,
        **words,
    )
    assert [path.name for path in all_of(tmp_path)] == ["step-00000004", "step-00000005"]
    assert [text.split(" steps")[0] for text in told] == [f"checkpoint of {step}" for step in (2, 4, 5)]


def test_those_of_a_run_that_is_replaced_go(pool: LocalPool, tmp_path: Path) -> None:
    words = {"mode": "raw", "pool": pool, "out": tmp_path, "reference": False, "checkpoint_every": 1}
    run(plans.chain_plan(), VIT, TWO, steps=4, keep_checkpoints=2, **words)
    run(plans.chain_plan(), VIT, TWO, steps=2, keep_checkpoints=2, seed=1, overwrite=True, **words)
    found = [Checkpoint.open(path).manifest.about for path in all_of(tmp_path)]
    assert [(about.step, about.seed) for about in found] == [(1, 1), (2, 1)]


def test_a_checkpoint_that_cannot_be_written_does_not_stop_the_training(
    pool: LocalPool, tmp_path: Path
) -> None:
    # A file where the folder should be: as with a full disk, the system refuses.
    (tmp_path / "checkpoints").write_text("")
    told: list[str] = []
    words = {"mode": "raw", "pool": pool, "out": tmp_path, "reference": False, "notice": told.append}
    with pytest.raises(RunError, match="last checkpoint could not be written"):
        run(plans.chain_plan(), VIT, TWO, steps=3, checkpoint_every=1, **words)
    assert len(told) == 3
    assert all("training goes on" in text for text in told)
    assert (tmp_path / "trace.json").exists()


def test_full_disk(pool: LocalPool, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    run(
        plans.chain_plan(),
        VIT,
        TWO,
        steps=1,
        mode="raw",
        pool=pool,
        out=tmp_path / "size",
        reference=False,
        keep_checkpoint=True,
    )
    (one,) = all_of(tmp_path / "size")
    size = sum(path.stat().st_size for path in one.iterdir())
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size * 3 // 2}", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        told: list[str] = []
        with pytest.raises(RunError, match="No space left"):
            run(
                plans.chain_plan(),
                VIT,
                TWO,
                steps=3,
                mode="raw",
                pool=pool,
                out=place,
                reference=False,
                checkpoint_every=1,
                notice=told.append,
            )
        assert len(told) == 3
        assert [path.name for path in (place / "checkpoints").iterdir()] == ["step-00000001"]
        assert Checkpoint.open(place).faults() == []
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
def test_interrupt_leaves_a_checkpoint_and_the_run_goes_on_from_it(tmp_path: Path) -> None:
    (tmp_path / "test.json").write_text(TWO.model_dump_json())
    data = plans.chain_plan().model_dump_json(exclude_defaults=True)
    (tmp_path / "plan.json").write_text(data.replace('"test"', '"./test.json"'))
    words = [sys.executable, "-m", "solver.cli", "run", str(tmp_path / "plan.json"), "--mode", "padded"]
    words += ["--dilation", "1", "--out", str(tmp_path / "run"), "--steps"]
    with subprocess.Popen(
        [*words, "1000", "--checkpoint-every", "2"], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as going:
        assert going.stderr is not None
        assert "checkpoint of 2 steps" in going.stderr.readline()
        time.sleep(0.2)
        going.send_signal(signal.SIGINT)
        said = going.communicate(timeout=60)[1]
    assert going.returncode == 130, said
    assert "ending after this step" in said
    done = Checkpoint.open(tmp_path / "run").manifest.about.step
    assert (tmp_path / "run" / "trace.json").exists()
    again = subprocess.run(
        [*words, str(done + 1), "--resume", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert again.returncode == 0, again.stderr
    assert '"first_step": ' + str(done) in again.stdout
