"""The verb participants, and the planner that reads its file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from solver.cli import main

WORDS = ["--workload", "vit_digits", "--cluster", "four_boards", "--batch", "8", "--work-limit", "10"]


QUICK = ("--solver", "local_search", "--work-limit", "10")


def partage(*words: str) -> int:
    import sys
    from unittest import mock

    with mock.patch.object(sys, "argv", ["partage", *words]), pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def chosen(out: Path, *words: str) -> int:
    return partage("participants", *WORDS, "--solver", "local_search", "--out", str(out), *words)


def test_it_writes_who_takes_part_and_the_planner_reads_it(tmp_path: Path) -> None:
    who, plan = tmp_path / "who.json", tmp_path / "plan.json"
    assert chosen(who, "--rule", "fastest_2", "--objective", "energy", "--left-out", "off") == 0
    told = json.loads(who.read_text())
    assert told["chosen"] == ["tx2", "nx"]
    assert partage("plan", "--participants", str(who), *QUICK, "--out", str(plan)) == 0
    made = json.loads(plan.read_text())
    used = {name for stage in made["pipelines"][0]["stages"] for name in stage["shares"]}
    # What was not said is as it was for the choice.
    assert used <= {"tx2", "nx"} and made["job"]["batch"] == 8 and made["left_out"] == "off"


def test_what_the_person_says_goes_before_the_file(tmp_path: Path) -> None:
    who, plan = tmp_path / "who.json", tmp_path / "plan.json"
    assert chosen(who, "--rule", "single") == 0
    words = ("--participants", str(who), "--batch", "4", *QUICK)
    assert partage("plan", *words, "--out", str(plan)) == 0
    assert json.loads(plan.read_text())["job"]["batch"] == 4


def test_a_changed_cluster_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    who = tmp_path / "who.json"
    assert chosen(who, "--rule", "single") == 0
    words = ("--participants", str(who), "--cluster", "nano_x4", "--out", str(tmp_path / "plan.json"))
    assert partage("plan", *words) == 2
    told = capsys.readouterr().err
    assert "cluster.sha256" in told and "no device is called 'nx'" in told


def test_json_is_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert chosen(tmp_path / "who.json", "--rule", "single", "--json") == 0
    assert json.loads(capsys.readouterr().out)["chosen"] == ["nx"]


def test_no_group_that_keeps_the_limits_is_the_answer_no(tmp_path: Path) -> None:
    who = tmp_path / "who.json"
    assert chosen(who, "--rule", "single", "--deadline", "1e-9") == 1
    assert not who.exists()


def test_unknown_rules_and_other_suffixes_are_wrong_input(tmp_path: Path) -> None:
    assert chosen(tmp_path / "who.json", "--rule", "luck") == 2
    assert chosen(tmp_path / "who.txt", "--rule", "single") == 2
    assert partage("participants", "--out", str(tmp_path / "who.json")) == 2


def test_words_that_are_wrong_are_told_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert chosen(tmp_path / "who.txt", "--rule", "luck", "--objective", "enrgy", "--solver", "x") == 2
    assert "participants cannot be used (4 faults)" in capsys.readouterr().err


def test_without_time_it_says_that_none_was_found_in_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chosen(tmp_path / "who.json", "--rule", "add", "--time-limit", "0") == 1
    assert "or none was found within 0 s" in capsys.readouterr().err
