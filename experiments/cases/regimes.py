"""Networks to put under the boards of a cluster, one for each regime that experiments compare."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np

from models import catalog
from models.cluster import Cluster, Device

MBIT = 1e6 / 8
"""Bytes per second of a megabit per second."""
SWITCH_LATENCY_S, AIR_LATENCY_S, BRIDGE_LATENCY_S = 2e-4, 2e-3, 3e-3
"""Of a small message over a switch, an access point and a wireless bridge, as in the catalogue."""
SLOWEST_MBIT, FASTEST_MBIT = 50, 1000
"""Between which the rates of unequal links are drawn."""


class Network(NamedTuple):
    """A regime of links.

    Parameters
    ----------
    kind
        ``switch``: any pair at once; ``shared``: an access point, one transfer at a time; ``rooms``: the
        first and second half of the boards on a gigabit switch each, a shared bridge between; ``mixed``:
        a link for every pair, rates drawn log-uniformly from 50 to 1000 Mbit/s.
    mbit_per_s
        Rate of the switch, of the access point or of the bridge; of ``mixed`` the seed of the draw.
    """

    kind: Literal["switch", "shared", "rooms", "mixed"]
    mbit_per_s: int

    @property
    def name(self) -> str:
        """Its name in tables and files."""
        return f"{self.kind}_{self.mbit_per_s}"


def boards_of(*names: str) -> tuple[Device, ...]:
    """Return the boards of clusters of the catalogue, in their order.

    Parameters
    ----------
    names
        Clusters; no two of their boards may have the same name.
    """
    return tuple(device for name in names for device in catalog.cluster(name).devices)


def over(boards: Sequence[Device], network: Network, name: str) -> Cluster:
    """Return boards joined by a network.

    Parameters
    ----------
    boards
        Two at least; four for rooms.
    network
        How they are joined.
    name
        Name of the cluster, before that of the network.
    """
    words = {"name": f"{name}_{network.name}", "source": "boards of the catalogue; network by experiments"}
    links = _links([board.name for board in boards], network)
    return Cluster.model_validate({**words, "devices": list(boards), **links})


def _links(names: list[str], network: Network) -> dict[str, Any]:
    rate = network.mbit_per_s * MBIT
    if network.kind == "mixed":
        return {"links": _drawn(names, network.mbit_per_s)}
    if network.kind == "rooms":
        return {"segments": _rooms(names, rate)}
    latency_s = SWITCH_LATENCY_S if network.kind == "switch" else AIR_LATENCY_S
    return {"segments": [_segment("net", network.kind, names, rate, latency_s)]}


def _drawn(names: list[str], seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    pairs = list(combinations(names, 2))
    span = np.log([SLOWEST_MBIT, FASTEST_MBIT])
    rates = np.exp(rng.uniform(*span, len(pairs)))
    return [
        # Whole megabits, so that the last bit of exp() on a machine does not show.
        {"between": pair, "bandwidth_bytes_per_s": round(rate) * MBIT, "latency_s": SWITCH_LATENCY_S}
        for pair, rate in zip(pairs, rates.tolist(), strict=True)
    ]


def _rooms(names: list[str], bridge: float) -> list[dict[str, Any]]:
    half = (len(names) + 1) // 2
    rooms = {"room_a": names[:half], "room_b": names[half:]}
    inside = [_segment(room, "switch", few, 1000 * MBIT, SWITCH_LATENCY_S) for room, few in rooms.items()]
    return [*inside, _segment("bridge", "shared", list(rooms), bridge, BRIDGE_LATENCY_S)]


def _segment(name: str, kind: str, members: list[str], rate: float, latency_s: float) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "members": members,
        "bandwidth_bytes_per_s": rate,
        "latency_s": latency_s,
    }
