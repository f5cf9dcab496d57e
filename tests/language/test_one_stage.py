"""Plans of one stage: single device, uneven data, tensor and sequence shares, and a group inside a group."""

from __future__ import annotations

import pytest

from tests.language.cases import block, cluster, device, pipeline, plan, score, stage, walk, workload


def test_single_device():
    """Two samples: F takes (1 + 2) x 2 = 6 s, B (2 + 3) x 2 = 10 s.

    ::

        x  FFFFFFBBBBBBBBBB|
           0     6         16
    """
    tiny = workload(
        block("a", 1, 2, weight_bytes=4, kept_bytes=3), block("b", 2, 3, weight_bytes=8, kept_bytes=5)
    )
    board = cluster(device("x", idle_w=2, busy_w=5))
    report = score(plan(pipeline(1, 2, stage("a b", {"x": 2}))), tiny, board)

    assert walk(report, "x") == "F#0 0-6, B#0 6-16, update 16-16"
    assert report.traffic == {}
    memory = report.memory["x"]
    assert (memory.static.weight_bytes, memory.static.gradient_bytes) == (12, 12)
    assert memory.activation_bytes == (3 + 5) * 2
    assert memory.peak_bytes == 24 + 16
    assert report.energy["x"].idle_j == 2 * 16
    assert report.energy["x"].compute_j == (5 - 2) * 16
    assert report.samples_per_s == 2 / 16
    assert report.bottleneck_s == 16 and report.bottleneck_lane == "x:compute"


@pytest.mark.parametrize(
    ("optimizer", "update_s", "states"), [("sgd", 1.5, 0), ("momentum", 2.5, 12), ("adamw", 3.5, 24)]
)
def test_update_moves_weights_gradients_and_states(optimizer: str, update_s: float, states: int):
    """12 trained bytes over 24 bytes/s: 3, 5 or 7 passes of half a second each."""
    tiny = workload(block("a", weight_bytes=4), block("b", weight_bytes=8))
    board = cluster(device("x", memory_bytes_per_s=24))
    report = score(plan(pipeline(1, 1, stage("a b", {"x": 1})), job={"optimizer": optimizer}), tiny, board)
    assert walk(report, "x") == f"F#0 0-2, B#0 2-6, update 6-{6 + update_s:g}"
    assert report.memory["x"].static.optimizer_bytes == states


def test_overhead_is_paid_by_every_block_and_pass_and_by_the_update():
    """Half a second each: F 2 + 1, B 4 + 1, update 0.5."""
    tiny = workload(block("a"), block("b"))
    board = cluster(device("x", overhead_s=0.5))
    report = score(plan(pipeline(1, 1, stage("a b", {"x": 1}))), tiny, board)
    assert walk(report, "x") == "F#0 0-3, B#0 3-8, update 8-8.5"


def test_data_parallel_uneven():
    """Shares 5:3 on devices of speeds 5:3 take the same time; a ring of two sends all 8 gradient bytes once.

    ::

        x  F0 B0B0 F1 B1B1 allreduce|
        y  F0 B0B0 F1 B1B1 allreduce|
           0  1    3  4    6        14
    """
    tiny = workload(block("a", 1, 2, weight_bytes=8, kept_bytes=1))
    boards = cluster(device("x", 5, idle_w=1, busy_w=3, radio_w=0.5), device("y", 3))
    report = score(plan(pipeline(2, 8, stage("a", {"x": 5, "y": 3}))), tiny, boards)

    same = "F#0 0-1, B#0 1-3, F#1 3-4, B#1 4-6, all-reduce{x,y} 6-14, update 14-14"
    assert walk(report, "x") == walk(report, "y") == same
    assert report.traffic == {("x", "y"): 8, ("y", "x"): 8}
    # Kept: 5 and 3 samples of 1 byte; the ring receives into one chunk of 4 bytes.
    assert report.memory["x"].peak_bytes == 8 + 8 + 5
    assert report.memory["y"].peak_bytes == 8 + 8 + 4
    energy = report.energy["x"]
    assert (energy.idle_j, energy.compute_j) == (14, (3 - 1) * 6)
    assert energy.radio_j == pytest.approx(0.5 * 8 + 0.5 * 8)


TENSOR = {
    "heads": 4,
    "weight_bytes": 8,
    "kept_whole_bytes": 4,
    "collectives": [
        {"operation": "all_reduce", "phase": "forward", "bytes_per_sample": 6, "at": 0.5},
        {"operation": "all_reduce", "phase": "forward", "bytes_per_sample": 6, "at": 1},
        {"operation": "all_reduce", "phase": "backward", "bytes_per_sample": 6, "at": 0.5},
        {"operation": "all_reduce", "phase": "backward", "bytes_per_sample": 6, "at": 1},
    ],
}


def test_tensor_parallel_uneven():
    """Heads 3:1 of a block of 8 flop forward, 16 backward; each all-reduce of 6 bytes takes 6 s.

    ::

        x  FFF  ======  FFF  ======  BBBBBB  ======  BBBBBB  ======
        y  F    ======  F    ======  BB      ======  BB      ======
           0    3       9    12      18      24      30      36     42
    """
    tiny = workload(block("a", 8, 16, weight_bytes=10, kept_bytes=8, tensor=TENSOR))
    report = score(plan(pipeline(1, 1, stage("a", {"x": 3, "y": 1}, mode="tensor"))), tiny, cluster("x", "y"))
    ring = "all-reduce{x,y}#0"
    assert walk(report, "x") == (
        f"F#0 0-3, {ring} 3-9, F#0 9-12, {ring} 12-18, B#0 18-24, {ring} 24-30, B#0 30-36, "
        f"{ring} 36-42, "
        "update 42-42"
    )
    assert walk(report, "y") == (
        f"F#0 0-1, {ring} 3-9, F#0 9-10, {ring} 12-18, B#0 18-20, {ring} 24-30, B#0 30-32, "
        f"{ring} 36-42, "
        "update 42-42"
    )
    # 8 (N - 1) / N A = 8 / 2 x 6 bytes per device.
    assert report.traffic == {("x", "y"): 24, ("y", "x"): 24}
    # 2 bytes of the weights are whole, 8 are cut 3:1.
    assert [report.memory[name].static.weight_bytes for name in "xy"] == [2 + 6, 2 + 2]
    # 4 kept bytes are whole, 4 are cut; while a ring runs, its chunk of 3 bytes is there too.
    assert [report.memory[name].activation_bytes for name in "xy"] == [4 + 3 + 3, 4 + 1 + 3]


def test_block_without_the_dimension_is_replicated_in_the_group():
    """``a`` is cut 3:1 and held in columns, ``n`` needs all: 8 bytes are gathered, 6 by x and 2 by y.

    ::

        x  FFF  gather  F  BB  BBBBBB
        y  F    gather  F  BB  BB
           0    3       9  10  12    18
    """
    a = block(
        "a", 4, 8, output_bytes=8, columns=8, tensor={"heads": 4, "weight_bytes": 4, "output": "columns"}
    )
    tiny = workload(a, block("n", 1, 2, weight_bytes=5))
    report = score(
        plan(pipeline(1, 1, stage("a n", {"x": 3, "y": 1}, mode="tensor"))), tiny, cluster("x", "y")
    )
    assert walk(report, "x") == "F#0 0-3, all-gather{x,y}#0 3-9, F#0 9-10, B#0 10-18, update 18-18"
    assert walk(report, "y") == "F#0 0-1, all-gather{x,y}#0 3-9, F#0 9-10, B#0 10-14, update 14-14"
    assert report.traffic == {("x", "y"): 6, ("y", "x"): 2}
    assert [report.memory[name].static.weight_bytes for name in "xy"] == [3 + 5, 1 + 5]


def test_explicit_columns_differ_from_heads():
    """``a`` follows the heads 3:1, ``b`` its own columns 4:4 and so needs some of ``a`` held elsewhere."""
    a = block(
        "a", 4, 8, output_bytes=8, columns=8, tensor={"heads": 4, "weight_bytes": 4, "output": "columns"}
    )
    b = block("b", 8, 16, weight_bytes=8, tensor={"columns": 8, "weight_bytes": 8, "input": "columns"})
    shares = {"heads": {"x": 3, "y": 1}, "columns": {"x": 4, "y": 4}}
    report = score(
        plan(pipeline(1, 1, stage("a b", shares, mode="tensor"))), workload(a, b), cluster("x", "y")
    )
    assert [report.memory[name].static.weight_bytes for name in "xy"] == [3 + 4, 1 + 4]
    # Forward a (3 s on x), gather 6 s, b 4 s; backward b 8 s, gather the gradient 4:4, a 6 s.
    assert walk(report, "x") == (
        "F#0 0-3, all-gather{x,y}#0 3-9, F#0 9-13, B#0 13-21, all-gather{x,y}#0 21-25, B#0 25-31, "
        "update 31-31"
    )


def test_columns_follow_the_heads_by_largest_remainder():
    """10 columns in proportion to 3:1 are 7.5 and 2.5; the first of two equal remainders gets the odd one."""
    a = block("a", 4, 8, weight_bytes=4, tensor={"heads": 4, "weight_bytes": 4})
    b = block("b", 10, 20, weight_bytes=10, tensor={"columns": 10, "weight_bytes": 10})
    report = score(
        plan(pipeline(1, 1, stage("a b", {"x": 3, "y": 1}, mode="tensor"))),
        workload(a, b),
        cluster("x", "y"),
    )
    assert [report.memory[name].static.weight_bytes for name in "xy"] == [3 + 8, 1 + 2]
    assert [report.busy_s[name] for name in "xy"] == [3 * (3 + 8), 3 * (1 + 2)]


def test_sequence_parallel_uneven():
    """Tokens 5:3 of 8; K and V (16 bytes) are gathered half way, and scattered half way back.

    One step of the ring lasts as long as its larger chunk, 10 bytes. Weights are whole on both, so their 4
    gradient bytes are reduced.

    ::

        x  FFFFF  gather  FFFFF BBBBBBBBBB  scatter  BBBBBBBBBB  reduce
        y  FFF    gather  FFF   BBBBBB      scatter  BBBBBB      reduce
           0      5       15    20          30       40          50    54
    """
    sharing = {
        "collectives": [
            {"operation": "all_gather", "phase": "forward", "bytes_per_sample": 16, "at": 0.5},
            {"operation": "reduce_scatter", "phase": "backward", "bytes_per_sample": 16, "at": 0.5},
        ]
    }
    tiny = workload(block("a", 16, 32, kept_bytes=32, tokens=8, sequence=sharing))
    report = score(
        plan(pipeline(1, 1, stage("a", {"x": 5, "y": 3}, mode="sequence"))), tiny, cluster("x", "y")
    )
    gather, scatter, reduce = "all-gather{x,y}#0", "reduce-scatter{x,y}#0", "all-reduce{x,y}"
    assert walk(report, "x") == (
        f"F#0 0-5, {gather} 5-15, F#0 15-20, B#0 20-30, {scatter} 30-40, B#0 40-50, "
        f"{reduce} 50-54, update 54-54"
    )
    assert walk(report, "y") == (
        f"F#0 0-3, {gather} 5-15, F#0 15-18, B#0 18-24, {scatter} 30-40, B#0 40-46, "
        f"{reduce} 50-54, update 54-54"
    )
    # x passes on its own 10 in the gather, y's 6 in the scatter; y the other way round; 4 of gradients.
    assert report.traffic == {("x", "y"): 10 + 6 + 4, ("y", "x"): 6 + 10 + 4}
    assert [report.memory[name].static.weight_bytes for name in "xy"] == [4, 4]
    # Of 32 kept bytes 16 are K and V, whole on both; 16 are cut 5:3. The scatter adds up parts of 10 at most.
    assert [report.memory[name].activation_bytes for name in "xy"] == [16 + 10 + 10, 16 + 6 + 10]


def test_data_over_tensor():
    """Five samples on a pair that cuts heads 1:1, three on z alone.

    ``a`` has 20 weight bytes, 8 of them cut. The whole 12 are reduced over all three (2 x 2/3 x 12 = 16 s),
    each half of the cut 8 between its holder in the pair and z (4 s each).

    ::

        x  FFFFF  ==========  BBBBBBBBBB  ================  ====
        y  FFFFF  ==========  BBBBBBBBBB  ================        ====
        z  FFFFFFBBBBBBBBBBBB             ================  ====  ====
           0      5           15          25                41    45    49
    """
    ring = {"operation": "all_reduce", "phase": "forward", "bytes_per_sample": 2}
    tiny = workload(
        block("a", 2, 4, weight_bytes=20, tensor={"heads": 2, "weight_bytes": 8, "collectives": [ring]})
    )
    pair = {"samples": 5, "mode": "tensor", "shares": {"x": 1, "y": 1}}
    report = score(plan(pipeline(1, 8, stage("a", {"pair": pair, "z": 3}))), tiny, cluster("x", "y", "z"))
    assert walk(report, "x") == (
        "F#0 0-5, all-reduce{x,y}#0 5-15, B#0 15-25, all-reduce{x,y,z} 25-41, "
        "all-reduce{x,z} 41-45, update 45-45"
    )
    assert walk(report, "y") == (
        "F#0 0-5, all-reduce{x,y}#0 5-15, B#0 15-25, all-reduce{x,y,z} 25-41, "
        "all-reduce{y,z} 45-49, update 49-49"
    )
    assert walk(report, "z") == (
        "F#0 0-6, B#0 6-18, all-reduce{x,y,z} 25-41, all-reduce{x,z} 41-45, all-reduce{y,z} 45-49, "
        "update 49-49"
    )
    assert report.traffic == {
        ("x", "y"): 10 + 16, ("y", "x"): 10, ("y", "z"): 16 + 4, ("z", "x"): 16 + 4,
        ("x", "z"): 4, ("z", "y"): 4,
    }  # fmt: skip
    assert [report.memory[name].static.weight_bytes for name in "xyz"] == [16, 16, 20]
