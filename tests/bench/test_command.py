"""``partage bench`` on the command line: one JSON document, exit codes, faults."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.benches import TOY, instances, solver_file

ROOT = Path(__file__).resolve().parents[2]


def bench(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from solver.cli import main; main()", "bench", "--suite", str(TOY)]
    command += ["--instances", str(folder / "instances"), "--out", str(folder / "out"), "--time-limit", "5"]
    return subprocess.run(
        [*command, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    instances(tmp_path)
    return tmp_path


def test_a_solver_that_prints_and_one_that_fails_do_not_spoil_the_answer(folder: Path) -> None:
    prints = solver_file(folder, "prints", "print('noise')\nreturn Outcome(Space(), plan=plan_of(problem))")
    raises = solver_file(folder, "raises", "raise KeyError('lost')")
    done = bench(folder, "--solvers", f"single, {prints},{raises}", "--select", "*=1", "--json", "--record")
    found = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")  # a run failed
    assert [row["solver"] for row in found["solvers"]] == ["single", "prints", "raises"]
    assert found["failures"][0]["reason"] == "KeyError: 'lost'"
    known = json.loads((folder / "instances" / "best_known.json").read_text())
    assert known["layer/small:chain:micro_batches=1"]["score"] == pytest.approx(4.0)
    assert known["layer/small:chain:micro_batches=1"]["bound"] is None
    again = bench(folder, "--solvers", "single", "--select", "*=1")
    assert again.returncode == 1 and "page written to" in again.stderr
    assert "suite toy: 1 case, 3 runs" in again.stdout


def test_wrong_words_are_faults_with_exit_code_2(folder: Path) -> None:
    done = bench(folder, "--solvers", "singel")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no solver is called 'singel'; did you mean single" in done.stderr
    done = bench(folder, "--solvers", "single", "--suite", "egde")
    assert done.returncode == 2 and "no suite is called 'egde'; did you mean edge" in done.stderr
    done = bench(folder, "--solvers", "single", "--seeds", "0")
    assert done.returncode == 2 and "--seeds: 0 seeds" in done.stderr
    done = bench(folder, "--solvers", "single", "--memory-limit", "nan")
    assert done.returncode == 2 and "--memory-limit: nan is no positive number of GiB" in done.stderr
    assert not (folder / "out").exists()


def test_suites_are_listed() -> None:
    command = [sys.executable, "-c", "from solver.cli import main; main()", "list", "suites", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    verbs = {row["name"]: row["verb"] for row in json.loads(done.stdout)}
    assert verbs["edge"] == "bench" and verbs["sailor"] == verbs["local"] == "validate"
