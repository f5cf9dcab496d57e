"""Participants, power modes, recomputation, owners of data, trust, backups."""

from __future__ import annotations

from typing import Any

import pytest

from solver.lowering import lower
from solver.simulate import simulate
from tests.language.cases import (
    block,
    cluster,
    device,
    pipeline,
    plan,
    received,
    score,
    stage,
    walk,
    workload,
)

ONE = workload(block("a", 10, 20))


@pytest.mark.parametrize(("left_out", "joules"), [("idle", 3 * 30), ("sleep", 0.5 * 30), ("off", 0)])
def test_what_a_device_costs_that_takes_no_part(left_out: str, joules: float):
    """A step lasts 30 s on x; y is in no stage."""
    boards = cluster(
        device("x", idle_w=2, busy_w=5), device("y", idle_w=3, busy_w=9, sleep_w=0.5, memory_bytes=1)
    )
    report = score(plan(pipeline(1, 1, stage("a", {"x": 1})), left_out=left_out), ONE, boards)
    assert report.energy["y"].total_j == joules
    assert report.energy["x"].total_j == 2 * 30 + 3 * 30
    assert report.memory["y"].peak_bytes == 0
    assert list(report.utilisation) == ["x"]


@pytest.mark.parametrize(
    ("mode", "step_s", "joules"), [(None, 30, 5 * 30), ("5w", 60, 3 * 60), ("max", 15, 9 * 15)]
)
def test_power_modes(mode: str | None, step_s: float, joules: float):
    """Half the speed at 3 W in mode 5w (1 W idle), twice at 9 W in mode max."""
    modes = {
        "5w": {"flop_per_s": {"fp32": 0.5}, "busy_w": 3, "idle_w": 1},
        "max": {"flop_per_s": {"fp32": 2}, "busy_w": 9},
    }
    boards = cluster(device("x", idle_w=2, busy_w=5, power_modes=modes))
    choice = {} if mode is None else {"devices": {"x": {"power_mode": mode}}}
    report = score(plan(pipeline(1, 1, stage("a", {"x": 1})), **choice), ONE, boards)
    assert report.step_time_s == step_s
    assert report.energy["x"].total_j == joules


def test_recomputed_block_keeps_its_input_and_computes_again():
    """b keeps 1 byte of input instead of 5; its backward takes 2 + 1 s, and needs the other 4 meanwhile.

    Two in flight on x, y behind it: F0 F1 B0 B1 hold 2 x (3 + 1), and 4 more during a backward pass.
    """
    tiny = workload(block("a", kept_bytes=3, output_bytes=1), block("b", kept_bytes=5), block("c", 1, 2))

    def report(**more: Any) -> Any:
        stages = [stage("a b", {"x": 1}, in_flight=2, **more), stage("c", {"y": 1})]
        return score(plan(pipeline(2, 1, *stages)), tiny, cluster("x", "y"))

    plain, again = report(), report(recompute=["b"])
    assert plain.memory["x"].activation_bytes == 2 * (3 + 5)
    assert again.memory["x"].activation_bytes == 2 * (3 + 1) + 4
    # F 2 s each; B 4 s, and 1 s more with recomputation.
    assert plain.busy_s["x"] == 2 * (2 + 4)
    assert again.busy_s["x"] == 2 * (2 + 4 + 1)


def test_blocks_are_recomputed_one_at_a_time():
    """Both keep only inputs (0 for the source, 1); in the backward pass the larger surplus, 9, comes once."""
    tiny = workload(block("a", kept_bytes=9, output_bytes=1), block("b", kept_bytes=5))
    report = score(plan(pipeline(1, 1, stage("a b", {"x": 1}, recompute=["a", "b"]))), tiny, cluster("x"))
    assert report.memory["x"].activation_bytes == 0 + 1 + 9
    assert walk(report, "x") == "F#0 0-2, B#0 2-8, update 8-8"


CAMERA = workload(
    block("see", 1, 1, data={"name": "camera", "bytes_per_sample": 2, "may_leave": True}),
    block("tell", 1, 1, data={"name": "labels", "bytes_per_sample": 1, "may_leave": True}, task="t"),
)


def test_raw_data_and_labels_are_sent_by_their_owners():
    """o owns the pictures, p the labels; x and y compute. What is raw is counted.

    ::

        o  [6 to x 0-6]
        p  [3 to y 0-3]
        x               FFF                BBB
        y                   FFF  BBB
           0            6   9    12        15  18
    """
    boards = cluster(device("o", data=["camera"]), device("p", data=["labels"]), "x", "y")
    report = score(plan(pipeline(1, 3, stage("see", {"x": 3}), stage("tell", {"y": 3}))), CAMERA, boards)
    assert received(report, "x") == "<-o#0 0-6, <-y#0 15-15"
    assert received(report, "y") == "<-p#0 0-3, <-x#0 9-9"
    assert walk(report, "x") == "F#0 6-9, send->y#0 9-9, B#0 15-18, update 18-18"
    assert report.raw_bytes == 6 + 3
    assert report.traffic == {("o", "x"): 6, ("p", "y"): 3}
    assert report.violations == ()


def test_owners_keep_their_samples_where_they_compute_them():
    """x owns the pictures and computes 2 samples; only y's one sample, 2 bytes, is sent."""
    tiny = workload(block("see", 1, 1, data={"name": "camera", "bytes_per_sample": 2, "may_leave": True}))
    boards = cluster(device("x", data=["camera"]), "y")
    report = score(plan(pipeline(1, 3, stage("see", {"x": 2, "y": 1})), sync={}), tiny, boards, sync=False)
    assert report.raw_bytes == 2
    assert report.traffic == {("x", "y"): 2}
    assert received(report, "y") == "<-x#0 0-2"


def test_data_without_an_owner_is_everywhere_free_of_charge():
    report = score(plan(pipeline(1, 3, stage("see tell", {"x": 3}))), CAMERA, cluster("x"))
    assert (report.raw_bytes, report.violations) == (0, ())


def test_bytes_to_a_lower_level_of_trust_are_counted():
    """x is trusted more than y: the 5 bytes forward count, the 5 of the gradient coming back do not."""
    tiny = workload(block("a", output_bytes=5), block("b"))
    boards = cluster(device("x", trust=2), device("y", trust=1))
    stages = [stage("a", {"x": 1}), stage("b", {"y": 1})]
    report = score(plan(pipeline(1, 1, *stages)), tiny, boards)
    assert report.untrusted_bytes == 5
    assert report.violations == ()


@pytest.mark.parametrize("limit", [0, 4])
def test_bytes_to_a_lower_level_of_trust_are_limited(limit: int):
    tiny = workload(block("a", output_bytes=5), block("b"))
    boards = cluster(device("x", trust=2), device("y", trust=1))
    stages = [stage("a", {"x": 1}), stage("b", {"y": 1})]
    report = score(plan(pipeline(1, 1, *stages), job={"untrusted_limit_bytes": limit}), tiny, boards)
    (violation,) = report.violations
    assert (violation.limit, violation.given, violation.allowed) == ("trust", 5, limit)


def test_backup_is_sent_after_the_update_and_kept():
    """b has 8 weight bytes and as many of momentum: 16 bytes go to z, and stay there.

    ::

        x  F     BB
        y    FBB    [16 to z 4-20]
    """
    tiny = workload(block("a"), block("b", weight_bytes=8))
    made = plan(
        pipeline(1, 1, stage("a", {"x": 1}), stage("b", {"y": 1})),
        job={"optimizer": "momentum"},
        backup=[{"stage": [0, 1], "on": "z"}],
    )
    report = score(made, tiny, cluster("x", "y", "z"))
    assert walk(report, "y").endswith("update 4-4, send->z 4-20")
    assert report.memory["z"].static.backup_bytes == 16
    assert report.memory["z"].peak_bytes == 16
    assert report.step_time_s == 20


def test_backup_is_due_every_so_many_steps():
    """Every third step: the steps 2, 5, ... counted from 0."""
    tiny = workload(block("a"))
    boards = cluster("x", "y")
    made = plan(pipeline(1, 1, stage("a", {"x": 1})), backup=[{"stage": [0, 0], "on": "y", "every": 3}])
    times = [simulate(lower(made, tiny, boards, first_step=step)).makespan_s for step in range(6)]
    assert times == [3, 3, 7, 3, 3, 7]
    report = score(made, tiny, boards)
    assert report.step_time_s == pytest.approx(sum(times) / 6)
    assert report.traffic == {("x", "y"): 1}  # 4 bytes every third step, a whole number of bytes
    assert report.program.bytes_by_pair() == {("x", "y"): 4}
    assert report.utilisation["x"] == pytest.approx(3 * 3 / 13)
