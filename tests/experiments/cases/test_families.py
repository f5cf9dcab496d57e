"""Families of parallelism: one of each kind of subset and order, and the best plan of each family."""

from __future__ import annotations

from experiments.cases.any_mode import any_mode
from experiments.cases.families import distinct_orders, family_plans, least, scores, subsets
from experiments.cases.regimes import Network, boards_of, over
from experiments.frame.ours import score_of
from models import catalog
from solver.job import Job
from solver.problem import Problem
from solver.solve import solve


def problem(cluster: str, num: int = 4) -> Problem:
    boards = boards_of(cluster)[:num]
    return Problem(catalog.workload("vit_digits"), over(boards, Network("switch", 100), "few"), Job(batch=4))


def test_equal_boards_stand_for_one_another() -> None:
    assert [len(names) for names in subsets(problem("nano_x4"))] == [2, 3, 4]
    assert len(distinct_orders(problem("nano_x4"))) == 1


def test_unequal_boards_do_not() -> None:
    assert len(list(subsets(problem("jetson_mixed")))) == 6 + 4 + 1
    assert len(distinct_orders(problem("jetson_mixed"))) == 24


def test_families_are_at_least_as_good_as_their_textbook_solvers() -> None:
    asked = problem("jetson_mixed", 3)
    found = scores(asked, family_plans(asked))
    assert found["single"] == solve(asked, "single").score
    for family, solver in (
        ("data", "data_parallel"),
        ("pipeline", "pipeline_even"),
        ("tensor", "tensor_parallel"),
    ):
        textbook, mine = solve(asked, solver).score, found[family]
        assert mine is not None and (textbook is None or mine <= textbook)


def test_the_least_passes_over_what_does_not_fit() -> None:
    asked = problem("jetson_mixed", 2)
    single = solve(asked, "single").plan
    assert single is not None
    late = single.model_copy(update={"job": asked.job.model_copy(update={"batch": 4})})
    assert least(asked, [None, late]) == late
    assert least(asked, [None]) is None


def test_a_descent_over_modes_is_never_worse_than_its_starts() -> None:
    asked = problem("nano_x4", 2)
    starts = [plan for plan in family_plans(asked).values() if plan is not None]
    found = any_mode(asked, starts, evaluations=40)
    assert found is not None
    known = [score for plan in starts if (score := score_of(asked, plan)) is not None]
    assert score_of(asked, found) <= min(known)  # type: ignore[operator]
    assert any_mode(asked, starts, evaluations=0) == least(asked, starts)


def test_a_descent_leaves_a_mode_that_does_not_suit() -> None:
    asked = problem("nano_x4", 2)
    sequence = solve(asked, "sequence_parallel").plan
    assert sequence is not None
    found = any_mode(asked, [sequence], evaluations=40)
    assert found is not None
    before, after = score_of(asked, sequence), score_of(asked, found)
    assert before is not None and after is not None and after < before
    assert any(stage.mode != "sequence" for stage in found.pipelines[0].stages)
