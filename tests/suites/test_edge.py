"""Suite `edge`: its cases, and that every problem has an answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from models.errors import InputError
from models.formats.edge import read_edge
from solver.evaluate import judge
from solver.plan import Plan, Stage, pipeline_plan
from solver.problem import Problem
from solver.suites import catalog
from solver.suites.edge import cases, document, problem

ALL = cases()
BY_RULE = [case for case in ALL if case.variant == "default"]


def chain_that_fits(path: str, what: Problem) -> Plan:
    order = what.workload.order
    samples = what.job.batch // (what.num_micro_batches or 1)
    stages = [
        Stage(blocks=order[stage.first : stage.end], shares={stage.device: samples})
        for stage in read_edge(Path(path)).problem.fits
    ]
    return pipeline_plan(what, stages, what.num_micro_batches or 1)


def test_it_is_in_the_catalogue_with_two_cases_a_problem() -> None:
    assert catalog.load("edge").cases() == ALL
    assert len(ALL) == 120 and len({case.name for case in ALL}) == 120
    assert {case.variant for case in ALL} == {"default", "free"}
    assert set(ALL[0].labels) == {"regime", "memory", "boards"}


def test_the_variant_is_the_in_flight_rule() -> None:
    by_rule, free = problem(ALL[0]), problem(ALL[1])
    assert (by_rule.in_flight, free.in_flight) == ("default", "free")
    assert by_rule.workload == free.workload and by_rule.num_micro_batches == free.num_micro_batches


@pytest.mark.parametrize("case", BY_RULE, ids=lambda case: case.instance)
def test_the_chain_of_the_file_fits(case: object) -> None:
    what = problem(case)
    report, _ = judge(what, chain_that_fits(case.path, what))
    assert report.is_feasible, report.violations


def test_tight_memory_is_used_to_three_quarters_and_loose_to_half_at_most() -> None:
    for case in BY_RULE:
        what = problem(case)
        report, _ = judge(what, chain_that_fits(case.path, what))
        fullest = max(part.peak_bytes / part.limit_bytes for part in report.memory.values())
        if case.labels["memory"] == "tight":
            assert 1 / 1.3 * 0.999 <= fullest <= 1 / 1.1 * 1.001
        else:
            assert fullest <= 0.5


def test_the_document_carries_the_plan(tmp_path: Path) -> None:
    case = next(case for case in ALL if "bert_base" in case.instance)
    what = problem(case)
    plan = chain_that_fits(case.path, what)
    found = document(case, plan, 1.5)
    assert found["objective"] == 1.5 and found["variant"] == "default"
    assert Plan.model_validate(found["plan"]) == plan
    assert json.loads(json.dumps(found)) == found


def test_an_empty_folder_and_broken_problems_are_faults(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no problem of suite edge"):
        cases(tmp_path)
    for case in BY_RULE[:2]:
        folder = shutil.copytree(Path(case.path).parent, tmp_path / case.instance)
        (folder / "problem.json").write_text("{}")
    with pytest.raises(InputError) as caught:
        cases(tmp_path)
    shown = str(caught.value)
    assert all(case.instance in shown for case in BY_RULE[:2])
