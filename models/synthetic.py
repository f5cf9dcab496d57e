"""Synthetic chains and clusters, seeded: for oracles and for measuring solvers at a given size."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from models.cluster import Cluster, Device, PairLink, Segment
from models.workload import Block, Edge, Workload


def transformer_chain(num_blocks: int, seed: int = 0) -> Workload:
    """Return a chain of transformer-like blocks: much alike, with an embedding first and a head last.

    Parameters
    ----------
    num_blocks
        Its blocks, at least 2.
    seed
        Blocks differ by up to 30 %.
    """
    rng = np.random.default_rng(seed)
    blocks = []
    for i in range(num_blocks):
        size = float(rng.uniform(0.85, 1.15))
        if i in (0, num_blocks - 1):
            size *= 0.4
        flop = 1.2e9 * size
        blocks.append(
            Block(
                name=f"block{i}",
                forward_flop=flop,
                backward_input_flop=flop if i else 0.0,
                backward_weight_flop=flop,
                weight_bytes=int(28e6 * size),
                kept_bytes=int(9e6 * size),
                kept_frozen_bytes=int(4e6 * size),
                output_bytes=int(rng.uniform(0.3e6, 0.5e6)),
            )
        )
    return Workload(name=f"transformer_chain_{num_blocks}", blocks=tuple(blocks), edges=_chained(blocks))


def unequal_switch(num_devices: int, memory_bytes: float, seed: int = 0) -> Cluster:
    """Return devices of five kinds of speed and any memory on one Gigabit switch.

    Parameters
    ----------
    num_devices
        How many.
    memory_bytes
        Memory of all together; shared out at random, between a third of the mean and three times the mean.
    seed
        Draws speeds and memories.
    """
    rng = np.random.default_rng(seed)
    weights = np.exp(rng.uniform(-0.7, 0.7, num_devices))
    memories = weights / weights.sum() * memory_bytes
    speeds = rng.choice([60e9, 120e9, 250e9, 500e9, 900e9], num_devices)
    devices = [_device(f"d{i}", speeds[i], memories[i], 0.0) for i in range(num_devices)]
    names = tuple(device.name for device in devices)
    switch = Segment(name="switch", members=names, bandwidth_bytes_per_s=125e6, latency_s=2e-4)
    return Cluster(
        name=f"unequal_switch_{num_devices}", devices=tuple(devices), segments=(switch,) if names[1:] else ()
    )


def random_chain(rng: np.random.Generator, num_blocks: int) -> Workload:
    """Return a chain of blocks that differ in everything, in small round numbers.

    Parameters
    ----------
    rng
        Draws it.
    num_blocks
        Its blocks. The first few are sometimes frozen, and the last one, but never all; some
        blocks have room for half of their tokens, some edges carry 0.7 of them.
    """
    frozen = int(rng.integers(0, 3)) if rng.random() < 0.3 else 0
    blocks = []
    for i in range(num_blocks):
        kept = int(rng.integers(0, 400))
        last = i == num_blocks - 1
        blocks.append(
            Block(
                name=f"b{i}",
                forward_flop=float(rng.integers(0, 100)),
                backward_input_flop=float(rng.integers(0, 100)),
                backward_weight_flop=float(rng.integers(0, 100)),
                weight_bytes=int(rng.integers(1, 300)),
                kept_bytes=kept,
                kept_frozen_bytes=kept // 2,
                output_bytes=int(rng.integers(0, 300)),
                capacity=0.5 if rng.random() < 0.1 else None,
                frozen=(i < frozen and not last) or (last and i > frozen and bool(rng.random() < 0.1)),
            )
        )
    shares = [0.7 if rng.random() < 0.1 else 1.0 for _ in blocks]
    edges = [edge.model_copy(update={"share": s}) for edge, s in zip(_chained(blocks), shares, strict=False)]
    return Workload(name="random_chain", blocks=tuple(blocks), edges=tuple(edges))


def random_cluster(rng: np.random.Generator, num_devices: int, links: str) -> Cluster:
    """Return devices that differ in everything, in small round numbers that suit :func:`random_chain`.

    Parameters
    ----------
    rng
        Draws it.
    num_devices
        How many.
    links
        ``switch``, ``shared``, ``pairs`` (a link of its own for each pair) or ``rooms`` (two, joined by a
        slow shared bridge).
    """
    devices = tuple(
        _device(f"d{i}", float(rng.integers(5, 60)), float(rng.integers(1000, 6000)), rng.random() * 0.3)
        for i in range(num_devices)
    )
    names = [device.name for device in devices]
    network: dict[str, Any] = {}
    if num_devices == 1:
        return Cluster(name="random_cluster", devices=devices)
    if links in ("switch", "shared"):
        network["segments"] = (_segment(rng, "net", names, links, 20),)
    elif links == "pairs":
        network["links"] = tuple(
            PairLink(
                between=(a, b),
                bandwidth_bytes_per_s=float(rng.integers(20, 300)),
                latency_s=float(rng.random()) * 0.2,
            )
            for i, a in enumerate(names)
            for b in names[i + 1 :]
        )
    else:
        rooms, ends = [], []
        for r, members in enumerate((names[: num_devices // 2], names[num_devices // 2 :])):
            if len(members) > 1:
                rooms.append(
                    _segment(rng, f"room{r}", members, "shared" if rng.random() < 0.3 else "switch", 100)
                )
            ends.append(f"room{r}" if len(members) > 1 else members[0])
        network["segments"] = (*rooms, _segment(rng, "bridge", ends, "shared", 20))
    return Cluster(name="random_cluster", devices=devices, **network)


def _segment(rng: np.random.Generator, name: str, members: list[str], kind: str, slowest: int) -> Segment:
    return Segment.model_validate(
        {
            "name": name,
            "kind": kind,
            "members": members,
            "bandwidth_bytes_per_s": float(rng.integers(slowest, 3 * slowest + 100)),
            "latency_s": float(rng.random()) * 0.2,
        }
    )


def _device(name: str, speed: float, memory: float, overhead_s: float) -> Device:
    return Device.model_validate(
        {
            "name": name,
            "flop_per_s": {"fp32": float(speed)},
            "memory_bytes": float(memory),
            "memory_bytes_per_s": float(speed) * 10,
            "overhead_s": float(overhead_s),
        }
    )


def _chained(blocks: list[Block]) -> tuple[Edge, ...]:
    return tuple(Edge(source=a.name, target=b.name) for a, b in pairwise(blocks))
