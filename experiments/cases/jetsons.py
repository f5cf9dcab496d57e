"""Clusters of Jetson boards of the catalogue, alike or mixed, on one switch."""

from __future__ import annotations

from collections.abc import Mapping

from experiments.cases.regimes import Network, over
from models import catalog
from models.cluster import Cluster, Device

MODES = {
    "nano": ("jetson_nano", "10w"),
    "tx2": ("jetson_tx2", "max_n"),
    "nx": ("jetson_xavier_nx", "15w"),
    "orin": ("jetson_agx_orin", "50w"),
}
"""Short name of a board: its card, and the power mode that it is run in."""
CLUSTERS: dict[str, dict[str, int]] = {
    "4 nano": {"nano": 4},
    "1 tx2, 2 nano": {"tx2": 1, "nano": 2},
    "1 nx, 1 tx2, 3 nano": {"nx": 1, "tx2": 1, "nano": 3},
    "2 nx, 2 tx2, 2 nano": {"nx": 2, "tx2": 2, "nano": 2},
    "1 orin, 1 nx, 1 tx2, 1 nano": {"orin": 1, "nx": 1, "tx2": 1, "nano": 1},
}
"""One of equal boards and four mixed ones, of three to six: ours, since those of the paper are not known."""


def jetsons(counts: Mapping[str, int], mbit_per_s: int) -> Cluster:
    """Return boards on a switch.

    Parameters
    ----------
    counts
        Short name to how many.
    mbit_per_s
        Rate of the switch's ports.
    """
    boards = [_board(kind, i) for kind, count in counts.items() for i in range(count)]
    name = "_".join(f"{kind}{count}" for kind, count in counts.items())
    return over(boards, Network("switch", mbit_per_s), name)


def _board(kind: str, number: int) -> Device:
    card, mode = MODES[kind]
    return catalog.device(card).in_mode(mode).model_copy(update={"name": f"{kind}{number}"})
