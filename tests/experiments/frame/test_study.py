"""The frame of experiments: cells that are kept, tables, figures without dates, results made again."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import pytest

from experiments import __main__ as command
from experiments.frame import plots
from experiments.frame.study import Study, is_study
from experiments.frame.tables import csv_text, markdown
from experiments.frame.verify import differences
from models import catalog
from solver.job import Job
from solver.loading import load
from solver.lock import LOCK, FolderLock
from solver.solve import solve

SOURCE = str(Path(command.__file__).parent / "edge_gain.py")


def study(out: Path, **asked: object) -> Study:
    return Study(out, SOURCE, asked=asked)


def square(log: Path, number: int) -> dict[str, int]:
    with log.open("a") as stream:
        stream.write(f"{number} ")
    return {"number": number, "square": number**2}


def makes(log: Path, numbers: range) -> dict[str, partial[dict[str, int]]]:
    return {f"n{number}": partial(square, log, number) for number in numbers}


def test_a_broken_off_run_makes_only_what_is_missing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    study(tmp_path / "out").cells(makes(log, range(2)))
    cells = tmp_path / "out/cells.jsonl"
    cells.write_text(cells.read_text() + '{"key":"n2","val')  # killed while it wrote
    rows = study(tmp_path / "out").cells(makes(log, range(4)))
    assert log.read_text() == "0 1 2 3 "
    assert [row["square"] for row in rows] == [0, 1, 4, 9]


def test_another_question_starts_over_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    study(tmp_path / "out", limit=1).cells(makes(log, range(2)))
    stale = tmp_path / "out/plans/stale.json"
    stale.parent.mkdir()
    stale.write_text("{}")
    capsys.readouterr()
    study(tmp_path / "out", limit=2).cells(makes(log, range(2)))
    assert log.read_text() == "0 1 0 1 "
    assert "made anew" in capsys.readouterr().err
    assert not stale.exists()


def test_parallel_cells_are_in_the_order_of_their_keys(tmp_path: Path) -> None:
    one = Study(tmp_path / "out", SOURCE, jobs=2)
    assert [row["number"] for row in one.cells(makes(tmp_path / "log", range(5)))] == [0, 1, 2, 3, 4]


def test_csv_has_one_format_of_numbers() -> None:
    rows = [{"a": 1, "b": 1 / 3}, {"a": None, "b": float("nan"), "c": True}]
    assert csv_text(rows) == "a,b,c\n1,0.333333333,\n,,yes\n"


def test_markdown_puts_numbers_to_the_right() -> None:
    rows = [{"model": "bert", "time": 12.345}, {"model": "gpt", "time": None}]
    text = markdown(rows, {"model": "model", "time": "time, s"})
    assert text == "| model | time, s |\n|---|--:|\n| bert | 12.3 |\n| gpt | - |"


def test_plans_can_be_evaluated_from_the_result(tmp_path: Path) -> None:
    slow = catalog.cluster("four_boards").model_copy(update={"name": "mine"})
    mine = study(tmp_path)
    problem = mine.problem("vit_digits", slow, Job(batch=8))
    answer = solve(problem, "single")
    assert answer.plan is not None
    path = mine.plan("best", answer.plan)
    assert load(tmp_path / path).evaluate().step_time_s == answer.score
    assert not (tmp_path / "clusters/four_boards.json").exists()


def test_figures_do_not_tell_when_they_were_made(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        with plots.style():
            figure, (axes,) = plots.panels()
            plots.lines(axes, [10, 100], {"a": [1.0, None]}, x_label="x", y_label="y, s")
        study(tmp_path / folder).figure("times", figure)
    for suffix in ("pdf", "png"):
        assert (tmp_path / f"one/times.{suffix}").read_bytes() == (
            tmp_path / f"two/times.{suffix}"
        ).read_bytes()


def made(folder: Path, time_s: float, measured_s: float) -> Path:
    mine = study(folder)
    rows = [{"plan": "a", "time_s": time_s, "measured_time_s": measured_s}]
    mine.table("rows", rows)
    mine.readme("Words.", markdown(rows), f"## Measured slice\n\nIt took {measured_s} s.")
    return folder


def test_only_what_is_measured_may_differ(tmp_path: Path) -> None:
    kept = made(tmp_path / "kept", 1.0, 1.1)
    assert differences(kept, made(tmp_path / "again", 1.0, 1.2)) == []
    found = differences(kept, made(tmp_path / "other", 2.0, 1.1))
    assert [line.partition(":")[0] for line in found] == ["README.md", "rows.csv"]


def test_missing_and_new_files_are_differences(tmp_path: Path) -> None:
    kept, again = made(tmp_path / "kept", 1.0, 1.1), made(tmp_path / "again", 1.0, 1.1)
    (kept / "rows.csv").unlink()
    (again / "README.md").unlink()
    assert differences(kept, again) == ["README.md: is not made again", "rows.csv: is new"]


def test_a_finished_result_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, 1.0, 1.1)
    before = (tmp_path / "README.md").read_bytes()
    assert command.main(["edge_gain", "--out", str(tmp_path)]) == command.DONE
    assert "is finished" in capsys.readouterr().out
    assert (tmp_path / "README.md").read_bytes() == before


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"mine": 1}))
    assert not is_study(tmp_path)
    assert command.main(["edge_gain", "--out", str(tmp_path), "--force"]) == command.WRONG_INPUT
    assert (tmp_path / "config.json").exists()


def test_nothing_finished_cannot_be_verified(tmp_path: Path) -> None:
    assert command.main(["edge_gain", "--out", str(tmp_path), "--verify"]) == command.WRONG_INPUT


def test_a_folder_that_cannot_be_written_is_a_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    where = tmp_path / "file" / "out"
    assert command.main(["edge_gain", "--out", str(where)]) == command.WRONG_INPUT
    assert f"cannot write into {where}" in capsys.readouterr().err


def test_a_second_run_into_a_folder_at_work_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FolderLock(tmp_path, "run of an experiment"):
        assert command.main(["edge_gain", "--out", str(tmp_path)]) == command.WRONG_INPUT
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    told = capsys.readouterr().err
    assert f"another run of an experiment (process {os.getpid()}) is writing into {tmp_path}" in told


def test_a_finished_result_is_made_anew_under_the_same_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, 1.0, 1.1)
    seen: list[list[str]] = []

    def make(_name: str, out: Path, _asked: command.Asked) -> None:
        seen.append([path.name for path in out.iterdir()])

    monkeypatch.setattr(command, "make", make)
    assert command.main(["edge_gain", "--out", str(tmp_path), "--force"]) == command.DONE
    assert (seen, list(tmp_path.iterdir())) == ([[LOCK]], [])
