"""Measurements are kept and found again, and the suite's goals are what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from solver.execution.run import RunResult
from solver.execution.trace import DeviceTrace, Trace
from solver.execution.workers.pool import LocalPool
from solver.validation.local import measuring, raw
from solver.validation.local.drawing import COURSES, Drawn, draw
from solver.validation.local.measuring import Measurement, in_time
from solver.validation.suites.local import goals


def drawn(kind: str) -> Drawn:
    found = draw(COURSES[2], kind, 0)
    assert isinstance(found, Drawn)
    return found


def measurement(one: Drawn, step_s: float, **rest: object) -> Measurement:
    names = {row.device for row in one.report.program.rows}
    found = Measurement(one.name, "key", "padded", 1.0, [step_s] * 3, dict.fromkeys(names, 1),
                        dict.fromkeys(names, 1.0), 0, 0, 1, 0.5, 0.0)  # fmt: skip
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


def traced(times_s: list[float], *overruns: list[tuple[str, int, float]], more: int = 0) -> Trace:
    devices = {
        str(k): DeviceTrace(1, 1, (1.0,), {}, tuple(found), len(found) + more)
        for k, found in enumerate(overruns)
    }
    rest = {"losses": (), "reference_losses": (), "start_s": (), "end_s": ()}
    return Trace({}, "padded", 1.0, 0, None, step_times_s=tuple(times_s), devices=devices, **rest)


def test_steps_in_which_a_device_was_late_do_not_count() -> None:
    times = [1.0, 1.5, 1.1, 1.2]
    assert in_time(traced(times, [], [])) == times
    assert in_time(traced(times, [("F", 1, 0.1)], [("F", 1, 0.2), ("update", 3, 0.1)])) == [1.0, 1.1]
    assert in_time(traced(times, [("F", 1, 0.1)], more=1)) == []


def runs_with(monkeypatch: pytest.MonkeyPatch, late: list[list[int]]) -> list[float | None]:
    """Let runs have late steps, run after run; return the dilations they are asked for."""
    asked: list[float | None] = []

    def run(one: Drawn, mode: str, steps: int, dilation: float | None, pool: LocalPool) -> RunResult:
        overruns = [("F", step, 0.1) for step in late[len(asked)]]
        asked.append(dilation)
        trace = replace(traced([2.0 if k in late[len(asked) - 1] else 1.0 for k in range(steps)], overruns))
        return RunResult(one.report, replace(trace, dilation=dilation or 1.0), None)

    monkeypatch.setattr(measuring, "_run", run)
    return asked


def test_one_late_step_is_left_out_and_two_are_a_reason_to_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = runs_with(monkeypatch, [[0, 2], [3]])
    found = measuring.padded(PLANS[0], cast(LocalPool, None), None)
    assert asked == [None, pytest.approx(1.6)]
    assert (found.step_times_s, found.overruns, found.late_steps, found.attempts) == ([1.0] * 3, 0, 3, 2)


def test_a_host_that_is_always_late_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = runs_with(monkeypatch, [[0, 1, 2, 3]] * measuring.ATTEMPTS)
    found = measuring.padded(PLANS[0], cast(LocalPool, None), None)
    assert len(asked) == found.attempts == measuring.ATTEMPTS
    assert (found.step_times_s, found.overruns, found.late_steps) == ([2.0] * 4, 4, 16)


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
