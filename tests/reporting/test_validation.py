"""Predictions beside measurements, as people and other programs read them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from models.errors import InputError
from solver.reporting.validation import print_findings, write_findings
from solver.validation.findings import Constant, Findings, Goal, Prediction, Run


def findings() -> Findings:
    return Findings(
        "toy",
        (Run('N1/"a", b', "x", 2.0, 1000), Run("c", "x", None)),
        {'N1/"a", b': Prediction(2.5, 900), "c": Prediction(1.0)},
        constants=(Constant("overhead", 0.25, "s", "what it is"),),
        origin="fitted on nothing",
        goals=(Goal("error", 0.25, 0.1),),
        notes=("nothing was filled in",),
    )


def test_table_has_measured_predicted_and_error() -> None:
    stream = io.StringIO()
    print_findings(Console(file=stream, width=140), findings())
    text = stream.getvalue()
    row = next(line for line in text.splitlines() if "N1/" in line)
    assert [cell.strip() for cell in row.split("│")[2:8]] == [
        "2.00 s",
        "2.50 s",
        "+25.0%",
        "1.00 kB",
        "900 B",
        "-10.0%",
    ]
    assert "MISSED: error 0.25, asked at most 0.1" in text
    assert "fitted on nothing" in text
    assert "nothing was filled in" in text


def test_files_hold_every_run(tmp_path: Path) -> None:
    write_findings(tmp_path, findings())
    data = json.loads((tmp_path / "findings.json").read_text())
    assert data["predictions"]["c"] == {"iteration_s": 1.0, "peak_bytes": None}
    rows = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    assert rows[0]["run"] == 'N1/"a", b'
    assert (rows[0]["predicted_s"], rows[1]["measured_s"]) == ("2.5", "")
    with pytest.raises(InputError, match="exists"):
        write_findings(tmp_path, findings())
