"""What ``partage run`` refuses before it starts anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models import catalog
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
        (["--dilation", "0", "--learning-rate", "nan"], ["--dilation", "--learning-rate"]),
        (["--dilation", "3", "--mode", "raw"], ["--dilation"]),
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


def test_limits_that_a_plan_breaks_are_said_before_it_runs(tmp_path: Path) -> None:
    names = list(catalog.workload("vit_digits").order)
    stage = {"blocks": names, "shares": {"tx2": 4}}
    plan = {
        "version": 1,
        "workload": {"name": "vit_digits"},
        "cluster": {"name": "four_boards"},
        "job": {"batch": 4, "deadline_s": 1e-6},
        "pipelines": [{"micro_batches": 1, "samples": 4, "stages": [stage]}],
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    done = CliRunner().invoke(app, ["run", str(tmp_path / "plan.json"), "--steps", "1", "--mode", "raw"])
    assert done.exit_code == 0
    assert "breaks a limit" in " ".join(done.stderr.split())
