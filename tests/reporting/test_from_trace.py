from dataclasses import replace

import pytest

from solver.execution.trace import DeviceTrace, Trace
from solver.report import Report
from solver.reporting.from_trace import measured_of
from tests.reporting.cases import example


def trace(report: Report, failure: dict[str, object] | None = None) -> Trace:
    """Three steps, the second of which has the median time; the last instruction was never measured."""
    start, end = report.timeline.start_s.tolist(), report.timeline.end_s.tolist()
    starts = tuple((*(step + at for at in start[:-1]), None) for step in range(3))
    ends = tuple((*(step + at for at in end[:-1]), None) for step in range(3))
    device = DeviceTrace(
        peak_memory_bytes=5, static_bytes=2, busy_s=(1.0, 1.0, 1.0), sent_bytes={"dev2": 300},
        overruns=(("F", 1, 0.1),),
    )  # fmt: skip
    return Trace(
        plan={}, mode="padded", dilation=2.0, seed=0, learning_rate=0.1, losses=(3.0, 2.0, 1.0),
        reference_losses=(3.0, 2.0, 1.0), step_times_s=(9.0, 8.0, 7.0), start_s=starts, end_s=ends,
        devices={"dev0": device}, failure=failure,
    )  # fmt: skip


def test_the_median_step_is_shown() -> None:
    _, _, _, report = example()
    found = measured_of(trace(report), report.program)
    assert found.step == 1 and found.step_time_s == 8.0
    index, start, _ = found.arrays()
    assert sorted(index.tolist()) == list(range(len(report.program) - 1))
    assert dict(zip(index.tolist(), start.tolist(), strict=True))[0] == pytest.approx(1.0)


def test_of_a_long_run_a_kept_step_is_shown() -> None:
    _, _, _, report = example()
    whole = trace(report)
    ends = replace(whole, kept_steps=(0, 2), start_s=whole.start_s[::2], end_s=whole.end_s[::2])
    found = measured_of(ends, report.program)
    assert found.step == 0 and found.step_time_s == 8.0
    assert min(found.arrays()[1]) == pytest.approx(0.0)
    assert measured_of(ends, report.program, step=1).spans == {}


def test_totals_of_the_run_become_those_of_a_step() -> None:
    _, _, _, report = example()
    found = measured_of(trace(report), report.program, max_relative_weight_difference=1e-6)
    assert found.traffic_bytes == {("dev0", "dev2"): 100}
    assert found.peak_memory_bytes == {"dev0": 5}
    assert (found.overruns, found.dilation, found.failure) == (1, 2.0, "")
    assert found.max_relative_weight_difference == 1e-6


def test_a_broken_run_says_why() -> None:
    _, _, _, report = example()
    found = measured_of(trace(report, {"device": "dev1", "reason": "killed"}), report.program)
    assert found.failure == "device: dev1, reason: killed"
