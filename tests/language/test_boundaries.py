"""Boundaries between stages: exactly the overlapping slices, once per destination, from the nearest holder.

A sample is a square of 8 tokens x 8 columns, one byte each; a micro-batch has 8 samples. ``p`` is made on x
and y with shares 5:3, ``q`` is computed on u and v with shares 4:4, whatever the modes are.
"""

from __future__ import annotations

from typing import Any

import pytest

from models.cluster import Cluster
from solver.layout import Box
from solver.program import Kind
from solver.report import Report
from tests.language.cases import block, cluster, device, pipeline, plan, score, stage, walk, workload

SQUARE = {"tokens": 8, "columns": 8, "output_bytes": 64}
HEADS = {"heads": 8, "weight_bytes": 0}
CUT = {"sequence": {}, "tensor": {**HEADS, "input": "columns", "output": "columns"}}
ALL = (0, 8)
LOW, HIGH = (0, 5), (5, 8)  # x and y
FIRST, SECOND = (0, 4), (4, 8)  # u and v
AXIS = {"data": 0, "sequence": 1, "tensor": 2}


def moved(report: Report, phase: str) -> dict[tuple[str, str], tuple[int, list[Box]]]:
    """Bytes and slices of every message of a pass, by (source, target)."""
    return {
        (row.device, row.peer): (row.num_bytes, [part.box for part in row.slices])
        for row in report.program.rows
        if row.kind == Kind.SEND and row.phase == phase and row.num_bytes and row.peer
    }


def boundary(
    made: dict[str, Any], used: dict[str, Any], boards: Cluster | None = None, **more: Any
) -> Report:
    """Evaluate p -> q with two stages."""
    tiny = workload(block("p", **{**SQUARE, **CUT, **more}), block("q", **SQUARE, **CUT))
    pair = plan(pipeline(1, 8, {"blocks": ["p"], **made}, {"blocks": ["q"], **used}))
    return score(pair, tiny, boards or cluster("x", "y", "u", "v"))


def box(**intervals: tuple[int, int]) -> Box:
    return Box(*(intervals.get(axis, ALL) for axis in ("samples", "tokens", "columns")))


# Along one dimension x -> u: 4 of 8, x -> v: 1, y -> v: 3. Across two, every pair meets in a rectangle:
# from x 5 x 4 x 8 = 160 bytes, from y 3 x 4 x 8 = 96, to each of u and v.
EXPECTED = {
    ("data", "data"): {
        "xu": (256, box(samples=(0, 4))),
        "xv": (64, box(samples=(4, 5))),
        "yv": (192, box(samples=(5, 8))),
    },
    ("data", "tensor"): {
        "xu": (160, box(samples=LOW, columns=FIRST)),
        "yu": (96, box(samples=HIGH, columns=FIRST)),
        "xv": (160, box(samples=LOW, columns=SECOND)),
        "yv": (96, box(samples=HIGH, columns=SECOND)),
    },
    ("data", "sequence"): {
        "xu": (160, box(samples=LOW, tokens=FIRST)),
        "yu": (96, box(samples=HIGH, tokens=FIRST)),
        "xv": (160, box(samples=LOW, tokens=SECOND)),
        "yv": (96, box(samples=HIGH, tokens=SECOND)),
    },
    ("tensor", "data"): {
        "xu": (160, box(columns=LOW, samples=FIRST)),
        "yu": (96, box(columns=HIGH, samples=FIRST)),
        "xv": (160, box(columns=LOW, samples=SECOND)),
        "yv": (96, box(columns=HIGH, samples=SECOND)),
    },
    ("tensor", "tensor"): {
        "xu": (256, box(columns=(0, 4))),
        "xv": (64, box(columns=(4, 5))),
        "yv": (192, box(columns=(5, 8))),
    },
    ("tensor", "sequence"): {
        "xu": (160, box(columns=LOW, tokens=FIRST)),
        "yu": (96, box(columns=HIGH, tokens=FIRST)),
        "xv": (160, box(columns=LOW, tokens=SECOND)),
        "yv": (96, box(columns=HIGH, tokens=SECOND)),
    },
    ("sequence", "data"): {
        "xu": (160, box(tokens=LOW, samples=FIRST)),
        "yu": (96, box(tokens=HIGH, samples=FIRST)),
        "xv": (160, box(tokens=LOW, samples=SECOND)),
        "yv": (96, box(tokens=HIGH, samples=SECOND)),
    },
    ("sequence", "tensor"): {
        "xu": (160, box(tokens=LOW, columns=FIRST)),
        "yu": (96, box(tokens=HIGH, columns=FIRST)),
        "xv": (160, box(tokens=LOW, columns=SECOND)),
        "yv": (96, box(tokens=HIGH, columns=SECOND)),
    },
    ("sequence", "sequence"): {
        "xu": (256, box(tokens=(0, 4))),
        "xv": (64, box(tokens=(4, 5))),
        "yv": (192, box(tokens=(5, 8))),
    },
}


@pytest.mark.parametrize(("made", "used"), EXPECTED)
def test_forward_sends_exactly_the_overlaps(made: str, used: str):
    report = boundary({"mode": made, "shares": {"x": 5, "y": 3}}, {"mode": used, "shares": {"u": 4, "v": 4}})
    assert moved(report, "forward") == {
        (pair[0], pair[1]): (size, [part]) for pair, (size, part) in EXPECTED[made, used].items()
    }


@pytest.mark.parametrize(("made", "used"), EXPECTED)
def test_backward_sends_the_same_slices_back(made: str, used: str):
    report = boundary({"mode": made, "shares": {"x": 5, "y": 3}}, {"mode": used, "shares": {"u": 4, "v": 4}})
    assert moved(report, "backward") == {
        (pair[1], pair[0]): (size, [part]) for pair, (size, part) in EXPECTED[made, used].items()
    }


@pytest.mark.parametrize("mode", AXIS)
def test_what_a_device_has_itself_is_not_sent(mode: str):
    """5:3 becomes 4:4 on the same two devices: one unit, 64 bytes, goes over and its gradient comes back."""
    report = boundary({"mode": mode, "shares": {"x": 5, "y": 3}}, {"mode": mode, "shares": {"x": 4, "y": 4}})
    unit = [ALL, ALL, ALL]
    unit[AXIS[mode]] = (4, 5)
    assert moved(report, "forward") == {("x", "y"): (64, [Box(*unit)])}
    assert moved(report, "backward") == {("y", "x"): (64, [Box(*unit)])}


def test_whole_columns_come_from_the_nearest_holder():
    """x and y both hold all columns of p; u is next to y, v to x. Gradients come from the nearest, too."""
    fast = [{"between": pair, "bandwidth_bytes_per_s": 10} for pair in (("y", "u"), ("x", "v"))]
    boards = cluster("x", "y", "u", "v", links=fast)
    report = boundary(
        {"mode": "tensor", "shares": {"x": 5, "y": 3}},
        {"mode": "data", "shares": {"u": 4, "v": 4}},
        boards,
        tensor=HEADS,
    )
    assert moved(report, "forward") == {
        ("y", "u"): (256, [box(samples=(0, 4))]),
        ("x", "v"): (256, [box(samples=(4, 8))]),
    }
    # Both makers need the gradient of everything, and each sample's is held by one device only.
    assert moved(report, "backward") == {
        ("u", "x"): (256, [box(samples=(0, 4))]),
        ("v", "x"): (256, [box(samples=(4, 8))]),
        ("u", "y"): (256, [box(samples=(0, 4))]),
        ("v", "y"): (256, [box(samples=(4, 8))]),
    }


def test_users_in_tensor_mode_that_need_all_columns_each_get_them():
    """q's input is whole on u and v, so either has the complete gradient: the nearest (first) sends it."""
    tiny = workload(block("p", **SQUARE), block("q", **SQUARE, tensor=HEADS))
    stages = [stage("p", {"x": 5, "y": 3}), stage("q", {"u": 4, "v": 4}, mode="tensor")]
    report = score(plan(pipeline(1, 8, *stages)), tiny, cluster("x", "y", "u", "v"))
    assert moved(report, "forward") == {
        ("x", "u"): (320, [box(samples=LOW)]),
        ("y", "u"): (192, [box(samples=HIGH)]),
        ("x", "v"): (320, [box(samples=LOW)]),
        ("y", "v"): (192, [box(samples=HIGH)]),
    }
    assert moved(report, "backward") == {
        ("u", "x"): (320, [box(samples=LOW)]),
        ("u", "y"): (192, [box(samples=HIGH)]),
    }


def test_nested_groups_meet_in_rectangles():
    """x and y hold columns 4:4 of samples 0-5, z all of 5-8; u and v take samples 4:4."""
    tiny = workload(block("p", **SQUARE, **CUT), block("q", **SQUARE, **CUT))
    pair = {"samples": 5, "mode": "tensor", "shares": {"x": 4, "y": 4}}
    stages = [stage("p", {"pair": pair, "z": 3}), stage("q", {"u": 4, "v": 4})]
    report = score(plan(pipeline(1, 8, *stages)), tiny, cluster("x", "y", "z", "u", "v"))
    assert moved(report, "forward") == {
        ("x", "u"): (4 * 8 * 4, [box(samples=(0, 4), columns=FIRST)]),
        ("y", "u"): (4 * 8 * 4, [box(samples=(0, 4), columns=SECOND)]),
        ("x", "v"): (1 * 8 * 4, [box(samples=(4, 5), columns=FIRST)]),
        ("y", "v"): (1 * 8 * 4, [box(samples=(4, 5), columns=SECOND)]),
        ("z", "v"): (3 * 8 * 8, [box(samples=(5, 8))]),
    }


def test_explicit_columns_decide_the_slices():
    """Heads 5:3, but the columns of p's output follow its own table, 2:6, because p is cut by columns."""
    tiny = workload(
        block("p", **SQUARE, tensor={"columns": 8, "weight_bytes": 0, "output": "columns"}),
        block("q", **SQUARE),
    )
    shares = {"heads": {"x": 5, "y": 3}, "columns": {"x": 2, "y": 6}}
    report = score(
        plan(pipeline(1, 8, stage("p", shares, mode="tensor"), stage("q", {"u": 8}))),
        tiny,
        cluster("x", "y", "u"),
    )
    assert moved(report, "forward") == {
        ("x", "u"): (8 * 8 * 2, [box(columns=(0, 2))]),
        ("y", "u"): (8 * 8 * 6, [box(columns=(2, 8))]),
    }


def test_sequences_of_other_lengths_are_cut_in_proportion():
    """p has 16 tokens, q 8; tokens 5:3 of 8 are 10:6 of 16, and u's half of q needs the first 8 of p."""
    tiny = workload(
        block("p", tokens=16, columns=1, output_bytes=16, sequence={}), block("q", tokens=8, sequence={})
    )
    stages = [
        stage("p", {"x": 10, "y": 6}, mode="sequence"),
        stage("q", {"u": 4, "v": 4}, mode="sequence"),
    ]
    report = score(plan(pipeline(1, 1, *stages)), tiny, cluster("x", "y", "u", "v"))
    assert {pair: size for pair, (size, _) in moved(report, "forward").items()} == {
        ("x", "u"): 8, ("x", "v"): 2, ("y", "v"): 6,
    }  # fmt: skip


def test_output_needed_by_two_stages_of_a_device_goes_there_once():
    """a feeds b and c, both on y: one message of 3 bytes there, two gradients back.

    F takes 1 s, B 2 s. y runs b, then c, and each sends its gradient of 3 bytes when it has it.

    ::

        x  Fa [3]                                B 10-12
        y         Fb Bb  Bb [to x 7-10] ...
    """
    tiny = workload(block("a", output_bytes=3), block("b"), block("c"), edges="a b, a c")
    stages = [stage("a", {"x": 1}), stage("b", {"y": 1}), stage("c", {"y": 1})]
    report = score(plan(pipeline(1, 1, *stages)), tiny, cluster("x", "y"))
    assert report.traffic == {("x", "y"): 3, ("y", "x"): 6}
    # In unit time Fb and Fc can start together: the first stage goes first, then backward before forward.
    assert walk(report, "y") == (
        "F#0 4-5, B#0 5-7, send->x#0 7-10, F#0 7-8, B#0 8-10, send->x#0 10-13, update 10-10"
    )
    assert walk(report, "x") == "F#0 0-1, send->y#0 1-4, B#0 13-15, update 15-15"


def test_output_needed_on_two_devices_goes_to_each():
    tiny = workload(block("a", output_bytes=3), block("b"), block("c"), edges="a b, a c")
    stages = [stage("a", {"x": 1}), stage("b", {"y": 1}), stage("c", {"z": 1})]
    report = score(plan(pipeline(1, 1, *stages)), tiny, cluster("x", "y", "z"))
    assert report.traffic == {("x", "y"): 3, ("x", "z"): 3, ("y", "x"): 3, ("z", "x"): 3}


def test_skip_edge_past_a_stage():
    """a feeds b and c; c also needs b: a's output goes straight to c's device as well."""
    tiny = workload(block("a", output_bytes=3), block("b", output_bytes=1), block("c"), edges="a b, b c, a c")
    stages = [stage("a", {"x": 1}), stage("b", {"y": 1}), stage("c", {"z": 1})]
    report = score(plan(pipeline(1, 1, *stages)), tiny, cluster("x", "y", "z"))
    assert report.traffic == {
        ("x", "y"): 3, ("x", "z"): 3, ("y", "z"): 1,
        ("z", "y"): 1, ("z", "x"): 3, ("y", "x"): 3,
    }  # fmt: skip


def test_gradient_is_not_sent_to_what_is_not_trained():
    """a is frozen, with nothing trained before it: no gradient goes back and a has no backward pass."""
    tiny = workload(block("a", output_bytes=3), block("b"))
    boards = cluster(device("x"), device("y"))
    report = score(
        plan(pipeline(2, 1, stage("a", {"x": 1}), stage("b", {"y": 1})), job={"frozen": ["a"]}), tiny, boards
    )
    assert report.traffic == {("x", "y"): 6}
    assert walk(report, "x") == "F#0 0-1, send->y#0 1-4, F#1 1-2, send->y#1 4-7"
    # Nothing is kept. In the order of the list an output has left before the next is made.
    assert report.memory["x"].peak_bytes == 4 + 3
