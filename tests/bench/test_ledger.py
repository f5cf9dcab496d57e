"""The folder of a bench: whole lines, one writer, one configuration."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models.errors import InputError
from solver.bench.ledger import ASKED, RUNS, Ledger, last_lines, read_lines
from solver.bench.run import Done
from solver.errors import RunError

COMMON = {"suite": "toy", "time_limit_s": 5.0}


def done(case: str = "a", seed: int = 0, document: dict[str, Any] | None = None, **words: Any) -> Done:
    line = {"case": case, "solver": "s", "seed": seed, "status": "FEASIBLE", "solution_file": None} | words
    return Done(line, document)


def test_runs_are_lines_and_solutions_are_files(tmp_path: Path) -> None:
    with Ledger(tmp_path / "out", COMMON) as ledger:
        line = ledger.add(done(document={"objective": 3}), "a__s__0")
        ledger.add(done("b"), "b__s__0")
    assert line["solution_file"] == "solutions/a__s__0.json"
    assert json.loads((tmp_path / "out" / line["solution_file"]).read_text()) == {"objective": 3}
    assert [one["case"] for one in read_lines(tmp_path / "out")] == ["a", "b"]
    assert not (tmp_path / "out" / "logs").exists()


@pytest.mark.parametrize(
    "torn", [b'{"case": "c", "solv', b"\xff\xfe", b'{"case": "c", "solver": "s", "seed": 0}']
)
def test_a_torn_last_line_is_removed_and_the_rest_kept(tmp_path: Path, torn: bytes) -> None:
    with Ledger(tmp_path, COMMON) as ledger:
        ledger.add(done(), "a")
    whole = (tmp_path / RUNS).read_bytes()
    (tmp_path / RUNS).write_bytes(whole + torn)
    assert len(read_lines(tmp_path)) == 1  # a reader leaves it out
    with Ledger(tmp_path, COMMON) as ledger:
        assert (ledger.torn_bytes, len(ledger.lines)) == (len(torn), 1)
        ledger.add(done("b"), "b")
    assert [line["case"] for line in read_lines(tmp_path)] == ["a", "b"]


def test_a_file_of_one_torn_line_becomes_empty(tmp_path: Path) -> None:
    with Ledger(tmp_path, COMMON):
        pass
    (tmp_path / RUNS).write_bytes(b"x" * 100_000)
    with Ledger(tmp_path, COMMON) as ledger:
        assert ledger.lines == []
    assert (tmp_path / RUNS).read_bytes() == b""


def test_damaged_lines_are_all_listed(tmp_path: Path) -> None:
    with Ledger(tmp_path, COMMON) as ledger:
        ledger.add(done(), "a")
    good = (tmp_path / RUNS).read_bytes()
    (tmp_path / RUNS).write_bytes(good + b"{nonsense\n" + good + b"[1]\n")
    with pytest.raises(InputError) as raised:
        read_lines(tmp_path)
    assert [fault.path for fault in raised.value.faults] == ["line 2", "line 4"]


def test_the_last_line_of_a_run_counts(tmp_path: Path) -> None:
    with Ledger(tmp_path, COMMON) as ledger:
        ledger.add(done(status="FAILED"), "a")
        ledger.add(done("b"), "b")
        ledger.add(done(status="FEASIBLE"), "a")
    assert [(one["case"], one["status"]) for one in last_lines(read_lines(tmp_path))] == [
        ("a", "FEASIBLE"),
        ("b", "FEASIBLE"),
    ]


def test_another_configuration_is_refused_word_by_word(tmp_path: Path) -> None:
    with Ledger(tmp_path, COMMON):
        pass
    with pytest.raises(InputError) as raised:
        Ledger(tmp_path, {"suite": "edge", "time_limit_s": 60.0})
    assert [fault.path for fault in raised.value.faults] == ["suite", "time_limit_s"]
    assert "was made with 'toy', not 'edge'; give another --out" in str(raised.value)
    with Ledger(tmp_path, COMMON):  # and the lock is free again
        pass


def test_runs_of_an_unknown_configuration_are_not_mixed_with(tmp_path: Path) -> None:
    (tmp_path / RUNS).write_text('{"case": "a"}\n')
    with pytest.raises(InputError, match=f"holds {RUNS} but no {ASKED}"):
        Ledger(tmp_path, COMMON)


def test_a_folder_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(InputError, match=r"holds files of something else \(report\.html\)"):
        Ledger(tmp_path, COMMON)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_two_benches_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with (
        Ledger(tmp_path, COMMON),
        pytest.raises(InputError, match=rf"another bench \(process {os.getpid()}\)"),
    ):
        Ledger(tmp_path, COMMON)


def test_a_killed_writer_leaves_no_lock(tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from solver.bench.ledger import Ledger
ledger = Ledger(Path({str(tmp_path)!r}), {COMMON!r})
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with Ledger(tmp_path, COMMON):
        pass


@pytest.mark.parametrize("name", ["file/out", "file"])
def test_a_folder_that_cannot_be_written_is_a_clear_fault(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out: cannot write into"):
        Ledger(tmp_path / name, COMMON)


def test_a_full_disk_tears_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger(tmp_path, COMMON) as ledger:
        ledger.add(done(), "a")
        before = (tmp_path / RUNS).read_bytes()
        real = os.write
        room = [10]

        def write(descriptor: int, data: bytes) -> int:
            if descriptor != ledger._runs:
                return real(descriptor, data)
            if not room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(descriptor, data[: room.pop()])

        monkeypatch.setattr(os, "write", write)
        with pytest.raises(RunError, match=r"No space left on device.*the same command goes on from there"):
            ledger.add(done("b"), "b")
        assert (tmp_path / RUNS).read_bytes() == before
        monkeypatch.undo()
        ledger.add(done("b"), "b")
    assert [line["case"] for line in read_lines(tmp_path)] == ["a", "b"]


def test_a_solution_that_cannot_be_written_stops_the_bench(tmp_path: Path) -> None:
    with Ledger(tmp_path, COMMON) as ledger:
        (tmp_path / "solutions").rmdir()
        (tmp_path / "solutions").write_text("in the way")
        with pytest.raises(RunError, match="cannot write"):
            ledger.add(done(document={"objective": 1}), "a")
    assert read_lines(tmp_path) == []


def test_a_solution_of_an_earlier_try_does_not_stay(tmp_path: Path) -> None:
    with Ledger(tmp_path, COMMON) as ledger:
        ledger.add(done(document={"objective": 1}), "a")
        ledger.add(done(status="FAILED"), "a")
    assert not (tmp_path / "solutions" / "a.json").exists()
