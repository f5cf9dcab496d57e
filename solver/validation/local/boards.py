"""Boards: emulated devices drawn at random, slow enough that this host can play several of them."""

from __future__ import annotations

import math

import numpy as np

from models.cluster import Cluster

NUM_BOARDS = 6


def boards(rng: np.random.Generator) -> Cluster:
    """Draw six unequal boards and the network between them.

    Parameters
    ----------
    rng
        Source of randomness.

    Notes
    -----
    Speeds of 2 to 8 Gflop/s, 5 to 20 ms an operation, memory of 2 to 8 GB/s; a switch, or one shared medium
    in one of three cases, of 20 to 100 MB/s and 5 to 20 ms. Each is drawn evenly on a logarithmic scale.
    """
    names = [f"board{i}" for i in range(NUM_BOARDS)]
    devices = [
        {
            "name": name,
            "flop_per_s": {"fp32": _between(rng, 2e9, 8e9)},
            "memory_bytes": 8e9,
            "memory_bytes_per_s": _between(rng, 2e9, 8e9),
            "overhead_s": _between(rng, 5e-3, 20e-3),
        }
        for name in names
    ]
    segment = {
        "name": "net",
        "kind": "shared" if rng.random() < 1 / 3 else "switch",
        "members": names,
        "bandwidth_bytes_per_s": _between(rng, 20e6, 100e6),
        "latency_s": _between(rng, 5e-3, 20e-3),
    }
    return Cluster.model_validate({"name": "local_boards", "devices": devices, "segments": [segment]})


def host(names: tuple[str, ...], flop_per_s: float) -> Cluster:
    """Return this host as a cluster: processes that compute alike and talk over the loopback interface.

    Parameters
    ----------
    names
        Of the processes.
    flop_per_s
        What one of them reaches while the others compute too.

    Notes
    -----
    Loopback by gloo: 2 GB/s and 0.2 ms a message.
    """
    devices = [{"name": name, "flop_per_s": {"fp32": flop_per_s}, "memory_bytes": 8e9} for name in names]
    wire = {
        "name": "loopback",
        "kind": "switch",
        "members": names,
        "bandwidth_bytes_per_s": 2e9,
        "latency_s": 2e-4,
    }
    segments = [wire] if len(names) > 1 else []
    return Cluster.model_validate({"name": "this_host", "devices": devices, "segments": segments})


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw evenly on a logarithmic scale; two digits, so that files stay readable."""
    return float(f"{math.exp(rng.uniform(math.log(low), math.log(high))):.2g}")
