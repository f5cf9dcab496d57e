"""The verb contribution: a table, a file and a picture."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from unittest import mock

import pytest

from solver.cli import main

WORDS = ["--workload", "vit_digits", "--cluster", "four_boards", "--batch", "8"]
QUICK = ["--solver", "local_search", "--work-limit", "4"]


def contribution(out: Path, *words: str) -> int:
    line = ["partage", "contribution", *WORDS, *QUICK, "--out", str(out), *words]
    with mock.patch.object(sys, "argv", line), pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_it_writes_a_file_and_a_picture_and_prints_one_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "worth.json"
    assert contribution(out, "--json") == 0
    made = json.loads(out.read_text())
    assert json.loads(capsys.readouterr().out)["objectives"] == made["objectives"]
    assert list(made["objectives"]) == ["time", "energy"]
    assert [one["device"] for one in made["objectives"]["time"]["devices"]] == ["nano0", "nano1", "tx2", "nx"]
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["worth.json", "worth.png"]


def test_sampled_values_have_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert contribution(tmp_path / "worth.json", "--of", "time", "--samples", "6") == 0
    told = capsys.readouterr().out
    assert "6 orders of devices" in told and "±" in told


def test_wrong_words_are_wrong_input(tmp_path: Path) -> None:
    assert contribution(tmp_path / "worth.json", "--of", "money") == 2
    assert contribution(tmp_path / "worth.txt") == 2


def test_limits_that_no_group_keeps_are_the_answer_no(tmp_path: Path) -> None:
    assert contribution(tmp_path / "worth.json", "--of", "time", "--deadline", "1e-9") == 1
