"""Measurements are kept and found again, and the suite's goals are what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from solver.validation.local import measuring, raw
from solver.validation.local.drawing import COURSES, Drawn, draw
from solver.validation.local.measuring import Measurement
from solver.validation.suites.local import goals


def drawn(kind: str) -> Drawn:
    found = draw(COURSES[2], kind, 0)
    assert isinstance(found, Drawn)
    return found


def measurement(one: Drawn, step_s: float, **rest: object) -> Measurement:
    names = {row.device for row in one.report.program.rows}
    found = Measurement(one.name, "key", "padded", 1.0, [step_s] * 3, dict.fromkeys(names, 1),
                        dict.fromkeys(names, 1.0), 0, 1, 0.5, 0.0)  # fmt: skip
    return replace(found, **rest)


PLANS = [drawn("data"), drawn("pipeline")]


def test_a_kept_measurement_is_not_made_again(tmp_path: Path) -> None:
    calls: list[str] = []

    def run(key: str) -> Measurement:
        calls.append(key)
        return measurement(PLANS[0], 1.0, key=key)

    first, again = (measuring.kept(PLANS[0], "padded", tmp_path, run) for _ in range(2))
    assert first == again and len(calls) == 1
    measuring.kept(PLANS[0], "raw", tmp_path, run)
    measuring.kept(PLANS[0], "padded", None, run)
    assert len(calls) == 3


def test_a_measurement_of_another_plan_is_made_again(tmp_path: Path) -> None:
    measuring.kept(PLANS[0], "padded", tmp_path, lambda key: measurement(PLANS[0], 1.0, key=key))
    other = replace(PLANS[0], plan=PLANS[1].plan)
    found = measuring.kept(other, "padded", tmp_path, lambda key: measurement(other, 2.0, key=key))
    assert found.step_time_s == 2.0


def test_goals_are_errors_order_and_numbers() -> None:
    first, second = (one.report.step_time_s for one in PLANS)
    measured = {
        PLANS[0].name: measurement(PLANS[0], first / 1.02),
        PLANS[1].name: measurement(PLANS[1], second / 0.96),
    }
    middle, largest, tau, plans, workloads = goals(PLANS, measured)
    assert middle.value == pytest.approx(0.03) and largest.value == pytest.approx(0.04)
    assert tau.value == 1.0 and tau.is_met
    assert (plans.value, workloads.value) == (2, 1) and not plans.is_met and not workloads.is_met


def test_plans_in_the_wrong_order_miss_the_goal() -> None:
    first, second = (one.report.step_time_s for one in PLANS)
    assert max(first, second) > 1.03 * min(first, second)
    measured = {PLANS[0].name: measurement(PLANS[0], second), PLANS[1].name: measurement(PLANS[1], first)}
    assert goals(PLANS, measured)[2].value == -1.0


def test_raw_steps_are_predicted_from_the_rate_of_one_plan() -> None:
    speed = raw._on_host(PLANS[0], 1e9)
    busy = {name: 2 * seconds for name, seconds in speed.busy_s.items() if seconds}
    measured = {PLANS[0].name: measurement(PLANS[0], 1.0, busy_s=busy)}
    found = raw.predicted(PLANS, measured)
    assert found[PLANS[1].name] == pytest.approx(raw._on_host(PLANS[1], 5e8).step_time_s)
