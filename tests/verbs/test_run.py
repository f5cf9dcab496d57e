"""What ``partage run`` refuses before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.errors import InputError
from solver.cli import app


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        (["--checkpoint-every", "2"], ["--checkpoint-every"]),
        (["--resume"], ["--resume"]),
        (["--resume", "--resume-from", "other", "--out", "full"], ["--resume-from"]),
        (["--mode", "slow", "--out", "full"], ["--mode", "--out"]),
        (["--out", "plan.json"], ["--out"]),
    ],
)
def test_words_that_cannot_be_are_all_told(
    words: list[str], paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.json").write_text("{}")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "trace.json").write_text("{}")
    error = CliRunner().invoke(app, ["run", "plan.json", *words]).exception
    assert isinstance(error, InputError)
    assert [fault.path for fault in error.faults] == paths
