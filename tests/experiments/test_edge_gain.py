"""Gains on the suite `edge`: figures by hand, and the steps on small problems."""

from __future__ import annotations

import math
from typing import Any

import pytest

from experiments import edge_gain
from experiments.cases.edge_steps import STEPS, asteroid_steps, falling, with_algorithm_1
from experiments.edge_gain import FREE, saved, scores_of
from solver.plan import Stage, pipeline_plan
from solver.solve import solve
from tests.algorithms.cases import chain, cluster, problem


def line(
    solver: str, score: float | None, variant: str = "default", instance: str = "a_on_4"
) -> dict[str, Any]:
    return {
        "instance": instance,
        "variant": variant,
        "solver": solver,
        "score": score,
        "failure": None,
        "gap": None if score is None else 0.1,
        "parameters": {},
        "labels": {"regime": "slow", "boards": "drawn", "memory": "tight"},
    }


def test_scores_are_of_the_default_rule_but_for_best_with_the_cap_free() -> None:
    lines = [
        *(line("asteroid", 10.0), line("best", 8.0), line("best", 6.0, "free"), line("single", None)),
        line("asteroid", 9.0, "free"),
        {**line("dapple", 1.0), "failure": "lie"},
    ]
    assert scores_of(lines) == {"a_on_4": {"asteroid": 10.0, "best": 8.0, FREE: 6.0}}


def test_each_rule_has_its_own_run() -> None:
    found = scores_of([line("best", 8.0), line("best", 9.0, "free")])
    assert found["a_on_4"] == {"best": 8.0, FREE: 9.0}


def test_time_saved_is_a_part_of_the_others_time() -> None:
    scores = {"best": 8.0, "asteroid": 10.0}
    assert saved(scores, "best", "asteroid") == pytest.approx(0.2)
    assert saved(scores, "best", "single") is None


def test_steps_fall_and_start_where_there_is_a_plan() -> None:
    found = falling({"subset": 5.0, "judged": 6.0, "shares": 4.0})
    assert list(found) == list(STEPS)
    assert list(found.values()) == [math.inf, 5, 5, 5, 5, 4, 4]


def test_the_evaluator_chooses_no_worse_than_the_formula() -> None:
    what = problem(chain(3), cluster({"x": 4.0, "y": 2.0, "z": 1.0}, rate=2.0), batch=8, num_micro_batches=4)
    steps = asteroid_steps(what, None, num_drawn=2)
    subset = solve(what, "asteroid_subsets")
    assert subset.score is not None
    assert steps["judged"] <= subset.score * (1 + 1e-9)


def test_algorithm_1_in_place_of_lopsided_shares() -> None:
    """Boards of 2 and 1 flop/s, 6 samples a micro-batch, one of them, 2 + 2 flop: 4 and 2 samples take 8 s
    (and a ring of a byte next to nothing), 1 and 5 take 20 s."""
    what = problem(chain(1), cluster({"x": 2.0, "y": 1.0}), batch=6, num_micro_batches=1)
    plan = pipeline_plan(what, [Stage(blocks=("a",), shares={"x": 1, "y": 5})], 1)
    assert with_algorithm_1(what, plan) == pytest.approx(8.0, rel=1e-6)


def test_who_beats_best_is_named_where_best_ran() -> None:
    lines = [
        line("best", 8.0),
        line("dapple", 7.0),
        line("best", 6.0, "free"),
        line("single", 5.0, instance="b"),
    ]
    rows = edge_gain._worse(scores_of(lines), lines)
    assert rows[0] == "- a_on_4, default: dapple 7 s, best 8 s"
    assert "free" in rows[1]
    assert "never worse" in rows[1]
    assert "on 1 problems" in rows[1]


def test_a_step_is_counted_in_points_of_the_base() -> None:
    """10, 8, 8, 6, 6, 5, 5: of the first 20, 0, 20, 0, 10, 0 points."""
    steps = dict(zip(STEPS, (10.0, 8, 8, 6, 6, 5, 5), strict=True))
    assert edge_gain._points([steps], "published", STEPS[1:]) == ["20.0", "0.0", "20.0", "0.0", "10.0", "0.0"]
