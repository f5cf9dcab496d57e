"""One net cut ever finer, and clusters of boards of the catalogue in rooms: problems of any size."""

from __future__ import annotations

import numpy as np

from experiments.cases.edge_clusters import catalogue_boards
from experiments.cases.regimes import MBIT, SWITCH_LATENCY_S
from models.cluster import Cluster
from models.synthetic import transformer_chain
from models.workload import Workload

WHOLE_BLOCKS = 48
"""Blocks of full size that the whole net is worth: 1.3 GB of weights, 58 Gflop forward a sample."""
ROOM = 8
BACKBONE_MBIT, BACKBONE_LATENCY_S = 250, 1e-3
SEED = 3


def net(num_blocks: int) -> Workload:
    """Return a chain of transformer-like blocks that is about the same net for every number of them.

    Parameters
    ----------
    num_blocks
        Into how many it is cut.
    """
    chain, part = transformer_chain(num_blocks, SEED), WHOLE_BLOCKS / num_blocks
    blocks = [
        block.model_copy(
            update={
                "forward_flop": block.forward_flop * part,
                "backward_input_flop": block.backward_input_flop * part,
                "backward_weight_flop": block.backward_weight_flop * part,
                "weight_bytes": 4 * int(block.weight_bytes * part / 4),
                "kept_bytes": int(block.kept_bytes * part),
                "kept_frozen_bytes": int(block.kept_frozen_bytes * part),
            }
        )
        for block in chain.blocks
    ]
    return chain.model_copy(update={"blocks": tuple(blocks), "name": f"net_in_{num_blocks}"})


def rooms(num_devices: int) -> Cluster:
    """Return boards of the catalogue on gigabit switches of eight, joined by a slower backbone.

    Parameters
    ----------
    num_devices
        At least 2, in any of their power modes; the smaller clusters are the first boards of the larger.
    """
    boards = catalogue_boards(np.random.default_rng(SEED), 64, "fp32")[:num_devices]
    names = [board.name for board in boards]
    parts = [names[i : i + ROOM] for i in range(0, num_devices, ROOM)]
    segments = [
        {
            "name": f"room{i}",
            "members": part,
            "bandwidth_bytes_per_s": 1000 * MBIT,
            "latency_s": SWITCH_LATENCY_S,
        }
        for i, part in enumerate(parts)
    ]
    if len(parts) > 1:
        backbone = {"name": "backbone", "members": [segment["name"] for segment in segments]}
        rate = {"bandwidth_bytes_per_s": BACKBONE_MBIT * MBIT, "latency_s": BACKBONE_LATENCY_S}
        segments.append({**backbone, **rate})
    words = {"name": f"rooms_{num_devices}", "source": "boards of the catalogue, drawn by experiments"}
    return Cluster.model_validate({**words, "devices": boards, "segments": segments})
