"""Report: figures that are added up from a walk."""

from __future__ import annotations

import json

import pytest

from tests.language.cases import block, cluster, device, pipeline, plan, score, stage, workload

TINY = workload(block("a", 1, 2, output_bytes=1, kept_bytes=2), block("b", 1, 2, kept_bytes=3))
BOARDS = cluster(
    device("x", idle_w=1, busy_w=4, radio_w=0.5),
    device("y", idle_w=2, busy_w=2),
    device("z", idle_w=3, busy_w=3),
)
# x  F0 [0] F1 [1]         B0 6-8    B1 9-11      y  F0 2-3 B0 3-5 F1 5-6 B1 6-8
REPORT = score(plan(pipeline(2, 1, stage("a", {"x": 1}), stage("b", {"y": 1}))), TINY, BOARDS)


def test_times():
    assert (REPORT.step_time_s, REPORT.round_time_s) == (11, 11)
    assert REPORT.samples_per_s == pytest.approx(2 / 11)


def test_utilisation_and_bubble_of_the_participants():
    assert REPORT.busy_s == {"x": 6, "y": 6, "z": 0}
    assert REPORT.utilisation == pytest.approx({"x": 6 / 11, "y": 6 / 11})
    assert REPORT.bubble == pytest.approx(1 - 12 / 22)


def test_bottleneck_is_the_busiest_lane_per_micro_batch():
    assert (REPORT.bottleneck_lane, REPORT.bottleneck_s) == ("x:compute", 3)


def test_energy_of_whole_boards():
    x, y, z = (REPORT.energy[name] for name in "xyz")
    assert (x.idle_j, x.compute_j, x.radio_j) == (11, 3 * 6, 0.5 * 4)
    assert (y.idle_j, y.compute_j) == (22, 0)
    assert z.total_j == 33
    assert REPORT.energy_j == 11 + 18 + 2 + 22 + 33


def test_memory_is_told_by_what_it_is_made_of():
    """x: two in flight, 2 kept and 1 to send each, two gradients posted; y at B0: 3 + 1, and 1 posted."""
    x, y = REPORT.memory["x"], REPORT.memory["y"]
    assert (x.static.total_bytes, x.activation_bytes, x.buffer_bytes, x.peak_bytes) == (8, 6, 2, 16)
    assert (y.static.total_bytes, y.activation_bytes, y.buffer_bytes, y.peak_bytes) == (8, 4, 1, 13)
    assert REPORT.peak_memory_bytes == 16


def test_traffic():
    assert REPORT.traffic == {("x", "y"): 2, ("y", "x"): 2}
    assert REPORT.traffic_bytes == 4


def test_bottleneck_leaves_synchronisation_out():
    """The ring takes 400 s, and counts in the step only."""
    tiny = workload(block("a", 1, 2, weight_bytes=400))
    report = score(plan(pipeline(4, 2, stage("a", {"x": 1, "y": 1}))), tiny, cluster("x", "y"))
    assert report.step_time_s == 4 * 3 + 400
    assert report.bottleneck_s == 3


def test_json_is_plain_and_finite():
    text = json.dumps(REPORT.to_json(), allow_nan=False)
    assert json.loads(text)["step_time_s"] == 11
