"""All phases from Python: the words of the command, and the same folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.errors import InputError
from solver import api
from solver.cli import app
from solver.phases.own_cluster import write_cluster
from tests.execution import plans


def test_it_leaves_the_parts_of_the_command_and_each_goes_on_where_the_other_ended(tmp_path: Path) -> None:
    boards, out = tmp_path / "two.yaml", tmp_path / "run"
    write_cluster(boards, plans.cluster("a", "b"))
    words = {"batch": 8, "micro_batches": 2, "rule": "all", "solver": "pipeline_even", "work_limit": 50}
    said: list[str] = []
    out.mkdir()
    (out / ".3_plan.json.half").write_text("{")  # a call was killed while it wrote
    made = api.train(
        "vit_digits", str(boards), out=out, say=said.append, until="deploy", deadline_s=60, **words
    )
    assert [(one.name, one.state) for one in made.phases] == [
        (name, "made") for name in ("profile", "participants", "plan", "deploy")
    ]
    assert made.figures["plan"]["devices"] == ["a", "b"]
    assert (made.refused, made.report) == ("", out / "report.html")
    assert not list(out.glob(".*"))
    assert said[0] == "profile: not there yet"
    flags = ["train", "--workload", "vit_digits", "--cluster", str(boards), "--out", str(out), "--batch", "8"]
    flags += ["--micro-batches", "2", "--rule", "all", "--solver", "pipeline_even", "--work-limit", "50"]
    again = CliRunner().invoke(app, [*flags, "--until", "deploy", "--deadline", "60"])
    assert again.exit_code == 0, again.output
    kept = api.train("vit_digits", str(boards), out=out, until="deploy", deadline_s=60, **words)
    assert {one.state for one in kept.phases} == {"kept"}
    assert kept.to_json()["wall_s"] == made.to_json()["wall_s"]


def test_no_plan_is_an_answer(tmp_path: Path) -> None:
    found = api.train("vit_digits", "four_boards", out=tmp_path / "run", rule="all", deadline_s=1e-6)
    assert "keeps every limit" in found.refused
    assert found.report is None


def test_all_words_that_cannot_be_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        api.train(
            "vit_digitz", "four_boards", out=tmp_path / "run", steps=0, solver="bst", batch=0, until="x"
        )
    places = ["--until", "--steps", "solver", "workload", "job.batch"]
    assert [fault.path for fault in caught.value.faults] == places
    assert not (tmp_path / "run").exists()


def test_words_that_there_are_not_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="stepz: there is no such word"):
        api.train("vit_digits", "four_boards", out=tmp_path / "run", stepz=3)
