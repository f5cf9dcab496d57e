"""Suite dnn-partitioning: its cases, their rules, and solutions in its own terms."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from models.errors import InputError
from solver.evaluate import judge
from solver.search.splits.host_graph import host_graph
from solver.split import split_plan
from solver.suites import catalog, dnn_partitioning
from solver.suites.dnn_partitioning import FOLDER, cases, document, problem

ALL_ON_PROCESSORS_MS = {
    "layer/bert24_inference": 924.1,
    "layer/resnet50_inference": 1874.6,
    "operator/bert_l-3_inference": 1099.9,
    "operator/bert_l-12_inference": 14016.8,
}
"""Latency with every node on a core of its own, by the evaluator that came with the instances."""


EXPERTS_MS = {"bert24_inference": 20.084, "bert24_training": 49.4049, "resnet50_inference": 43.9183}
"""Largest loads of the splits by hand, by the same evaluator, to six digits."""


def test_the_catalogue_has_it() -> None:
    assert catalog.load("dnn-partitioning") is dnn_partitioning


def test_every_file_has_its_cases_and_what_is_known_of_them() -> None:
    found = cases()
    assert len(found) == 2 * 8 + 4
    assert found[0].name == "layer/bert24_inference:contiguous"
    for case in found:
        assert case.best_known is not None
        if case.variant == "contiguous":
            assert case.known_bound == case.best_known


def test_any_folder_of_that_layout_will_do(tmp_path: Path) -> None:
    (tmp_path / "latency-operator").mkdir()
    shutil.copy(
        FOLDER / "latency-layer" / "bert24_inference.json", tmp_path / "latency-operator" / "mine.json"
    )
    assert [case.name for case in cases(tmp_path)] == ["operator/mine:latency"]


def test_an_empty_folder_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "throughput-layer").mkdir()
    with pytest.raises(InputError, match="no instance of suite dnn-partitioning in"):
        cases(tmp_path)


@pytest.mark.parametrize("instance", ALL_ON_PROCESSORS_MS)
def test_everything_on_processors_takes_what_was_published(instance: str) -> None:
    (case,) = (c for c in cases() if c.name == f"{instance}:latency")
    what = problem(case)
    report, score = judge(what, split_plan(what, dict.fromkeys(what.workload.order, "cpu0")))
    assert report.is_feasible
    assert score * 1e3 == pytest.approx(ALL_ON_PROCESSORS_MS[instance], abs=0.06)


@pytest.mark.parametrize("name", EXPERTS_MS)
def test_splits_by_hand_have_the_published_loads(name: str) -> None:
    split = json.loads((FOLDER / "human-experts" / f"{name}_expert.json").read_text())
    placed: dict[str, str] = {}
    for word, kind in (("fpgas", "acc"), ("cpus", "cpu")):
        for i, part in enumerate(split[word]):
            placed.update({str(node): f"{kind}{i}" for node in part["nodes"]})
    (case,) = (c for c in cases() if c.name == f"layer/{name}:non-contiguous")
    what = problem(case)
    _, score = judge(what, split_plan(what, placed))
    assert score * 1e3 == pytest.approx(EXPERTS_MS[name], rel=4e-6)


def test_a_solution_says_which_node_runs_where() -> None:
    (case,) = (c for c in cases() if c.name == "layer/bert24_inference:non-contiguous")
    what = problem(case)
    graph = host_graph(what)
    placed = {name: f"acc{i % 6}" if i % 7 else "cpu0" for i, name in enumerate(graph.names)}
    plan = split_plan(what, placed)
    _, score = judge(what, plan)
    written = json.loads(json.dumps(document(case, plan, score)))
    assert written.pop("assignment") == placed
    assert written == {
        "suite": "dnn-partitioning",
        "instance": "layer/bert24_inference",
        "variant": "non-contiguous",
        "objective": score * 1e3,
    }
    assert graph.load(graph.split(placed)) == pytest.approx(score, rel=1e-12)
