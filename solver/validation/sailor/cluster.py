"""The GPUs of a run as a Cluster: nodes, what joins their GPUs, and what joins the nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from models.cluster import Cluster, Device, PairLink, Segment
from models.errors import Fault, InputError
from models.formats.sailor import Curve, Node, SailorData
from models.quantity import Quantity
from solver.validation.sailor.workload import kind_of

MIB = 2**20


@dataclass(frozen=True)
class Gpu:
    """One GPU of a run.

    Parameters
    ----------
    name
        Unique.
    kind, degree
        What it is, and the tensor degree it is used with.
    zone, node
        Where it is.
    update_bytes_per_s
        Memory bandwidth that the published update times stand for; 0: the update takes no time.
    """

    name: str
    kind: str
    degree: int
    zone: str
    node: int
    update_bytes_per_s: float


def latency_and_rate(curve: Curve) -> tuple[float, float]:
    """Return (seconds, bytes per second) of the straight line through a curve's times at 1 and 512 MiB.

    Parameters
    ----------
    curve
        Bandwidth by message size.

    Notes
    -----
    512 MiB is the size at which the curves reach the largest bandwidth measured.
    """
    small, large = MIB, 512 * MIB
    first, last = small / curve.bytes_per_s(small), large / curve.bytes_per_s(large)
    rate = (large - small) / (last - first)
    return max(0.0, first - small / rate), rate


def between(data: SailorData, first: Gpu, second: Gpu) -> Curve | None:
    """Return the published curve between two GPUs, one talking to one; ``None`` if there is none."""
    if (first.zone, first.node) == (second.zone, second.node) and first.kind == second.kind:
        return data.within.get(first.kind, {}).get(2)
    for a, b in ((first, second), (second, first)):
        curve = data.across.get(a.zone, {}).get(a.kind, {}).get(1, {}).get(b.zone, {}).get(b.kind, {}).get(1)
        if curve is not None:
            return curve
    return None


def cluster_of(data: SailorData, gpus: Sequence[Gpu], link_cost: float) -> Cluster:
    """Return the GPUs and their network.

    Parameters
    ----------
    data
        Has the curves and the nodes.
    gpus
        Those of a run.
    link_cost
        Time of bytes between nodes, as a multiple of what the curves say.

    Raises
    ------
    InputError
        With every pair of kinds and zones that has no curve, and every GPU of unknown memory.
    """
    classes: dict[tuple[str, str], list[Gpu]] = {}
    for gpu in gpus:
        classes.setdefault((gpu.zone, gpu.kind), []).append(gpu)
    faults = [
        Fault(f"basic_cluster_config.json: {kind}", "has no node of this GPU")
        for kind in dict.fromkeys(kind for _, kind in classes)
        if kind not in data.nodes
    ]
    segments: list[Segment] = []
    for (zone, kind), members in classes.items():
        nodes = {gpu.node: [g for g in members if g.node == gpu.node] for gpu in members}
        for number, inside in nodes.items():
            if len(inside) > 1:
                segments += _segment(data, f"{zone}/{kind}/node{number}", inside, inside[:2], 1.0, faults)
        if len(nodes) > 1:
            ends = [inside[0] for inside in nodes.values()][:2]
            segments += _segment(data, f"{zone}/{kind}/nodes", members, ends, link_cost, faults)
    links = [
        PairLink(between=(a.name, b.name), latency_s=way[0], bandwidth_bytes_per_s=way[1] / link_cost)
        for first, second in combinations(classes.values(), 2)
        if (way := _way(data, first[0], second[0], faults)) is not None
        for a in first
        for b in second
    ]
    if faults:
        raise InputError(faults, "sailor")
    devices = tuple(_device(data.nodes[gpu.kind], gpu) for gpu in gpus)
    source = "node sizes and network curves of github.com/eth-easl/sailor"
    return Cluster(name="gpus", source=source, devices=devices, segments=tuple(segments), links=tuple(links))


def _way(data: SailorData, first: Gpu, second: Gpu, faults: list[Fault]) -> tuple[float, float] | None:
    curve = between(data, first, second)
    if curve is None:
        message = f"has no curve between {first.kind} in {first.zone} and {second.kind} in {second.zone}"
        faults.append(Fault("network", message))
        return None
    return latency_and_rate(curve)


def _segment(
    data: SailorData,
    name: str,
    members: Sequence[Gpu],
    ends: Sequence[Gpu],
    cost: float,
    faults: list[Fault],
) -> list[Segment]:
    way = _way(data, ends[0], ends[1], faults)
    names = tuple(gpu.name for gpu in members)
    if way is None:
        return []
    latency_s, rate = way
    return [Segment(name=name, members=names, latency_s=latency_s, bandwidth_bytes_per_s=rate / cost)]


def _device(node: Node, gpu: Gpu) -> Device:
    return Device(
        name=gpu.name,
        kind=kind_of(gpu.kind, gpu.degree),
        flop_per_s={"fp32": Quantity(value=1.0)},
        memory_bytes=Quantity(value=node.mem_per_gpu),
        memory_bytes_per_s=Quantity(value=gpu.update_bytes_per_s) if gpu.update_bytes_per_s else None,
    )
