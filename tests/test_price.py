"""Price lists: what a limit costs is the difference of two best plans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import InputError
from solver.api import problem
from solver.evaluate import judge
from solver.plan import Plan, Stage, pipeline_plan
from solver.price import Limit, PriceList, price
from solver.problem import Problem
from solver.status import Status
from tests.limited import least, small_problem

NO_TRUST = Limit("untrusted", 0.0)


def listed(*limits: Limit, seed: int = 1) -> PriceList:
    return price(small_problem(seed, 4), limits, "hybrid_exact")


def test_the_price_of_sending_nothing_to_less_trusted_devices() -> None:
    what = small_problem(1, 4)
    found = listed(NO_TRUST)
    (row,) = found.rows
    free, held = least(what), least(replace(what, at_most={"untrusted": 0.0}))
    assert (found.free.score, row.score) == (pytest.approx(free), pytest.approx(held))
    assert held > free and row.report is not None and row.report.untrusted_bytes == 0
    assert found.change(row, "time") == pytest.approx(held / free - 1)
    assert found.change(row, "untrusted") == -1
    assert found.figures == ("time", "untrusted", "energy", "carbon")


def test_tighter_limits_are_never_cheaper() -> None:
    found = listed(*(Limit("carbon", part, is_part=True) for part in (0.7, 0.9, 1.0)))
    scores = [row.score if row.score is not None else float("inf") for row in found.rows]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] == found.free.score


def test_a_limit_that_the_free_plan_keeps_costs_nothing() -> None:
    found = listed(Limit("energy", 1.0, is_part=True))
    (row,) = found.rows
    assert row.plan is found.free.plan
    assert row.reason == "the plan without the limit keeps it"
    assert found.change(row, "time") == 0


def test_a_limit_that_no_plan_keeps_is_infeasible_and_has_no_figures() -> None:
    found = listed(Limit("energy", 1e-9))
    (row,) = found.rows
    assert (row.status, row.plan, found.change(row, "time")) == (Status.INFEASIBLE, None, None)
    data = found.to_json()["limits"][0]
    assert data["status"] == "INFEASIBLE" and "time" not in data


def test_every_plan_keeps_its_limit() -> None:
    what = small_problem(2, 4)
    for row in listed(NO_TRUST, Limit("energy", 0.9, is_part=True), seed=2).rows:
        if row.plan is not None and row.limit is not None:
            held = replace(what, at_most={row.limit.objective: row.allowed})
            assert judge(held, row.plan)[0].is_feasible


@pytest.mark.parametrize(
    ("limits", "fault"),
    [
        ((), "give one at least"),
        ((Limit("magic", 1.0),), "no objective 'magic'"),
        ((Limit("energy", -1.0), Limit("time", float("nan"))), r"(?s)limits\.0.*limits\.1"),
    ],
)
def test_wrong_limits_are_told(limits: tuple[Limit, ...], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        listed(*limits)


LATE = '''
"""late: finds the fastest board only under a limit."""
from solver.plan import Stage, pipeline_plan
from solver.space import Space
from solver.status import Outcome


def solve(problem, search):
    plans = []
    for board in problem.usable:
        stage = Stage(blocks=problem.workload.order, shares={board: problem.job.batch})
        plans.append(pipeline_plan(problem, [stage], 1))
    plans.sort(key=search.offer if problem.at_most else problem_order(problem))
    if not problem.at_most:
        search.offer(plans[-1])
    return Outcome(Space())


def problem_order(problem):
    from solver.evaluate import judge
    return lambda plan: judge(problem, plan)[1]
'''


def singles(what: Problem) -> list[Plan]:
    shares = [{board: what.job.batch} for board in what.usable]
    stages = [Stage(blocks=what.workload.order, shares=one) for one in shares]
    return [pipeline_plan(what, [stage], 1) for stage in stages]


def test_parts_are_of_the_plan_that_is_shown_even_if_it_is_found_late(tmp_path: Path) -> None:
    path = tmp_path / "late.py"
    path.write_text(LATE)
    what = problem("vit_digits", "four_boards", left_out="off")
    found = price(what, [Limit("time", 1.0, is_part=True), Limit("energy", 0.9, is_part=True)], str(path))
    slow = max(judge(what, plan)[1] for plan in singles(what))
    assert found.free.score is not None and found.free.score < slow
    assert found.rows[0].allowed == found.free.score
