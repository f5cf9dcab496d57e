"""Rounds: local steps, star, ranks and spectrum per device, rules of aggregation, and split-federated."""

from __future__ import annotations

from typing import Any

import pytest

from tests.language.cases import (
    block,
    cluster,
    device,
    instructions,
    pipeline,
    plan,
    score,
    stage,
    walk,
    workload,
)

# Rank r adds 2 r weights (8 r bytes), 2 r (1 + 1) = 4 r flop forward, and 2 r (1 + 2) = 6 r backward (no
# gradient of A's input is needed, since nothing before is trained).
ADAPTED = workload(
    block("a", 2, 0, backward_input_flop=2, adapters=[{"name": "w", "in_features": 1, "out_features": 1}])
)
BOARDS = cluster(device("x", 2), device("y"), device("s", 6))
LORA = {"tune": "lora", "lora_rank": 1}


def federated(rule: str = "fedavg", **devices: Any) -> Any:
    """x takes 2 samples with rank 2, y takes 1 with rank 1; two local steps, then the server s."""
    choices = {"x": {"rank": 2}, "y": {}}
    for name, choice in devices.items():
        choices[name] = {**choices.get(name, {}), **choice}
    return plan(
        pipeline(1, 3, stage("a", {"x": 2, "y": 1})),
        job=LORA,
        sync={"every": 2, "topology": "star", "server": "s", "rule": rule},
        devices=choices,
    )


@pytest.mark.parametrize("rule", ["fedavg", "zero_pad"])
def test_round_of_two_local_steps_with_unequal_ranks(rule: str):
    """x: F (2 + 8) x 2 / 2 = 10 s, B (2 + 12) x 2 / 2 = 14 s; y: F 2 + 4 = 6 s, B 2 + 6 = 8 s.

    16 bytes go up from x, 8 from y (s receives one at a time), and as many down; s adds 6 weights up in 1 s.

    ::

        x  FB FB  up 48-64                     down 73-89
        y  FB FB           up 64-72                        down 89-97
        s                           add 72-73
           0  24  48       64       72         73          89       97
    """
    report = score(federated(rule), ADAPTED, BOARDS)
    assert walk(report, "x") == (
        "F#0 0-10, B#0 10-24, update 24-24, F#0 24-34, B#0 34-48, update 48-48, send->s 48-64, update 89-89"
    )
    assert walk(report, "y") == (
        "F#0 0-6, B#0 6-14, update 14-14, F#0 14-20, B#0 20-28, update 28-28, send->s 64-72, update 97-97"
    )
    assert walk(report, "s") == "aggregate 72-73, send->x 73-89, send->y 89-97"
    assert report.traffic == {("x", "s"): 16, ("y", "s"): 8, ("s", "x"): 16, ("s", "y"): 8}
    assert (report.round_time_s, report.step_time_s) == (97, 48.5)
    assert report.samples_per_s == pytest.approx(6 / 97)


def test_memory_of_a_round():
    """The frozen 4 bytes and the adapters; gradients of the adapters only; the server holds what arrived."""
    report = score(federated(), ADAPTED, BOARDS)
    assert [report.memory[name].static.weight_bytes for name in "xys"] == [4 + 16, 4 + 8, 0]
    assert [report.memory[name].static.gradient_bytes for name in "xys"] == [16, 8, 0]
    # Kept for the adapter: its input (1 feature) and what A makes of it (r features), 4 bytes each, a sample.
    # The download, 16 and 8 bytes, comes when nothing is kept any more.
    assert report.memory["x"].activation_bytes + report.memory["x"].buffer_bytes == max(2 * 12, 16)
    assert report.memory["y"].activation_bytes + report.memory["y"].buffer_bytes == max(1 * 8, 8)
    assert report.memory["s"].buffer_bytes == 24


def test_whole_boards_wait_for_the_whole_round():
    boards = cluster(
        device("x", 2, idle_w=1, busy_w=3, radio_w=0.5),
        device("y", idle_w=2, busy_w=2),
        device("s", 6, idle_w=5, busy_w=5),
    )
    report = score(federated(), ADAPTED, boards)
    assert report.energy["s"].idle_j == 5 * 97
    assert report.energy["y"].idle_j == 2 * 97
    assert report.energy["x"].idle_j == 97
    assert report.energy["x"].compute_j == (3 - 1) * 48
    assert report.energy["x"].radio_j == 0.5 * (16 + 16)


def test_stacked_adapters_come_down_with_the_sum_of_the_ranks():
    """Up 16 and 8, down 24 each: 73-97 and 97-121."""
    report = score(federated("stack"), ADAPTED, BOARDS)
    assert report.traffic == {("x", "s"): 16, ("y", "s"): 8, ("s", "x"): 24, ("s", "y"): 24}
    assert report.round_time_s == 121


def test_ffa_trains_and_moves_only_b():
    """B has 4 r bytes; without A's gradient (2 r flop) the backward pass takes 2 + 4 r."""
    report = score(federated("ffa"), ADAPTED, BOARDS)
    assert report.traffic == {("x", "s"): 8, ("y", "s"): 4, ("s", "x"): 8, ("s", "y"): 4}
    assert [report.memory[name].static.weight_bytes for name in "xy"] == [4 + 16, 4 + 8]
    assert [report.memory[name].static.gradient_bytes for name in "xy"] == [8, 4]
    # x: F 10 s, B (2 + 8) x 2 / 2 = 10 s.
    assert walk(report, "x").startswith("F#0 0-10, B#0 10-20, update 20-20")


@pytest.mark.parametrize("rule", ["stack", "ffa"])
def test_a_head_trained_in_full_is_averaged_whatever_happens_to_adapters(rule: str):
    """The head's 20 bytes go up and down from everybody: it has no ranks to stack and no factors."""
    tiny = workload(
        block("a", adapters=[{"name": "w", "in_features": 1, "out_features": 1}]),
        block("head", weight_bytes=20),
    )
    made = plan(
        pipeline(1, 2, stage("a head", {"x": 1, "y": 1})),
        job={**LORA, "trained": ["head"]},
        sync={"every": 2, "topology": "star", "server": "s", "rule": rule},
    )
    report = score(made, tiny, BOARDS)
    up, down = {"stack": (8, 16), "ffa": (4, 4)}[rule]
    assert report.traffic[("x", "s")] == up + 20
    assert report.traffic[("s", "x")] == down + 20


SPECTRUM = {"bandwidth_hz": 12, "noise_w_per_hz": 1, "gain": {"x": 24, "y": 4}, "tx_power_w": 1}
RADIO = {
    "name": "net",
    "kind": "shared",
    "members": ["x", "y", "s"],
    "bandwidth_bytes_per_s": 1,
    "spectrum": SPECTRUM,
}


def test_every_client_has_its_share_of_the_spectrum():
    """x: 8 Hz x log2(1 + 24 / 8) = 16 bit/s = 2 byte/s; y: 4 Hz x log2(1 + 4 / 4) = 4 bit/s = 0.5 byte/s.

    Shares are lanes of their own: nobody waits for another.

    ::

        x  FB FB                 up 48-56   down 57-65
        y  FB FB   up 28-44                 down 57-73
        s                             add 56-57
    """
    boards = cluster(device("x", 2, radio_w=0.25), device("y"), device("s", 6), segments=[RADIO])
    made = federated(x={"bandwidth_hz": 8}, y={"bandwidth_hz": 4})
    report = score(made, ADAPTED, boards)
    assert walk(report, "x").endswith("update 48-48, send->s 48-56, update 65-65")
    assert walk(report, "y").endswith("update 28-28, send->s 28-44, update 73-73")
    assert walk(report, "s") == "aggregate 56-57, send->x 57-65, send->y 57-73"
    assert report.round_time_s == 73
    assert report.energy["x"].radio_j == 0.25 * (8 + 8)
    assert report.violations == ()


def test_transmit_power_changes_rate_and_energy():
    """8 W: 8 Hz x log2(1 + 8 x 24 / (8 x 1)) = 8 log2(25) bit/s; sending costs 8 W, receiving the radio's."""
    boards = cluster(device("x", 2, radio_w=0.25), device("y"), device("s", 6), segments=[RADIO])
    made = federated(x={"bandwidth_hz": 8, "tx_power_w": 8}, y={"bandwidth_hz": 4})
    report = score(made, ADAPTED, boards)
    up_s = 16 / 4.643856189774724
    assert report.energy["x"].radio_j == pytest.approx((8 + 0.25) * up_s)


def test_gradients_through_a_server_with_shares_of_the_spectrum():
    """Every step: 4 bytes up from x (2 byte/s) and y (0.5 byte/s) at once, then down at once: 8 s + 8 s."""
    boards = cluster("x", "y", "s", segments=[RADIO])
    made = plan(
        pipeline(1, 2, stage("a", {"x": 1, "y": 1})),
        sync={"topology": "star", "server": "s"},
        devices={"x": {"bandwidth_hz": 8}, "y": {"bandwidth_hz": 4}},
    )
    report = score(made, workload(block("a")), boards)
    assert walk(report, "x") == "F#0 0-1, B#0 1-3, all-reduce{s,x,y} 3-19, update 19-19"


def test_gradients_through_a_server():
    """Every step, by wire: s receives 4 bytes from each, one after the other, and sends 4 to each: 16 s."""
    made = plan(pipeline(1, 2, stage("a", {"x": 1, "y": 1})), sync={"topology": "star", "server": "s"})
    boards = cluster(device("x", radio_w=1), "y", device("s", radio_w=1))
    report = score(made, workload(block("a")), boards)
    assert walk(report, "y") == "F#0 0-1, B#0 1-3, all-reduce{s,x,y} 3-19, update 19-19"
    assert report.traffic == {("x", "s"): 4, ("y", "s"): 4, ("s", "x"): 4, ("s", "y"): 4}
    # x's own link is busy for 4 s each way, the server's for 8 s each way.
    assert report.energy["x"].radio_j == pytest.approx(8)
    assert report.energy["s"].radio_j == pytest.approx(16)
    # The server takes part in no stage: it needs room for the 4 bytes of the sum, and for the largest part.
    assert report.memory["s"].peak_bytes == 4 + 2


SPLIT = [
    pipeline(1, 1, stage("a", {"x": 1}), stage("b c", {"s": 1})),
    pipeline(1, 1, stage("a b", {"y": 1}), stage("c", {"s": 1})),
]
CHAIN = workload(
    block("a", 1, 1, output_bytes=1), block("b", 1, 1, output_bytes=1), block("c", 1, 1, output_bytes=1)
)


def test_split_federated_with_a_cut_per_client():
    """x keeps a, y keeps a and b, the server the rest of both; two local steps, then a and b are averaged.

    y uploads a and b (8 bytes), x only a (4); the server has its own b. Adding 3 weights up takes 3 s.

    ::

        x  F              B          F                  B  up 16-20              down 31-35
        y  FF                   BB       FF                  BB 17-19 up 20-28         down 35-43
        s     FF BB  F B       |  FF BB  F B                          add 28-31
           0  2  4   6 7 8     10 10 12  14 15 16
    """
    made = plan(*SPLIT, sync={"every": 2, "topology": "star", "server": "s"})
    report = score(made, CHAIN, cluster("x", "y", "s"))
    assert walk(report, "x") == (
        "F#0 0-1, send->s#0 1-2, B#0 7-8, update 8-8, F#0 8-9, send->s#0 9-10, B#0 15-16, "
        "update 16-16, "
        "send->s 16-20, update 35-35"
    )
    assert walk(report, "y") == (
        "F#0 0-2, send->s#0 2-3, B#0 9-11, update 11-11, F#0 11-13, send->s#0 13-14, B#0 17-19, "
        "update 19-19, send->s 20-28, update 43-43"
    )
    assert walk(report, "s") == (
        "F#0 2-4, B#0 4-6, send->x#0 6-7, F#0 6-7, B#0 7-8, send->y#0 8-9, update 8-8, "
        "F#0 10-12, B#0 12-14, send->x#0 14-15, F#0 14-15, B#0 15-16, send->y#0 16-17, "
        "update 16-16, "
        "aggregate 28-31, send->x 31-35, send->y 35-43"
    )
    assert report.traffic == {
        ("x", "s"): 2 + 4, ("s", "x"): 2 + 4, ("y", "s"): 2 + 8, ("s", "y"): 2 + 8,
    }  # fmt: skip
    assert [report.memory[name].static.weight_bytes for name in "xys"] == [4, 8, 4 + 4]


def test_split_federated_server_with_a_copy_per_client():
    made = plan(*SPLIT, sync={"every": 2, "topology": "star", "server": "s"}, copies="per_pipeline")
    report = score(made, CHAIN, cluster("x", "y", "s"))
    assert report.memory["s"].static.weight_bytes == 4 + 2 * 4


def llama(rule: str, ranks: list[int]) -> dict[tuple[str, str], int]:
    """Traffic of one round of TinyLlama-1.1B: 22 layers, adapters on q (2048 x 2048) and v (2048 x 256)."""
    adapters = [
        {"name": "q", "in_features": 2048, "out_features": 2048},
        {"name": "v", "in_features": 2048, "out_features": 256},
    ]
    tiny = workload(*(block(f"layer{i}", adapters=adapters) for i in range(22)))
    names = [f"c{i}" for i in range(len(ranks))]
    made = plan(
        pipeline(1, len(ranks), stage(" ".join(tiny.order), dict.fromkeys(names, 1))),
        job={"tune": "lora", "lora_rank": 16},
        sync={"every": 2, "topology": "star", "server": "server", "rule": rule},
        devices={name: {"rank": rank} for name, rank in zip(names, ranks, strict=True)},
    )
    return score(made, tiny, cluster(*names, "server", rate=1e6)).traffic


def test_bytes_of_tinyllama_with_rank_16():
    """22 x [16 (2048 + 2048) + 16 (2048 + 256)] x 4 = 9,011,200 bytes per client and direction."""
    traffic = llama("fedavg", [16] * 10)
    assert traffic[("c0", "server")] == traffic[("server", "c9")] == 9_011_200
    # Fifteen rounds of ten clients: 2578.1 MB, MB = 2^20 bytes.
    assert 15 * sum(traffic.values()) / 2**20 == pytest.approx(2578.125)


def test_bytes_of_tinyllama_with_only_b():
    """22 x 16 (2048 + 256) x 4 = 3,244,032 bytes = 3.09375 MB."""
    traffic = llama("ffa", [16] * 10)
    assert traffic[("c0", "server")] == traffic[("server", "c9")] == 3_244_032
    assert 15 * sum(traffic.values()) / 2**20 + 10 * 5.5 == pytest.approx(983.125)


def test_bytes_of_tinyllama_stacked():
    """Ranks 64, 32, 16, 16, 8, 8, 4, 4, 4, 4 add up to 160: everybody downloads ten times rank 16."""
    ranks = [64, 32, 16, 16, 8, 8, 4, 4, 4, 4]
    traffic = llama("stack", ranks)
    assert [traffic[(f"c{i}", "server")] for i in range(10)] == [rank * 563_200 for rank in ranks]
    assert {traffic[("server", f"c{i}")] for i in range(10)} == {10 * 9_011_200}


def test_bytes_of_tinyllama_zero_padded():
    """Everybody sends and gets its own rank; padding is the server's business."""
    ranks = [64, 32, 4]
    traffic = llama("zero_pad", ranks)
    assert [traffic[(f"c{i}", "server")] for i in range(3)] == [rank * 563_200 for rank in ranks]
    assert [traffic[("server", f"c{i}")] for i in range(3)] == [rank * 563_200 for rank in ranks]


def test_steps_of_a_round_are_numbered():
    report = score(federated(), ADAPTED, BOARDS)
    assert report.program.num_steps == 2
    steps = [item.step for item, _, _ in instructions(report, "x") if item.row.label == "F"]
    assert steps == [0, 1]
