"""Figures of predictions, by hand."""

from __future__ import annotations

import pytest

from solver.validation.findings import Findings, Goal, Part, Prediction, Run, Split
from solver.validation.metrics import concordance, kendall_tau, mape, relative_error


def test_relative_error_and_mean() -> None:
    assert relative_error(2.0, 2.5) == 0.25
    assert mape([(2.0, 2.5), (4.0, 3.0), (1.0, 1.0)]) == pytest.approx((0.25 + 0.25 + 0.0) / 3)
    assert mape([]) is None


def test_pairs_are_right_wrong_or_told_apart_by_one_side() -> None:
    # 1 < 2 right, 1 < 3 right, 2 < 3 wrong
    assert concordance([(1.0, 10.0), (2.0, 30.0), (3.0, 20.0)]) == (2, 1, 0)
    assert concordance([(1.0, 10.0), (2.0, 10.0)]) == (0, 0, 1)
    assert concordance([(1.0, 10.0), (1.0, 10.0)]) == (0, 0, 0)


def test_tau_counts_pairs_inside_groups_only() -> None:
    first, second = [(1.0, 1.0), (2.0, 2.0)], [(1.0, 9.0), (2.0, 8.0), (3.0, 9.5)]
    assert kendall_tau([first]) == 1.0
    # 1 right; then 1 wrong, 2 right
    assert kendall_tau([first, second]) == (3 - 1) / 4
    assert kendall_tau([[(1.0, 1.0)], []]) is None


def findings() -> Findings:
    runs = (
        Run("a", "x", 1.0, 100),
        Run("b", "x", 2.0, None),
        Run("c", "y", 4.0, 200),
        Run("d", "y", None, None),
    )
    times = {"a": 1.1, "b": 1.0, "c": 4.0, "d": 7.0}
    predictions = {name: Prediction(seconds, 110) for name, seconds in times.items()}
    halves = Split(
        "halves", (Part("x", {n: predictions[n] for n in "ab"}), Part("c", {"c": predictions["c"]}))
    )
    return Findings("toy", runs, predictions, splits=(halves,))


def test_summary_by_hand() -> None:
    found = findings().summary()
    assert found.num_runs == 4
    assert found.mape == pytest.approx((0.1 + 0.5 + 0.0) / 3)
    assert found.max_error == pytest.approx(0.5)
    # a and b lie in one group, in the wrong order; c is above both
    assert (found.num_plan_pairs, found.num_wrong_pairs, found.plan_tau) == (1, 1, -1.0)
    assert found.tau == pytest.approx((2 - 1) / 3)
    assert found.memory_mape == pytest.approx((0.1 + 0.45) / 2)
    assert found.memory_max_error == pytest.approx(0.45)


def test_json_has_every_prediction_and_the_parts() -> None:
    data = findings().to_json()
    assert list(data) == ["suite", "predictions", "summary"]
    assert data["predictions"]["d"] == {"iteration_s": 7.0, "peak_bytes": 110}
    halves = data["summary"]["splits"]["halves"]
    assert list(halves) == ["x", "c", "together"]
    assert halves["x"]["mape"] == pytest.approx(0.3)
    assert halves["together"]["num_runs"] == 3


def test_without_measurements_there_are_predictions_and_no_figures() -> None:
    found = Findings("toy", (Run("a", "x", None),), {"a": Prediction(1.0)}).summary()
    assert (found.num_runs, found.mape, found.tau, found.memory_mape) == (1, None, None, None)


@pytest.mark.parametrize(
    ("value", "at_least", "met"), [(0.1, False, True), (0.2, False, False), (0.2, True, True)]
)
def test_goal_is_met_up_to_its_limit(value: float, at_least: bool, met: bool) -> None:
    assert Goal("error", value, 0.1, at_least=at_least).is_met is met
