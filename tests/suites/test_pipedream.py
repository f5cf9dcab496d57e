"""Suite pipedream: the table of the authors' optimiser, every solution checked by the rule once more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import InputError
from solver.solve import solve
from solver.status import Status
from solver.suites import pipedream
from solver.suites.case import Case
from tests.suites.published_rules import pipedream_value

TABLE = {
    "vgg16": (0.175733, 0.093513),
    "resnet50": (0.111497, 0.056315),
    "alexnet": (0.023166, 0.011620),
    "resnet18": (0.065918, 0.033883),
    "gnmt": (0.025868, 0.019032),
}
"""Slowest stage, seconds, on 4 and 8 devices: optimizer_graph_hierarchical.py at commit 7db6a1c, one level,
1 GB/s, which uses all devices; microseconds are rounded."""


@pytest.mark.parametrize("case", pipedream.cases(), ids=lambda case: case.name)
def test_the_table_is_reached_and_proven(case: Case) -> None:
    what = pipedream.problem(case)
    found = solve(what, "pipedream")
    assert found.status is Status.OPTIMAL and found.plan is not None and found.score is not None
    wanted = TABLE[case.instance][pipedream.NUM_DEVICES.index(int(str(case.parameters["num_devices"])))]
    assert found.score <= wanted + 6e-7
    assert found.score == pytest.approx(case.best_known, rel=1e-9)
    document = pipedream.document(case, found.plan, found.score)
    assert json.loads(json.dumps(document)) == document
    seconds = pipedream_value(Path(case.path).read_text(), document)
    assert document["objective"] == pytest.approx(seconds, rel=1e-12)


SPEEDUP = {
    "vgg16": (1.15, 2.06),
    "resnet50": (2.36, 4.43),
    "alexnet": (0.42, 0.73),
    "resnet18": (2.60, 4.91),
    "gnmt": (0.15, 0.26),
}
"""Data parallel on 4 and 8 devices against one device: the authors' optimiser."""


@pytest.mark.parametrize("case", pipedream.cases(), ids=lambda case: case.name)
def test_data_parallel_against_one_device(case: Case) -> None:
    what = pipedream.problem(case)
    single, parallel = solve(what, "single").score, solve(what, "data_parallel").score
    assert single is not None and parallel is not None
    wanted = SPEEDUP[case.instance][pipedream.NUM_DEVICES.index(int(str(case.parameters["num_devices"])))]
    assert round(single / parallel, 2) == pytest.approx(wanted, abs=0.0101)


def test_the_default_solver_asks_the_planner_of_the_rule() -> None:
    found = solve(pipedream.problem(pipedream.cases()[0]), "best")
    assert found.status is Status.OPTIMAL and found.score == pytest.approx(0.023166, rel=1e-4)


def test_there_are_five_nets_on_four_and_eight_devices() -> None:
    assert len(pipedream.cases()) == 10 and {case.instance for case in pipedream.cases()} == set(TABLE)


def test_any_folder_of_such_files_is_a_suite(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "graph.txt").write_text((pipedream.FOLDER / "vgg16.txt").read_text())
    cases = pipedream.cases(tmp_path)
    assert [case.name for case in cases] == ["deep/graph:num_devices=4", "deep/graph:num_devices=8"]


def test_an_empty_folder_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no profile of PipeDream"):
        pipedream.cases(tmp_path)


def test_damaged_files_are_all_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("node1\n")
    (tmp_path / "b.txt").write_text("")
    with pytest.raises(InputError) as found:
        pipedream.cases(tmp_path)
    assert [fault.path.split(":")[0] for fault in found.value.faults] == ["a.txt", "b.txt"]
