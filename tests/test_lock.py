"""A folder is one process's own while it holds the lock, and nobody's when that process is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import InputError
from solver.lock import LOCK, FolderLock


def test_the_second_is_told_who_holds_it_and_what_to_do(tmp_path: Path) -> None:
    told = rf"--out: another training \(process {os.getpid()}\) .* wait until it ends, or give another folder"
    with FolderLock(tmp_path / "run", "training"):
        for _ in range(2):
            with pytest.raises(InputError, match=told):
                FolderLock(tmp_path / "run", "training")


def test_nothing_is_left_of_it(tmp_path: Path) -> None:
    for _ in range(2):
        with FolderLock(tmp_path, "training"):
            assert [path.name for path in tmp_path.iterdir()] == [LOCK]
        assert not list(tmp_path.iterdir())


def test_a_lock_whose_file_the_last_holder_took_away_is_taken_on_the_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, real = FolderLock(tmp_path, "training"), os.open

    def late(path: Path, flags: int, mode: int) -> int:
        found = real(path, flags, mode)
        first.close()
        return found

    monkeypatch.setattr(os, "open", late)
    with FolderLock(tmp_path, "training"), pytest.raises(InputError, match="another training"):
        FolderLock(tmp_path, "training")


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    take = f"from pathlib import Path; held = FolderLock(Path({str(tmp_path)!r}), 'training')"
    code = f"import os; from solver.lock import FolderLock; {take}; os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert (tmp_path / LOCK).exists()
    with FolderLock(tmp_path, "training"):
        pass


def test_a_folder_that_cannot_be_made_is_a_clear_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out: cannot write into"):
        FolderLock(tmp_path / "file" / "run", "training")
