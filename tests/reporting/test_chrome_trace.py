import json
from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest

from solver.reporting.chrome_trace import chrome_trace
from tests.reporting.cases import example, measured, random_case


def slices(trace: dict[str, Any]) -> dict[tuple[int, int], list[dict[str, Any]]]:
    found = defaultdict(list)
    for event in trace["traceEvents"]:
        if event["ph"] == "X":
            found[event["pid"], event["tid"]].append(event)
    return found


def assert_no_overlap(trace: dict[str, Any]) -> None:
    for track in slices(trace).values():
        spans = [(round(e["ts"] * 1000), round((e["ts"] + e["dur"]) * 1000)) for e in track]
        assert spans == sorted(spans)
        assert all(a[1] <= b[0] for a, b in pairwise(spans))


def test_trace_is_valid_json_in_microseconds() -> None:
    _, _, _, report = example()
    trace = json.loads(json.dumps(chrome_trace(report), allow_nan=False))
    last = max(e["ts"] + e["dur"] for e in trace["traceEvents"] if e["ph"] == "X")
    assert last == pytest.approx(report.round_time_s * 1e6, abs=1e-3)


def test_processes_are_devices_predicted_then_measured() -> None:
    _, _, _, report = example()
    trace = chrome_trace(report, measured=measured(report))
    names = [e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "process_name"]
    assert names == [f"dev{i} ({group})" for group in ("predicted", "measured") for i in range(3)]
    named = {(e["pid"], e["tid"]) for e in trace["traceEvents"] if e["name"] == "thread_name"}
    assert named == set(slices(trace))


def test_slices_say_what_they_are() -> None:
    _, _, _, report = example()
    first = next(e for e in chrome_trace(report)["traceEvents"] if e["ph"] == "X")
    assert first["name"] == "F #0" and first["cat"] == "forward"
    assert first["args"]["stage"] == 0 and first["args"]["micro_batch"] == 0


@pytest.mark.parametrize("overlap", [False, True])
def test_no_slices_overlap_on_a_track(overlap: bool) -> None:
    _, _, _, report = example()
    assert_no_overlap(chrome_trace(report, measured=measured(report, overlap=overlap)))


@pytest.mark.parametrize("seed", range(20))
def test_no_slices_overlap_on_random_plans(seed: int) -> None:
    assert_no_overlap(chrome_trace(random_case(seed)[3]))
