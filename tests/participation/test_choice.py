"""Rules and choices: what they take, and that the exact one is the best of all groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from models.errors import InputError
from solver.participation.choice import Choice, choose, compare_all
from solver.participation.coalitions import Coalitions
from solver.participation.document import document_of
from solver.participation.planner import Planner, planner_for
from solver.participation.rules import RULES, by_memory, by_speed, rule_of
from solver.participation.together import together
from solver.plan import participants_of
from solver.solve import solve
from solver.status import Solution
from tests.participation import boards

PLANNER = Planner("hybrid_exact", 4000)


def choice(rule: str = "exact", *, speeds: list[float], mbyte_per_s: float = 50.0, **words: object) -> Choice:
    return choose(Coalitions(boards.problem(speeds, mbyte_per_s, **words), PLANNER), rule)


def test_slow_links_leave_all_but_the_fastest_out() -> None:
    """At 1 kB/s a message of 1 to 100 kB takes seconds to minutes; alone d1 takes 4 samples in less."""
    found = choice(speeds=[1, 2, 1], mbyte_per_s=1e-3)
    assert found.chosen.group == ("d1",)


def test_fast_links_take_all_equal_boards() -> None:
    found = choice(speeds=[1, 1], mbyte_per_s=1e6)
    assert found.chosen.group == ("d0", "d1")


def test_leaving_somebody_out_is_worth_more_when_it_may_be_switched_off() -> None:
    """Energy: with a switched-off board the step costs less by its 2 W idle times the step's seconds."""
    idle = choice("fastest_1", speeds=[1, 2], objective="energy")
    off = choice("fastest_1", speeds=[1, 2], objective="energy", left_out="off")
    assert idle.chosen.found is not None and off.chosen.found is not None
    seconds = idle.chosen.found.report.step_time_s
    assert idle.chosen.found.score - off.chosen.found.score == pytest.approx(2 * seconds, rel=1e-9)


def test_orders_are_by_speed_and_by_memory() -> None:
    coalitions = Coalitions(boards.problem([1, 3, 2]), PLANNER)
    assert by_speed(coalitions) == ["d1", "d2", "d0"]
    assert by_memory(coalitions) == ["d0", "d1", "d2"]
    assert rule_of("fastest_2")(coalitions) == coalitions.counts(["d1", "d2"])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("objective", ["time", "energy"])
def test_the_exact_rule_is_the_optimum_and_no_rule_is_better(seed: int, objective: str) -> None:
    problem = boards.problem([1, 2, 1], 2.0, seed, objective=objective)
    coalitions = Coalitions(problem, PLANNER)
    found = choose(coalitions, "exact", compare_all())
    best = solve(problem, "hybrid_exact")
    assert found.chosen.found is not None and best.score is not None
    assert found.chosen.found.score == pytest.approx(best.score, rel=1e-12)
    for one in found.compared:
        assert one.found is None or one.found.score >= found.chosen.found.score
        assert one.found is None or participants_of(one.found.plan) == set(one.group)
    assert {one.rule for one in found.compared} == set(RULES)


def test_equal_boards_are_planned_for_once() -> None:
    """Four equal boards have four groups, and one more question to all at once."""
    found = choice(speeds=[1, 1, 1, 1])
    assert found.num_groups == 5


def test_changes_say_who_leaves_and_who_comes() -> None:
    found = choice("single", speeds=[1, 2])
    assert [(c.device, c.takes_part) for c in found.changes] == [("d0", False), ("d1", True)]
    assert found.changes[0].found is not None and found.changes[0].found.participants == {"d0", "d1"}
    assert found.changes[1].found is None  # nobody is left


def test_unknown_rules_are_faults_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match="no rule is called 'fastest_0'; there are: all, single"):
        choice("fastest_0", speeds=[1, 2])


def test_a_part_of_a_group_counts_for_the_group() -> None:
    """Whatever is known of d1 alone is known of every group with d1."""
    coalitions = Coalitions(boards.problem([1, 2, 1], 1e-3), PLANNER)
    alone = coalitions.of_all(coalitions.counts(["d1"]))
    assert alone is not None
    assert coalitions.best_known(coalitions.size) is alone
    assert coalitions.best_known(coalitions.counts(["d0"])) is None


def test_what_is_heard_of_equal_boards_counts_for_the_first_of_them() -> None:
    problem = boards.problem([1, 2, 1])
    coalitions = Coalitions(problem, PLANNER)
    plan = solve(replace(problem, participants=frozenset({"d2"})), "single").plan
    assert plan is not None and participants_of(plan) == {"d2"}
    assert coalitions.hear(plan).participants == {"d0"}


@pytest.mark.parametrize("num", [2, 4, 5])
def test_the_plan_to_begin_from_has_everybody_in_it(num: int) -> None:
    """Up to 4 samples: one stage; five boards have too few samples, and five blocks are not there."""
    problem = replace(boards.problem([1.0, 2.0, 3.0, 4.0, 5.0][:num]), num_micro_batches=1)
    plan = together(problem, frozenset(problem.usable))
    assert (plan is None) == (num == 5)
    assert plan is None or participants_of(plan) == set(problem.usable)


def test_many_groups_get_the_quick_planner_unless_somebody_is_named() -> None:
    assert planner_for(64, None, None, 0) == Planner("best", 300, 0)
    assert planner_for(65, None, None, 0) == Planner("local_search", 60, 0)
    assert planner_for(65, "best", None, 1) == Planner("best", 300, 1)
    assert planner_for(65, None, 7, 0).work_limit == 7


def test_no_plan_at_all_is_an_answer() -> None:
    found = choice(speeds=[1, 2], at_most={"time": 1e-9})
    assert found.chosen.found is None and found.changes == ()


def test_beyond_ten_devices_the_exact_rule_searches_and_no_rule_is_better() -> None:
    coalitions = Coalitions(boards.problem([1] * 6 + [2] * 5, 5.0), Planner("local_search", 4))
    found = choose(coalitions, "exact", ("all", "single", "fastest", "asteroid"))
    assert found.chosen.found is not None
    assert all(
        one.found is None or one.found.score >= found.chosen.found.score * (1 - 1e-12)
        for one in found.compared
    )


def test_when_time_runs_out_the_best_so_far_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that a group takes a second of: three groups of boards fit into a limit of three seconds."""
    now = [0.0]
    monkeypatch.setattr("solver.participation.coalitions.time.monotonic", lambda: now[0])
    given: list[float] = []

    class Slow(Planner):
        def __call__(self, *words: Any, time_limit_s: float, **more: Any) -> Solution:
            now[0] += 1
            given.append(time_limit_s)
            return super().__call__(*words, **more)

    slow = Coalitions(boards.problem([1, 2, 3], 1e-3), Slow("single", 300), time_limit_s=3.0)
    told: list[str] = []
    found = choose(slow, "exact", (), told.append)
    assert found.was_stopped and given == [3.0, 2.0, 1.0]
    # Alone the fastest is best; the boards are planned for in the order d2, d1, d0.
    assert found.chosen.group == ("d2",) and found.num_groups == 3
    assert told[:4] == ["rule exact", *(f"rule exact, group {n} of at most 7" for n in (1, 2, 3))]
    made = document_of(slow, found)
    assert made is not None and made.stopped_after_s == 3.0
    # Who would leave leaves nobody; nobody looked at two boards, and so nothing is said of them.
    assert [change.device for change in found.changes] == ["d2"]


def test_rules_that_time_did_not_reach_are_not_compared() -> None:
    late = Coalitions(boards.problem([1, 2]), PLANNER, time_limit_s=0.0)
    found = choose(late, "add", compare_all())
    assert [one.rule for one in found.compared] == ["add"]
    assert found.chosen.found is None and found.was_stopped and found.num_groups == 0


def test_with_time_to_spare_nothing_was_stopped() -> None:
    found = choose(Coalitions(boards.problem([1, 2]), PLANNER, time_limit_s=1e6), "exact")
    assert not found.was_stopped and found.chosen.found is not None
