"""The verb ``price``: limits as a person writes them, the table, the folder, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.errors import InputError
from solver import api
from solver.cli import app

WORDS = ["price", "--workload", "vit_digits", "--cluster", "neighbours", "--batch", "4", "--solver", "single"]


def test_a_price_list_and_its_plans(tmp_path: Path) -> None:
    out = tmp_path / "prices"
    words = [*WORDS, "--limit", "untrusted=0", "--limit", "energy=100%,0.001", "--out", str(out)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1  # no plan takes a millijoule
    assert "untrusted ≤ 0 B" in result.output and "(100 %)" in result.output
    assert "energy ≤ 1.00 mJ" in result.output
    data = json.loads((out / "price.json").read_text(encoding="utf-8"))
    assert [row["limit"] for row in data["limits"]] == ["untrusted", "energy", "energy"]
    assert [row.get("plan") for row in data["limits"]] == ["limit_01.json", "limit_02.json", None]
    assert api.load(out / "free.json").evaluate().step_time_s == data["free"]["time"]


def test_one_json_document_on_standard_output() -> None:
    result = CliRunner().invoke(app, [*WORDS, "--limit", "untrusted=0", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["limits"][0]["change"]["time"] >= 0


def test_every_limit_that_cannot_be_read_is_told() -> None:
    with pytest.raises(InputError) as caught:
        CliRunner().invoke(
            app, [*WORDS, "--limit", "untrusted", "--limit", "energy=much"], catch_exceptions=False
        )
    assert len(caught.value.faults) == 2


def test_limits_that_mean_nothing_are_told_with_those_that_cannot_be_read_and_with_the_problem_s() -> None:
    words = ["--limit", "energy=abc", "--limit", "foo=1", "--limit", "time=-5", "--objective", "enrgy"]
    with pytest.raises(InputError) as caught:
        CliRunner().invoke(app, [*WORDS, *words], catch_exceptions=False)
    told = [(fault.path, fault.message[:22]) for fault in caught.value.faults]
    assert told == [
        ("--limit", "'energy=abc' is not a "),
        ("--limit", "foo=1: no objective 'f"),
        ("--limit", "time=-5: must be a fin"),
        ("objective", "no objective 'enrgy'; "),
    ]
