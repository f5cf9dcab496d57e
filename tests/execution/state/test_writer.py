"""A checkpoint is on the disk whole or not at all, and the one before stays."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
import torch

from models.errors import InputError
from solver.execution.state.block_state import BlockState
from solver.execution.state.checkpoint import MANIFEST, About, Checkpoint, all_of, newest
from solver.execution.state.writer import Writer, prune
from solver.job import Job

ROOT = Path(__file__).resolve().parents[3]
STATE = BlockState(
    {"weight": torch.arange(6.0).view(2, 3)}, {"momentum_buffer": {"weight": -torch.arange(6.0).view(2, 3)}}
)


def about(step: int) -> About:
    job = Job.model_validate({"batch": 4})
    words = {"workload": "w", "workload_sha256": "0" * 64, "job": job}
    return About(step=step, seed=3, samples=4 * step, losses=(0.5,) * step, **words)


def write(folder: Path, step: int, state: BlockState = STATE) -> Path:
    writer = Writer(folder)
    writer.add("a/b c", state)
    return writer.finish(about(step))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    folder = write(tmp_path / "new", 2)
    found = Checkpoint.open(tmp_path / "new")
    assert found.folder == folder
    assert found.faults() == []
    assert found.manifest.about == about(2)
    assert found.shapes("a/b c") == {"weight": ((2, 3), "F32")}
    state = found.block("a/b c")
    assert torch.equal(state.weights["weight"], STATE.weights["weight"])
    assert torch.equal(state.optimizer["momentum_buffer"]["weight"], -STATE.weights["weight"])
    assert {path.name for path in folder.iterdir()} == {
        MANIFEST,
        "00-a_b_c.safetensors",
        "00-a_b_c.optimizer.safetensors",
    }


def test_weights_are_a_state_dict_that_anybody_reads(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    module = torch.nn.Linear(3, 2, bias=False)
    module.load_state_dict(load_file(write(tmp_path, 1) / "00-a_b_c.safetensors"))
    assert torch.equal(module.weight, STATE.weights["weight"])


def test_one_of_the_same_step_is_replaced_and_old_ones_go(tmp_path: Path) -> None:
    for step in (1, 2, 3, 3):
        write(tmp_path, step)
    prune(tmp_path, 2, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]
    assert newest(tmp_path) == tmp_path / "step-00000003"


def test_one_that_lacks_blocks_is_never_the_newest(tmp_path: Path) -> None:
    write(tmp_path, 1)
    writer = Writer(tmp_path)
    writer.add("a", STATE)
    found = Checkpoint.open(writer.finish(about(2), missing=("b",)))
    assert [fault.path for fault in found.faults()] == ["blocks.b"]
    assert [path.name for path in all_of(tmp_path)] == ["step-00000001"]


def test_full_disk_leaves_no_file_and_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 1)
    real = Path.open

    def full(self: Path, *words: Any, **rest: Any) -> IO[Any]:
        if self.name.endswith("optimizer.safetensors"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, *words, **rest)

    monkeypatch.setattr(Path, "open", full)
    writer = Writer(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        writer.add("a", STATE)
    writer.abandon()
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert Checkpoint.open(tmp_path).faults() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB; needs root."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"mounting is not allowed here: {done.stderr.decode()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_really_full_disk(small_disk: Path) -> None:
    write(small_disk, 1)
    writer = Writer(small_disk)
    with pytest.raises(OSError, match="No space left"):
        for number in range(20):
            writer.add(str(number), BlockState({"w": torch.zeros(50_000)}))
    writer.abandon()
    assert [path.name for path in small_disk.iterdir()] == ["step-00000001"]
    assert Checkpoint.open(small_disk).faults() == []


def test_killed_in_the_middle_leaves_the_checkpoint_before_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    write(tmp_path, 1)
    code = (
        "import os, signal, sys, torch\n"
        "from pathlib import Path\n"
        "from solver.execution.state.block_state import BlockState\n"
        "from solver.execution.state.writer import Writer\n"
        "writer = Writer(Path(sys.argv[1]))\n"
        "writer.add('a', BlockState({'w': torch.zeros(3)}))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    assert Checkpoint.open(tmp_path).folder.name == "step-00000001"
    write(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000001", "step-00000002"]


def test_manifest_that_names_a_file_elsewhere_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, 1)
    data = json.loads((folder / MANIFEST).read_text())
    data["blocks"]["a/b c"]["weights"]["name"] = "../outside.safetensors"
    (folder / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"weights\.name"):
        Checkpoint.open(tmp_path)
