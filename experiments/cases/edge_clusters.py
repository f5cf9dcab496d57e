"""Clusters of the suite `edge`: boards of the catalogue or drawn ones, in four regimes of links."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.cases.edge_workloads import between, rounded
from models import catalog
from models.cluster import Cluster, Device
from models.workload import Precision

REGIMES = ("gigabit", "slow", "mixed", "rooms")
"""One switch of 1 Gbit/s; one of 100 Mbit/s; pairs of 50 to 1000 Mbit/s; two rooms and a slow bridge."""
CARDS = (
    *("jetson_nano", "jetson_tx2", "jetson_xavier_nx", "jetson_orin_nano", "jetson_agx_orin"),
    *("laptop_cpu", "raspberry_pi_5"),
)
OFTEN = np.array([0.25, 0.2, 0.2, 0.15, 0.08, 0.07, 0.05])
"""How often each is drawn: small boards are common, the largest is rare."""
CLUSTERS = ("four_boards", "jetson_mixed", "two_rooms", "smart_home")
"""Clusters whose boards are taken together."""
MBIT = 1e6 / 8


def catalogue_boards(rng: np.random.Generator, num: int, precision: Precision) -> list[Device]:
    """Draw boards of the catalogue in one of their power modes: their speed and memory go together."""
    boards: list[Device] = []
    whole = [name for name in CLUSTERS if len(catalog.cluster(name).devices) == num]
    if whole and rng.random() < 0.3:
        drawn = catalog.cluster(str(rng.choice(whole))).devices
        boards = [device for device in drawn if precision in device.flop_per_s]
    while len(boards) < num:
        card = catalog.device(str(rng.choice(CARDS, p=OFTEN)))
        modes = [None, *sorted(card.power_modes)]
        board = card.in_mode(modes[int(rng.integers(len(modes)))])
        if precision in board.flop_per_s:
            boards.append(board)
    return [_bare(board, f"{_stem(board)}{i}", precision) for i, board in enumerate(boards)]


def drawn_boards(rng: np.random.Generator, num: int, precision: Precision) -> list[Device]:
    """Draw boards whose speed and memory have nothing to do with each other."""
    return [
        _device(
            f"board{i}",
            precision,
            flop_per_s=between(rng, 60e9, 2000e9),
            memory_bytes=between(rng, 1e9, 16e9),
            memory_bytes_per_s=between(rng, 10e9, 150e9),
            overhead_s=between(rng, 1e-4, 1e-3),
            idle_w=between(rng, 1.5, 8),
            busy_w=between(rng, 8, 40),
            radio_w=0.3,
        )
        for i in range(num)
    ]


def _stem(board: Device) -> str:
    return board.kind.removeprefix("jetson_").removeprefix("raspberry_").removesuffix("_cpu")


def _bare(board: Device, name: str, precision: Precision) -> Device:
    """Return the numbers of a board without their origins, modes and data: what the suite freezes."""
    words = {w: getattr(board, w).value for w in ("idle_w", "busy_w", "radio_w", "overhead_s")}
    memory = board.memory_bytes_per_s
    return _device(
        name,
        precision,
        kind=board.kind,
        flop_per_s=board.flop_per_s[precision].value,
        memory_bytes=board.memory_bytes.value,
        memory_bytes_per_s=None if memory is None else memory.value,
        **words,
    )


def _device(name: str, precision: Precision, flop_per_s: float, **words: Any) -> Device:
    given = {key: value for key, value in words.items() if value is not None}
    return Device.model_validate({"name": name, "flop_per_s": {precision: flop_per_s}, **given})


def with_memory(boards: list[Device], factor: float) -> list[Device]:
    """Return boards whose memories are multiplied, rounded up to whole megabytes."""
    return [
        Device.model_validate(
            {
                **board.model_dump(exclude_defaults=True),
                "memory_bytes": float(np.ceil(board.memory_bytes.value * factor / 1e6) * 1e6),
            }
        )
        for board in boards
    ]


def network(rng: np.random.Generator, names: list[str], regime: str) -> dict[str, Any]:
    """Draw the links between devices: words of a cluster."""
    latency = {"latency_s": 2e-4}
    if regime in ("gigabit", "slow"):
        rate = (1000 if regime == "gigabit" else 100) * MBIT
        switch = {"name": "switch", "members": names, "bandwidth_bytes_per_s": rate, **latency}
        return {"segments": [switch]}
    if regime == "mixed":
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        links = [
            {"between": pair, "bandwidth_bytes_per_s": rounded(between(rng, 50, 1000) * MBIT), **latency}
            for pair in pairs
        ]
        return {"links": links}
    there = sorted(rng.permutation(len(names))[: int(rng.integers(2, len(names) - 1))].tolist())
    rooms = [[names[i] for i in there], [name for i, name in enumerate(names) if i not in there]]
    segments: list[dict[str, Any]] = [
        {"name": f"room_{'ab'[r]}", "members": room, "bandwidth_bytes_per_s": 1000 * MBIT, **latency}
        for r, room in enumerate(rooms)
    ]
    bridge = rounded(between(rng, 20, 200) * MBIT)
    segments.append(
        {
            "name": "bridge",
            "kind": "shared",
            "members": ["room_a", "room_b"],
            "bandwidth_bytes_per_s": bridge,
            "latency_s": 3e-3,
        }
    )
    return {"segments": segments}


def cluster(name: str, boards: list[Device], links: dict[str, Any]) -> Cluster:
    """Build the cluster."""
    source = "drawn by experiments/edge_suite.py"
    return Cluster.model_validate({"name": name, "source": source, "devices": boards, **links})
