"""Suite piper: the table of the authors' program; every solution is checked by the rule once more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import InputError
from solver import catalog
from solver.solve import solve
from solver.status import Status
from solver.suites import piper
from solver.suites.case import Case
from tests.suites.published_rules import piper_value

TABLE = {
    2: (None, 0.0665495, 0.0320301, 0.0151464, 0.00366753),
    8: (0.165856, 0.0415155, 0.0202006, 0.0101209, 0.00256113),
    80: (0.122007, 0.030844, 0.0156502, 0.00805324, 0.00227252),
}
"""Seconds per sample of the slowest stage, by GiB, for 8, 32, 64, 128 and 512 devices: the authors' dynamic
program at commit d7fc8cf, run with 25 GiB/s and the batch of 1920."""


def value(case: Case) -> float | None:
    memory, count = case.parameters["memory_gib"], case.parameters["max_devices"]
    return TABLE[int(str(memory))][piper.NUM_DEVICES.index(int(str(count)))]


@pytest.mark.parametrize("case", piper.cases(), ids=lambda case: case.name)
def test_the_table_is_reached_and_proven(case: Case) -> None:
    what = piper.problem(case)
    found, wanted = solve(what, "piper"), value(case)
    if wanted is None:
        assert found.status is Status.INFEASIBLE and found.plan is None
        assert "24 devices at the least, there are 8" in found.reason
        assert case.best_known is None
        return
    assert found.status is Status.OPTIMAL and found.plan is not None and found.score is not None
    assert found.score <= wanted * (1 + 1e-5)
    assert found.score == pytest.approx(case.best_known, rel=1e-9)
    document = piper.document(case, found.plan, found.score)
    assert json.loads(json.dumps(document)) == document
    data = json.loads(Path(case.path).read_text())
    seconds, memory_bytes = piper_value(data, document, piper.BANDWIDTH_BYTES_PER_S)
    assert document["objective"] == pytest.approx(seconds, rel=1e-12)
    assert memory_bytes <= document["memory_bytes"]
    assert document["batch"] == data["mbsInBatch"] and document["instance"] == "bert32a100"


def test_the_default_solver_asks_the_planner_of_the_rule() -> None:
    first, second = (solve(piper.problem(case), "best") for case in piper.cases()[:2])
    assert first.status is Status.INFEASIBLE and "24 devices at the least" in first.reason
    assert second.status is Status.OPTIMAL and second.score == pytest.approx(0.0665495, rel=1e-6)


@pytest.mark.parametrize("name", catalog.names())
def test_solvers_answer_or_decline(name: str) -> None:
    found = solve(piper.problem(piper.cases()[5]), name, work_limit=100)
    if name in ("best", "piper"):
        assert found.status is Status.OPTIMAL
    else:
        assert found.status is Status.DECLINED and "cost rule" in found.reason


def test_any_folder_of_such_files_is_a_suite(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    source = piper.FOLDER / "bert32a100.json"
    (tmp_path / "deep" / "other.json").write_text(source.read_text())
    cases = piper.cases(tmp_path)
    assert len(cases) == 15 and len({case.name for case in cases}) == 15
    assert {case.instance for case in cases} == {"deep/other"} and cases[0].best_known is None
    assert piper.problem(cases[0]).workload.name == "other"


def test_an_empty_folder_says_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "best_known.json").write_text("{}")
    with pytest.raises(InputError, match="no input of Piper"):
        piper.cases(tmp_path)


def test_damaged_files_are_all_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(InputError) as found:
        piper.cases(tmp_path)
    assert [fault.path.split(":")[0] for fault in found.value.faults] == ["a.json", "b.json"]
