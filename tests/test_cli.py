"""``partage plan`` on the command line: one JSON document, exit codes, faults before long work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from solver import cli

ROOT = Path(__file__).resolve().parents[1]
HEAD = """import os, sys
from solver.plan import Stage, pipeline_plan
from solver.space import Space
from solver.status import Outcome


def solve(problem, search):
    stage = Stage(blocks=problem.workload.order, shares={problem.usable[0]: problem.job.batch})
    plan = pipeline_plan(problem, [stage], 1)
"""


def planned(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "from solver.cli import main; main()",
        "plan",
        "--workload",
        "vit_digits",
    ]
    command += ["--cluster", "four_boards", "--out", str(folder / "plan.json"), "--solver", "single"]
    return subprocess.run(
        [*command, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )


def solver_file(folder: Path, body: str) -> str:
    path = folder / "mine.py"
    path.write_text(HEAD + "".join(f"    {line}\n" for line in body.splitlines()))
    return str(path)


def test_what_a_solver_prints_goes_to_standard_error(tmp_path: Path) -> None:
    body = "print('a word')\nos.system('echo a child')\nos.write(1, b'bytes')\nreturn Outcome(Space(), plan)"
    done = planned(tmp_path, "--solver", solver_file(tmp_path, body), "--json")
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "FEASIBLE")
    assert all(text in done.stderr for text in ("a word", "a child", "bytes"))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('no luck')", "solver {file} raised ValueError: no luck"),
        ("sys.exit(0)", "solver {file} raised SystemExit: 0"),
        ("return {'plan': plan}", "it must return a solver.status.Outcome"),
    ],
)
def test_a_solver_that_breaks_is_named_with_exit_code_3(tmp_path: Path, body: str, said: str) -> None:
    file = solver_file(tmp_path, body)
    done = planned(tmp_path, "--solver", file)
    assert (done.returncode, done.stdout) == (3, "")
    assert said.format(file=file) in done.stderr.splitlines()[-1]


def test_too_little_memory_is_said_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def needs_more(*, standalone_mode: bool) -> None:
        raise MemoryError("Unable to allocate 74.5 GiB")

    monkeypatch.setattr(cli, "app", needs_more)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 3
    assert capsys.readouterr().err == "MemoryError: Unable to allocate 74.5 GiB\n"


def test_what_cannot_be_written_is_said_before_the_search(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    for out, force, fault in (
        ("taken", (), "exists; give another name, or --force"),
        (".", ("--force",), "is a folder; give the name of a file"),
        ("taken/plan.json", (), "is no folder that can be written to"),
        ("taken", ("--force", "--pareto", "time,energy"), "is a file; give the name of a folder"),
    ):
        done = planned(tmp_path, "--time-limit", "inf", "--out", str(tmp_path / out), *force)
        assert (done.returncode, done.stdout) == (2, "")
        assert fault in done.stderr and "--time-limit: inf" in done.stderr


def test_a_front_without_objectives_is_a_fault(tmp_path: Path) -> None:
    done = planned(tmp_path, "--pareto", "")
    assert done.returncode == 2 and "no objective ''" in done.stderr


def test_a_front_without_points_says_so(tmp_path: Path) -> None:
    done = planned(tmp_path, "--pareto", "time,energy", "--at-most", "energy=1e-6")
    assert done.returncode == 1 and "no plan was found" in done.stderr


def test_left_out_devices_and_power_modes_are_words_of_the_problem(tmp_path: Path) -> None:
    done = planned(tmp_path, "--left-out", "off", "--power-modes", "free", "--json")
    assert done.returncode == 0
    assert json.loads((tmp_path / "plan.json").read_text())["left_out"] == "off"
    wrong = planned(tmp_path, "--left-out", "gone", "--power-modes", "any", "--force")
    assert wrong.returncode == 2
    assert "left-out devices cannot be 'gone'; there are: idle, sleep, off" in wrong.stderr
    assert "no rule of power modes 'any'; there are: own, free" in wrong.stderr


def test_flags_and_words_are_told_together(tmp_path: Path) -> None:
    done = planned(tmp_path, "--time-limit", "inf", "--objective", "enrgy", "--batch", "0")
    assert done.returncode == 2 and "plan cannot be used (3 faults)" in done.stderr


def test_unknown_solvers_back_ends_and_objectives_of_a_front_are_told_with_them(tmp_path: Path) -> None:
    wrong = ["--solver", "bst", "--mip", "cpx", "--pareto", "time,enrgy", "--batch", "0"]
    done = planned(tmp_path, *wrong)
    assert done.returncode == 2 and "plan cannot be used (4 faults)" in done.stderr
    places = ["solver:", "mip:", "objectives.1:", "job.batch:"]
    assert all(f"- {place}" in done.stderr for place in places), done.stderr


def test_an_infeasible_problem_is_said_once(tmp_path: Path) -> None:
    done = planned(tmp_path, "--solver", "best", "--deadline", "1e-9", "--time-limit", "20")
    assert done.returncode == 1 and done.stdout.startswith("INFEASIBLE")
    assert done.stdout.count("keeps every limit") == 1
