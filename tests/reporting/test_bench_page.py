"""The page, the tables and the figures of a bench."""

from __future__ import annotations

import io
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from models.document import dump_json
from models.errors import InputError
from solver.bench.summary import summary
from solver.reporting.bench_folder import write_bench
from solver.reporting.bench_page import bench_page
from solver.reporting.bench_plots import looks, spread
from solver.reporting.bench_table import cells, gap, group_cells, print_tables, share
from solver.reporting.folder import page_of
from tests.bench.lines import line
from tests.reporting.test_html_report import Page

ASKED = {"suite": "toy", "time_limit_s": 10.0, "work_limit": None, "instances": None}
EVIL = "<script>alert(1)</script>"


def lines() -> list[dict[str, Any]]:
    return [
        line("one", "a", 2.0, status="OPTIMAL", parameters={"regime": "slow"}),
        line("one", "b", 2.5, parameters={"regime": "slow"}),
        line("two", "a", 3.0, parameters={"regime": "fast"}),
        line("two", "b", status="FAILED", failure="hang", reason=EVIL, parameters={"regime": "fast"}),
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bench.json").write_text(dump_json(ASKED))
    (tmp_path / "runs.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines()))
    return tmp_path


def test_everything_is_written_from_the_runs(folder: Path) -> None:
    found = write_bench(folder)
    assert json.loads((folder / "summary.json").read_text()) == found
    for name in ("performance.png", "performance_time.png", "anytime.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert page_of(folder) == (folder / "report.html").read_text()
    assert not list(folder.glob(".*part"))


def test_the_page_is_whole_and_asks_for_nothing_outside(folder: Path) -> None:
    write_bench(folder)
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert len(page.references) == 3 and all(
        one.startswith("data:image/png;base64,") for one in page.references
    )
    assert not re.search(r"https?://", text) and "<script>alert" not in text
    assert EVIL in page.text  # as words
    assert "img-src data:" in text and "default-src 'none'" in text
    for words in (
        "By regime",
        "25 %",
        "1 failed",
        "partage bench --suite toy",
        "2 cases · 2 solvers · 4 runs",
    ):
        assert words in page.text


def test_without_a_plan_there_is_no_figure_but_a_page(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text(dump_json(ASKED))
    (tmp_path / "runs.jsonl").write_text(json.dumps(line("one", "a", status="DECLINED")) + "\n")
    write_bench(tmp_path)
    assert not list(tmp_path.glob("*.png"))
    assert "declined" in Page((tmp_path / "report.html").read_text()).text


def test_a_folder_without_runs_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text(dump_json(ASKED))
    (tmp_path / "runs.jsonl").write_text("")
    with pytest.raises(InputError, match="holds no run of a bench"):
        write_bench(tmp_path)


def test_the_best_of_a_column_is_marked_and_empty_columns_are_left_out() -> None:
    heads, body = cells(summary(lines(), ASKED)["solvers"])
    assert "declined" not in heads and "failed" in heads
    by_head = {row[0][0]: dict(zip(heads, row, strict=True)) for row in body}
    assert by_head["a"]["solved"] == ("100 %", True) and by_head["b"]["solved"] == ("50 %", False)
    assert by_head["a"]["gap mean"] == ("0", True) and by_head["b"]["gap mean"] == ("25 %", False)
    assert by_head["b"]["failed"] == ("1", False)


def test_groups_show_mean_gaps_and_of_what_share() -> None:
    found = summary(lines(), ASKED)
    heads, body = group_cells(found["groups"]["regime"], ["a", "b"])
    assert heads == ["solver", "fast", "slow"]
    assert [text for text, _ in body[0]] == ["a", "0", "0"]
    assert [text for text, _ in body[1]] == ["b", "–", "25 %"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0"), (0.25, "25 %"), (0.00123, "0.12 %"), (9.0, "900 %"), (11.0, "×12")],
)
def test_gaps_are_said_with_two_digits(value: float | None, text: str) -> None:
    assert gap(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (1.0, "100 %"), (0.335, "34 %"), (0.999999, "99.9 %"), (0.0001, "0.1 %")]
)
def test_a_share_is_all_or_nothing_only_if_it_is(value: float, text: str) -> None:
    assert share(value) == text


def test_the_terminal_shows_tables_and_failures() -> None:
    stream = io.StringIO()
    print_tables(Console(file=stream, width=80), summary(lines(), ASKED))
    text = stream.getvalue()
    assert "suite toy: 2 cases, 4 runs" in text and "mean gap by regime" in text
    assert "…" not in text  # nothing is cut off
    assert "failed: two, b, seed 0: <script>" in text


def test_labels_are_moved_as_little_as_need_be() -> None:
    assert spread([0.9, 0.5], 0.1) == pytest.approx([0.9, 0.5])
    assert spread([0.5, 0.5], 0.1) == pytest.approx([0.55, 0.45])
    assert spread([0.9, 0.5, 0.5, 0.1], 0.1) == pytest.approx([0.9, 0.55, 0.45, 0.1])
    found = spread([1.0, 0.99, 0.98, 0.9, 0.1], 0.05)
    assert all(a - b >= 0.05 - 1e-12 for a, b in itertools.pairwise(found))


def test_many_solvers_still_look_different() -> None:
    assert len(set(map(str, looks([f"s{i}" for i in range(30)]).values()))) == 30


def test_mixed_machines_are_warned_of() -> None:
    mixed = [
        line("one", "a", 1.0),
        line("one", "b", 1.0, machine={"cpu": "y", "cores": 4, "system": "Linux"}),
    ]
    assert "are not to be compared" in bench_page(summary(mixed, ASKED), {}, "command")
