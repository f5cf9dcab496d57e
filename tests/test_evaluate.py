"""Evaluate: lower, simulate, score; the only place where a score is made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.errors import InputError
from solver.evaluate import Known, evaluate, judge
from solver.evaluate import score as figure
from solver.job import Job
from solver.problem import OBJECTIVES, Problem
from solver.settings import Settings
from tests.language.cases import block, cluster, device, pipeline, plan, score, stage, workload

TINY = workload(block("a", 1, 2, output_bytes=1, kept_bytes=2), block("b", 1, 2, kept_bytes=3))
BOARDS = cluster(device("x", idle_w=1, busy_w=4), device("y", idle_w=2, busy_w=2))
MADE = plan(pipeline(2, 1, stage("a", {"x": 1}), stage("b", {"y": 1})))


def test_every_objective_has_its_figure():
    """Step 11 s, 6 s of work on each of two micro-batches' lanes, 33 J idle and 18 J extra, 4 bytes moved."""
    report = evaluate(MADE, TINY, BOARDS)
    weights = {"time": 2, "energy": 1}
    assert {name: figure(report, name, weights) for name in OBJECTIVES} == {
        "time": 11,
        "bottleneck": 3,
        "energy": 11 + 22 + 18,
        "memory": 16,
        "traffic": 4,
        "carbon": 0,
        "untrusted": 0,
        "latency": 0,
        "weighted": 2 * 11 + 51,
    }


def test_latency_is_the_mean_over_the_requests():
    """One after another on one device: 2, 4 and 6 s."""
    made = plan(pipeline(3, 1, stage("a b", {"x": 1})), job={"kind": "serve"})
    assert figure(evaluate(made, TINY, BOARDS), "latency") == 4


def test_an_unsound_plan_is_an_error():
    with pytest.raises(InputError, match="in no stage: b"):
        evaluate(plan(pipeline(2, 1, stage("a", {"x": 1}))), TINY, BOARDS)


def test_a_sound_plan_that_breaks_a_limit_is_an_answer():
    tight = cluster(device("x", memory_bytes=10), "y")
    report = evaluate(MADE, TINY, tight)
    assert report.step_time_s == 11
    assert [(v.limit, v.given, v.allowed) for v in report.violations] == [("memory", 16, 10)]


def test_the_same_plan_has_the_same_report():
    first, second = (evaluate(MADE, TINY, BOARDS) for _ in range(2))
    assert first.to_json() == second.to_json()


@pytest.mark.parametrize("factor", [0.5, 3])
def test_twice_the_speed_halves_every_time(factor: float):
    """Speeds and rates scaled alike scale the step, whatever is in it."""
    quick = cluster(device("x", factor), device("y", factor), rate=factor)
    assert score(MADE, TINY, quick).step_time_s == pytest.approx(11 / factor)


def test_a_problem_is_judged_by_its_own_objective():
    problem = Problem(workload=TINY, cluster=BOARDS, job=Job(batch=2), objective="traffic")
    report, found = judge(problem, MADE)
    assert (report.step_time_s, found) == (11, 4)


def test_the_oldest_known_plans_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem(workload=TINY, cluster=BOARDS, job=Job(batch=2))
    monkeypatch.setattr("solver.evaluate.MOST_KNOWN_BYTES", 1)
    known, other = Known(), MADE.model_copy(update={"schedule": "gpipe"})
    first = judge(problem, MADE, known)[1]
    judge(problem, other, known)
    assert judge(problem, MADE, known)[1] == first
    monkeypatch.setattr("solver.evaluate.lower", None)
    judge(problem, MADE, known)
    with pytest.raises(TypeError):
        judge(problem, other, known)


def test_known_plans_are_judged_the_same_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem(workload=TINY, cluster=BOARDS, job=Job(batch=2), objective="traffic")
    report, found = judge(problem, MADE)
    known = Known()
    again = judge(problem, MADE, known)
    assert (again[0].to_json(), again[1]) == (report.to_json(), found)
    monkeypatch.setattr("solver.evaluate.lower", None)
    assert judge(replace(problem, objective="energy"), MADE, known)[1] == report.energy_j
    with pytest.raises(TypeError):
        judge(replace(problem, settings=Settings(overlap=False)), MADE, known)
