"""Solve: the evaluator alone says what a plan is worth; how a solve can end."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from models.cluster import Cluster
from models.errors import InputError
from models.workload import Workload
from solver import catalog
from solver.errors import InternalError, SolverError
from solver.evaluate import judge
from solver.job import Job
from solver.plan import Stage, pipeline_plan
from solver.problem import Problem
from solver.solve import solve
from solver.status import Status

HEAD = """from solver.plan import Stage, pipeline_plan
from solver.space import Space
from solver.status import Outcome
"""
WHOLE = "pipeline_plan(problem, [Stage(blocks=problem.workload.order, shares={NAME: 4})], 1)"


def problem(memory_bytes: float = 1e9, **words: object) -> Problem:
    """Block a: 1 Gflop forward, 1 for its weights; block b: 1 forward, 2 backward. 4 samples are 20 Gflop:
    20 s on the slow board of 1 Gflop/s, 5 s on the fast one of 4."""
    block = {"forward_flop": 1e9, "backward_input_flop": 1e9, "backward_weight_flop": 1e9}
    blocks = [{"name": name, "weight_bytes": 400, "output_bytes": 100, **block} for name in "ab"]
    devices = [
        {"name": name, "flop_per_s": {"fp32": speed}, "memory_bytes": memory_bytes}
        for name, speed in (("slow", 1e9), ("fast", 4e9))
    ]
    net = {"name": "net", "members": ["slow", "fast"], "bandwidth_bytes_per_s": 1e6}
    return Problem(
        Workload.model_validate({"name": "w", "blocks": blocks, "edges": [{"source": "a", "target": "b"}]}),
        Cluster.model_validate({"name": "c", "devices": devices, "segments": [net]}),
        Job(batch=4),
        **words,
    )


def solver_file(folder: Path, body: str) -> str:
    path = folder / "mine.py"
    path.write_text(f"{HEAD}\ndef solve(problem, search):\n{body}\n")
    return str(path)


def test_the_score_is_the_evaluators(tmp_path: Path) -> None:
    body = f"    return Outcome(Space(), plan={WHOLE.replace('NAME', repr('fast'))})"
    solution = solve(problem(), solver_file(tmp_path, body))
    assert (solution.status, solution.score, solution.bound, solution.gap) == (
        Status.FEASIBLE,
        5.0,
        None,
        None,
    )


def test_optimal_means_bound_is_score(tmp_path: Path) -> None:
    body = f"    return Outcome(Space(), plan={WHOLE.replace('NAME', repr('fast'))}, bound=5.0)"
    solution = solve(problem(), solver_file(tmp_path, body))
    assert (solution.status, solution.gap) == (Status.OPTIMAL, 0.0)


def test_a_bound_above_the_score_is_a_lie(tmp_path: Path) -> None:
    body = f"    return Outcome(Space(), plan={WHOLE.replace('NAME', repr('fast'))}, bound=6.0)"
    with pytest.raises(InternalError, match=r"bound 6\.0 is above the evaluator's score 5\.0"):
        solve(problem(), solver_file(tmp_path, body))


def test_the_best_plan_offered_is_kept(tmp_path: Path) -> None:
    offers = "".join(
        f"    search.offer({WHOLE.replace('NAME', repr(name))})\n" for name in ("slow", "fast", "slow")
    )
    solution = solve(problem(), solver_file(tmp_path, offers + "    return Outcome(Space())"))
    assert solution.score == 5.0
    assert [incumbent.score for incumbent in solution.incumbents] == [20.0, 5.0]


def test_a_plan_that_breaks_a_limit_is_no_answer(tmp_path: Path) -> None:
    body = f"    return Outcome(Space(), plan={WHOLE.replace('NAME', repr('fast'))}, infeasible=True)"
    solution = solve(problem(memory_bytes=1000), solver_file(tmp_path, body))
    assert (solution.status, solution.plan, solution.score) == (Status.INFEASIBLE, None, None)
    assert "device fast needs 1600 bytes and has 1000: 600 too many" in solution.reason


def test_memory_that_no_cut_can_save_is_proven_infeasible(tmp_path: Path) -> None:
    """Two blocks of 400 bytes of weights and as many of gradients: 1600 bytes; the boards have 700 each."""
    solution = solve(problem(memory_bytes=700), solver_file(tmp_path, "    return Outcome(Space())"))
    assert solution.status is Status.INFEASIBLE
    assert (
        "need 1600 bytes wherever they are held, and all devices together have 1400: 200" in solution.reason
    )


def test_a_work_limit_ends_the_search_with_its_best_plan(tmp_path: Path) -> None:
    body = (
        f"    while True:\n        search.offer({WHOLE.replace('NAME', repr('slow'))})\n        search.tick()"
    )
    solution = solve(problem(), solver_file(tmp_path, body), work_limit=3)
    assert (solution.status, solution.score) == (Status.FEASIBLE, 20.0)
    assert solution.reason == "work limit of 3 units"


def test_a_time_limit_ends_the_search(tmp_path: Path) -> None:
    solution = solve(
        problem(), solver_file(tmp_path, "    while True:\n        search.tick()"), time_limit_s=0.05
    )
    assert (solution.status, solution.plan) == (Status.UNKNOWN, None)
    assert solution.reason == "time limit of 0.05 s"


def test_interrupting_keeps_the_best_plan(tmp_path: Path) -> None:
    body = f"    search.offer({WHOLE.replace('NAME', repr('slow'))})\n    while True:\n        search.tick()"
    timer = threading.Timer(0.3, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    solution = solve(problem(), solver_file(tmp_path, body), time_limit_s=30)
    timer.join()
    assert (solution.status, solution.score, solution.reason) == (Status.FEASIBLE, 20.0, "interrupted")


def test_a_start_plan_counts() -> None:
    what = problem()
    start = pipeline_plan(what, [Stage(blocks=("a", "b"), shares={"fast": 4})], 1)
    solution = solve(what, "pipeline_even", start=start)
    assert solution.score is not None and solution.score <= 5.0


def test_declining_is_an_answer_with_a_reason(tmp_path: Path) -> None:
    body = "    from solver.errors import DeclinedError\n    raise DeclinedError('only chains')"
    solution = solve(problem(), solver_file(tmp_path, body))
    assert (solution.status, solution.reason) == (Status.DECLINED, "only chains")


def test_an_unknown_solver_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean single"):
        solve(problem(), "singel")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("def solve(:\n", "is broken"),
        ("x = 1\n", r"has no function solve\(problem, search\)"),
        ("def solve(problem):\n    pass\n", r"solve must take \(problem, search\)"),
    ],
)
def test_a_broken_solver_file_is_a_clear_error(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(InputError, match=fault):
        solve(problem(), str(path))


def test_a_missing_solver_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        solve(problem(), str(tmp_path / "none.py"))


def test_a_broken_file_in_the_folder_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zz_broken.py").write_text("raise RuntimeError('no')\n")
    monkeypatch.setattr(catalog, "FOLDER", tmp_path)
    (entry,) = catalog.entries()
    assert (entry.name, entry.error is not None) == ("zz_broken", True)


def test_a_bound_says_nothing_of_a_start_plan_outside_its_space(tmp_path: Path) -> None:
    """The slow board takes 20 s; both by samples take 5 s and a little: the space says that they count."""
    what = problem()
    start = pipeline_plan(what, [Stage(blocks=("a", "b"), shares={"slow": 1, "fast": 3})], 1)
    body = f"    return Outcome(Space(), plan={WHOLE.replace('NAME', repr('slow'))}, bound=20.0)"
    solution = solve(what, solver_file(tmp_path, body), start=start)
    assert solution.plan == start and solution.score is not None
    assert solution.bound == solution.score < 5.1
    assert "and the plans of other kinds that were looked at" in str(solution.space)


def test_a_bound_above_a_start_plan_of_its_space_is_a_lie(tmp_path: Path) -> None:
    what = problem()
    start = pipeline_plan(what, [Stage(blocks=("a", "b"), shares={"fast": 4})], 1)
    body = "    return Outcome(Space(), bound=6.0)"
    with pytest.raises(InternalError, match=r"bound 6\.0 is above"):
        solve(what, solver_file(tmp_path, body), start=start)


def test_bounds_are_kept_over_time_and_the_widest_when_stopped(tmp_path: Path) -> None:
    body = f"""    search.offer({WHOLE.replace("NAME", repr("fast"))})
    search.bound(4.5, Space())
    search.bound(3.0, Space(max_group=None))
    search.bound(4.0, Space(max_group=None))
    while True:
        search.tick()"""
    solution = solve(problem(), solver_file(tmp_path, body), work_limit=3)
    assert [one.value for one in solution.bounds] == [4.5, 3.0, 4.0]
    assert (solution.bound, solution.space.max_group) == (4.0, None)
    assert [one["bound"] for one in solution.to_json()["bounds"]] == [4.5, 3.0, 4.0]


def test_a_start_plan_of_another_job_is_a_clear_error() -> None:
    """One sample of four: its score would be that of less work."""
    what = problem()
    less = replace(what, job=Job(batch=1, optimizer="adamw"))
    start = pipeline_plan(less, [Stage(blocks=("a", "b"), shares={"fast": 1})], 1)
    with pytest.raises(InputError) as caught:
        solve(what, "single", start=start)
    assert [(one.path, one.message) for one in caught.value.faults] == [
        ("job.batch", "the start plan was made for 1, the problem has 4"),
        ("job.optimizer", "the start plan was made for 'adamw', the problem has 'sgd'"),
    ]


def test_a_start_plan_leaves_devices_out_as_the_problem_does() -> None:
    start = pipeline_plan(problem(), [Stage(blocks=("a", "b"), shares={"fast": 4})], 1)
    solution = solve(problem(left_out="off"), "pipeline_even", start=start)
    assert solution.plan is not None and solution.plan.left_out == "off"


def test_a_plan_that_leaves_devices_out_in_another_way_breaks_the_rules() -> None:
    plan = pipeline_plan(problem(left_out="off"), [Stage(blocks=("a", "b"), shares={"fast": 4})], 1)
    report, _ = judge(problem(), plan)
    (violation,) = report.violations
    assert violation.message == "left-out devices are off in the plan, idle in the problem"


def test_a_start_plan_is_judged_under_the_limits_of_the_problem() -> None:
    """The fast board needs 5 s; the start plan was made without a deadline."""
    start = pipeline_plan(problem(), [Stage(blocks=("a", "b"), shares={"fast": 4})], 1)
    strict = replace(problem(), job=Job(batch=4, deadline_s=4.0))
    assert solve(strict, "single", start=start).status is Status.INFEASIBLE


def test_a_plan_that_does_less_than_the_job_is_no_answer(tmp_path: Path) -> None:
    """A quarter of the samples takes a quarter of the 5 s."""
    body = """    from dataclasses import replace
    from solver.job import Job
    less = replace(problem, job=Job(batch=1))
    stage = Stage(blocks=problem.workload.order, shares={"fast": 1})
    return Outcome(Space(), plan=pipeline_plan(less, [stage], 1))"""
    solution = solve(problem(), solver_file(tmp_path, body))
    assert (solution.status, solution.plan) == (Status.UNKNOWN, None)
    assert "the plan is for batch 1, the problem has 4" in solution.reason


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("None", "returned None; it must return a"),
        ("{'plan': 3}", r"returned \{'plan': 3\}; it must return a"),
        ("Outcome(Space(), bound=float('nan'))", "the bound nan; it must be a number or None"),
        ("Outcome(Space(), bound='low')", "the bound 'low'; it must be a number or None"),
        ("Outcome(None)", "the space None; it must be a space"),
        ("Outcome(Space(), plan=3)", "the plan 3; it must be a plan"),
    ],
)
def test_an_outcome_that_cannot_be_used_is_a_clear_error(tmp_path: Path, answer: str, fault: str) -> None:
    with pytest.raises(SolverError, match=fault):
        solve(problem(), solver_file(tmp_path, f"    return {answer}"))


def test_infeasible_beside_a_plan_of_the_same_space_is_a_lie(tmp_path: Path) -> None:
    body = f"    return Outcome(Space(), plan={WHOLE.replace('NAME', repr('fast'))}, infeasible=True)"
    with pytest.raises(InternalError, match=r"no plan keeps every limit; one does, of 5\.0"):
        solve(problem(), solver_file(tmp_path, body))
