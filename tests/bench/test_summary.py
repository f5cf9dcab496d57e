"""Figures of a bench, worked out by hand."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from solver.bench.summary import groups, shifted_geometric_mean, summary
from solver.space import Space
from tests.bench.lines import line

ASKED = {"suite": "toy", "time_limit_s": 10.0, "work_limit": None, "instances": None}


def by_solver(lines: list[dict]) -> dict[str, dict]:
    return {row["solver"]: row for row in summary(lines, ASKED)["solvers"]}


def test_the_shift_keeps_short_times_from_counting_as_much() -> None:
    # sqrt((0 + 1) * (3 + 1)) - 1 = 1; without the shift it would be 0.
    assert shifted_geometric_mean([0.0, 3.0]) == pytest.approx(1.0)
    assert shifted_geometric_mean([5.0]) == pytest.approx(5.0)


def test_gaps_are_to_the_best_of_the_suite_and_of_all_runs() -> None:
    lines = [
        line("one", "a", 2.0),
        line("one", "b", 3.0),
        line("two", "a", 6.0, best_known=4.0),
        line("two", "b", 5.0, best_known=4.0),
        line("three", "a"),
        line("three", "b", 1.0),
    ]
    rows = by_solver(lines)
    # a: 2/2 and 6/4, no plan of three; b: 3/2, 5/4, 1/1
    assert (rows["a"]["gap_mean"], rows["a"]["gap_max"]) == (pytest.approx(0.25), pytest.approx(0.5))
    assert (rows["b"]["gap_mean"], rows["b"]["gap_median"]) == (pytest.approx(0.25), pytest.approx(0.25))
    assert (rows["a"]["share_solved"], rows["b"]["share_solved"]) == (pytest.approx(2 / 3), 1.0)
    assert (rows["a"]["share_at_best"], rows["b"]["share_at_best"]) == (pytest.approx(1 / 3),) * 2
    assert [row["solver"] for row in summary(lines, ASKED)["solvers"]] == ["b", "a"]  # solved counts first


def test_runs_without_an_answer_count_with_the_time_limit() -> None:
    lines = [line("one", "a", 1.0, wall_s=3.0), line("two", "a", wall_s=0.1), line("two", "b", 1.0)]
    # sqrt((3 + 1) * (10 + 1)) - 1
    assert by_solver(lines)["a"]["time_sgm_s"] == pytest.approx(44**0.5 - 1)


def test_new_best_scores_are_counted() -> None:
    lines = [
        line("one", "a", 2.0, best_known=3.0),
        line("two", "a", 3.0, best_known=3.0),
        line("x", "a", 1.0),
    ]
    assert by_solver(lines)["a"]["num_better_than_known"] == 1


def test_a_proof_counts_if_nobody_has_a_better_plan_or_looked_further() -> None:
    wide, narrow = asdict(Space(max_group=None)), asdict(Space(max_stages=1))
    lines = [
        line("one", "a", 2.0, status="OPTIMAL", space=wide),
        line("one", "b", 2.0, status="OPTIMAL", space=narrow),
        line("two", "a", 2.0, status="OPTIMAL", space=wide),
        line("two", "b", 1.0, space=narrow),
        line("three", "b", 1.0, status="OPTIMAL", space=narrow),
    ]
    rows = by_solver(lines)
    assert rows["a"]["share_proven"] == 1 / 2  # two has a better plan
    assert rows["b"]["share_proven"] == 1 / 3  # on one, a looked further


def test_infeasible_solves_a_case_of_which_nobody_has_a_plan() -> None:
    lines = [
        line("one", "a", status="INFEASIBLE"),
        line("two", "a", status="INFEASIBLE"),
        line("two", "b", 1.0),
    ]
    rows = by_solver(lines)
    for word in ("share_solved", "share_proven", "share_at_best"):
        assert rows["a"][word] == 0.5


def test_failures_and_declined_runs_are_counted_and_listed() -> None:
    lines = [
        line("one", "a", status="FAILED", failure="hang", reason="too long"),
        line("one", "b", status="DECLINED"),
    ]
    found = summary(lines, ASKED)
    assert found["num_failed"] == 1
    assert found["failures"] == [
        {"case": "one", "solver": "a", "seed": 0, "failure": "hang", "reason": "too long"}
    ]
    assert by_solver(lines)["b"]["num_declined"] == 1


def test_groups_are_words_with_a_few_values() -> None:
    lines = [
        line(
            str(i), "a", 1.0, variant=("v", "w")[i % 2], parameters={"regime": i % 3, "same": 1, "number": i}
        )
        for i in range(20)
    ]
    found = groups(lines)
    assert {word: list(parts) for word, parts in found.items()} == {
        "variant": ["v", "w"],
        "regime": [0, 1, 2],
    }
    assert len(found["variant"]["v"]) == 10


def test_a_case_shows_the_best_run_of_every_solver() -> None:
    (case,) = summary(
        [line("one", "a", 3.0, seed=0), line("one", "a", 2.0, seed=1), line("one", "b")], ASKED
    )["cases"]
    assert (case["reference"], case["reached_by"]) == (2.0, ["a"])
    assert case["solvers"]["a"]["seed"] == 1
    assert case["solvers"]["b"]["score"] is None
