"""DAGs: two encoders into a trunk, several heads, micro-batches that differ in tasks and modalities."""

from __future__ import annotations

import pytest

from models.errors import InputError
from tests.language.cases import block, cluster, device, pipeline, plan, score, stage, walk, workload

ENCODERS = workload(
    block("imu", 1, 1, output_bytes=1, modality="imu", data={"name": "imu"}),
    block("audio", 1, 1, output_bytes=1, modality="audio", data={"name": "audio"}),
    block("trunk", 1, 1),
    edges="imu trunk, audio trunk",
)
ROOMS = cluster(device("x", data=["imu"]), device("y", data=["audio"]), "z")
SPREAD = [stage("imu", {"x": 1}), stage("audio", {"y": 1}), stage("trunk", {"z": 1})]


def test_two_encoders_and_a_trunk():
    """Everything takes 1 s; z receives one message at a time, and sends one at a time.

    ::

        x  F0 F1                B0    B1
        y  F0 F1                   B0    B1
        z           F0 B0 F1 B1
        z receives x0 1-2, y0 2-3, x1 3-4, y1 4-5; sends x0 5-6, y0 6-7, x1 7-8, y1 8-9
           0  1  2  3  4  5  6  7  8  9  10
    """
    report = score(plan(pipeline(2, 1, *SPREAD)), ENCODERS, ROOMS)
    assert walk(report, "x") == (
        "F#0 0-1, send->z#0 1-2, F#1 1-2, send->z#1 3-4, B#0 6-7, B#1 8-9, update 9-9"
    )
    assert walk(report, "y") == (
        "F#0 0-1, send->z#0 2-3, F#1 1-2, send->z#1 4-5, B#0 7-8, B#1 9-10, update 10-10"
    )
    assert walk(report, "z") == (
        "F#0 3-4, B#0 4-5, send->x#0 5-6, send->y#0 6-7, F#1 5-6, B#1 6-7, send->x#1 7-8, "
        "send->y#1 8-9, update 7-7"
    )
    assert report.violations == ()


def test_encoder_where_its_data_does_not_live():
    """The plan is sound and evaluated; the limit it breaks is named."""
    wrong = [stage("imu", {"y": 1}), stage("audio", {"y": 1}), stage("trunk", {"z": 1})]
    report = score(plan(pipeline(2, 1, *wrong)), ENCODERS, ROOMS)
    assert report.step_time_s > 0
    assert [(v.limit, v.where) for v in report.violations] == [("modality", "imu@y")]
    assert "may not leave x" in report.violations[0].message


def test_absent_modality_is_skipped():
    """The second micro-batch has no audio: y computes and sends nothing for it, z runs with imu alone.

    ::

        x  F0 F1                B0    B1
        y  F0                      B0
        z           F0 B0 F1 B1
           0  1  2  3  4  5  6  7  8  9
    """
    batches = [{"samples": 1}, {"samples": 1, "modalities": ["imu"]}]
    report = score(plan(pipeline(batches, 1, *SPREAD)), ENCODERS, ROOMS)
    assert walk(report, "y") == "F#0 0-1, send->z#0 2-3, B#0 7-8, update 8-8"
    assert walk(report, "x") == (
        "F#0 0-1, send->z#0 1-2, F#1 1-2, send->z#1 3-4, B#0 6-7, B#1 8-9, update 9-9"
    )
    assert report.traffic == {("x", "z"): 2, ("y", "z"): 1, ("z", "x"): 2, ("z", "y"): 1}


HEADS = workload(
    block("trunk", 1, 1, output_bytes=1, kept_bytes=1),
    block("h1", 1, 1, task="one", loss="mse", kept_bytes=10),
    block("h2", 1, 1, task="two", loss="mse", weight=0.5, kept_bytes=10),
    block("h3", 1, 1, task="three", loss="mse", kept_bytes=10),
    edges="trunk h1, trunk h2, trunk h3",
)


def test_heads_compute_the_samples_of_their_task():
    """Four samples, 3 of task one and 1 of task two, none of task three; 1 s and 1 byte a sample.

    x's receive lane serves y before z, as the lowering has ordered it, so z waits with what it has.

    ::

        x  FFFF [3 to y 4-7] [1 to z 7-8]                                   BBBB 17-21
        y                    FFF 7-10 BBB 10-13 [back 13-16]
        z                        F 8-9 B 9-10                [back 16-17]
    """
    batches = [{"samples": 4, "tasks": {"one": 3, "two": 1, "three": 0}}]
    stages = [
        stage("trunk", {"x": 4}), stage("h1", {"y": 4}), stage("h2", {"z": 4}), stage("h3", {"w": 4}),
    ]  # fmt: skip
    report = score(plan(pipeline(batches, 4, *stages)), HEADS, cluster("x", "y", "z", "w"))
    assert walk(report, "x") == "F#0 0-4, send->y#0 4-7, send->z#0 7-8, B#0 17-21, update 21-21"
    assert walk(report, "y") == "F#0 7-10, B#0 10-13, send->x#0 13-16, update 13-13"
    assert walk(report, "z") == "F#0 8-9, B#0 9-10, send->x#0 16-17, update 10-10"
    assert walk(report, "w") == "update 0-0"
    # Weights and gradients 8; kept 3 x 10 with the input inside, and 3 bytes of gradient to send.
    assert report.memory["y"].peak_bytes == 8 + 30 + 3
    assert report.memory["w"].peak_bytes == 8


def test_without_tasks_every_sample_counts_for_every_head():
    stages = [stage("trunk", {"x": 2}), stage("h1 h2 h3", {"y": 2})]
    report = score(plan(pipeline(1, 2, *stages)), HEADS, cluster("x", "y"))
    assert walk(report, "y").startswith("F#0 4-10, B#0 10-16")
    assert report.traffic == {("x", "y"): 2, ("y", "x"): 2}


def test_a_device_gets_only_the_samples_of_its_tasks():
    """y holds heads one and three: samples 0-2 and 4-5 of 5 go there, not the two of task two between."""
    batches = [{"samples": 5, "tasks": {"one": 2, "two": 2, "three": 1}}]
    stages = [stage("trunk", {"x": 5}), stage("h1 h3", {"y": 5}), stage("h2", {"z": 5})]
    report = score(plan(pipeline(batches, 5, *stages)), HEADS, cluster("x", "y", "z"))
    assert report.traffic == {("x", "y"): 3, ("x", "z"): 2, ("y", "x"): 3, ("z", "x"): 2}


def test_micro_batches_of_different_tasks_are_shared_out_in_proportion():
    """Nominal shares are 3:1 of 4; the second micro-batch has 8 samples of task one alone: 6:2."""
    batches = [{"samples": 4, "tasks": {"one": 4}}, {"samples": 8, "tasks": {"one": 8}}]
    stages = [stage("trunk h1 h2 h3", {"x": 3, "y": 1})]
    report = score(plan(pipeline(batches, 4, *stages)), HEADS, cluster("x", "y"), sync=False)
    # Trunk and one head: 2 s a sample each way.
    assert walk(report, "x") == "F#0 0-6, B#0 6-12, F#1 12-24, B#1 24-36"
    assert walk(report, "y") == "F#0 0-2, B#0 2-4, F#1 4-8, B#1 8-12"


def test_tasks_of_a_shared_block_must_lie_side_by_side():
    """``mid`` leads to tasks one and three only, and samples of task two would lie between them."""
    tiny = workload(
        block("trunk"),
        block("mid"),
        block("h1", task="one"),
        block("h2", task="two"),
        block("h3", task="three"),
        edges="trunk mid, mid h1, mid h3, trunk h2",
    )
    batches = [{"samples": 3}, {"samples": 3, "tasks": {"one": 1, "two": 1, "three": 1}}]
    made = plan(pipeline(batches, 3, stage("trunk mid h1 h2 h3", {"x": 3})))
    with pytest.raises(InputError) as error:
        score(made, tiny, cluster("x"))
    assert [fault.path for fault in error.value.faults] == ["pipelines.0.micro_batches.1.tasks"]
    assert "mid" in error.value.faults[0].message


def test_the_same_tasks_in_another_order_are_sound():
    tiny = workload(block("mid"), block("h1", task="one"), block("h3", task="three"), edges="mid h1, mid h3")
    batches = [{"samples": 3, "tasks": {"one": 1, "three": 2}}]
    report = score(plan(pipeline(batches, 3, stage("mid h1 h3", {"x": 3}))), tiny, cluster("x"))
    assert report.busy_s["x"] == (3 + 1 + 2) * 3
