"""Inputs of dnn-partitioning: a DAG of layers or operators, accelerators with little memory, and processors.

Source: github.com/msr-fiddle/dnn-partitioning (Tarnawski et al., "Efficient algorithms for device placement
of DNN graph operators", NeurIPS 2020, arXiv 2006.16423). JSON: ``maxFPGAs``, ``maxCPUs``,
``maxSizePerFPGA`` (bytes), ``nodes`` with ``id``, ``cpuLatency`` and ``fpgaLatency`` (ms), ``size`` (bytes),
``supportedOnFpga``, ``isBackwardNode`` and perhaps ``colorClass``, and ``edges`` with ``sourceId``,
``destId``, ``cost`` (ms of one copy of the tail's output between accelerator and host) and perhaps ``size``.

Every node, forward or backward, is a block that is computed once a sample; its times are measured on the
kinds of devices ``acc`` and ``cpu``. Nodes of one ``colorClass`` share a device; a node without one is free.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict, Field

from models.cluster import Cluster, Device, Segment
from models.document import Document, read, validate
from models.errors import Fault, InputError
from models.quantity import Quantity
from models.workload import Block, Edge, TimeProfile, Workload

ACCELERATOR, PROCESSOR = "acc", "cpu"
"""Kinds of devices; their names are these with a number."""

UNLIMITED_BYTES = 2.0**60
"""Memory of a processor: the instances set no limit."""

MOST_DEVICES = 100_000
"""Of a kind; a larger number is a mistake."""


class _Lenient(Document):
    """A part of a file; words beside those of the format are left alone."""

    model_config = ConfigDict(extra="ignore")


class Node(_Lenient):
    """A node of the file; see the module for its words."""

    id: int = Field(strict=True)
    cpu_latency: float = Field(alias="cpuLatency", ge=0)
    fpga_latency: float = Field(alias="fpgaLatency", ge=0)
    size: float = Field(ge=0)
    supported_on_fpga: bool = Field(alias="supportedOnFpga")
    is_backward_node: bool = Field(alias="isBackwardNode")
    color_class: int | None = Field(default=None, alias="colorClass", strict=True)


class NodeEdge(_Lenient):
    """An edge of the file; see the module for its words."""

    source_id: int = Field(alias="sourceId", strict=True)
    dest_id: int = Field(alias="destId", strict=True)
    cost: float = Field(ge=0)
    size: float = Field(default=0, ge=0)


class File(_Lenient):
    """A whole file; see the module for its words."""

    max_fpgas: int = Field(alias="maxFPGAs", ge=0, le=MOST_DEVICES)
    max_cpus: int = Field(alias="maxCPUs", ge=0, le=MOST_DEVICES)
    max_size_per_fpga: float = Field(alias="maxSizePerFPGA", ge=0)
    nodes: tuple[Node, ...] = Field(min_length=1)
    edges: tuple[NodeEdge, ...]


@dataclass(frozen=True)
class PartitioningInput:
    """What a file says.

    Parameters
    ----------
    workload
        The nodes; blocks are named by their ids. Times are per sample, ``copy_s`` per copy of an output.
    num_accelerators, num_processors
        Devices there are.
    accelerator_bytes
        Memory of each accelerator.
    together
        Blocks that share a device, by colour; groups of one are left out.
    forward
        Blocks that are no backward nodes.
    mirrored
        Edges between backward nodes, turned round, of which an end has no forward node of its colour.
    unsupported
        Blocks that run on processors only.
    """

    workload: Workload
    num_accelerators: int
    num_processors: int
    accelerator_bytes: float
    together: tuple[tuple[str, ...], ...]
    forward: frozenset[str]
    mirrored: tuple[tuple[str, str], ...]
    unsupported: frozenset[str]

    def cluster(self, num_processors: int) -> Cluster:
        """Return the accelerators and some processors; what joins them costs nothing by itself.

        Parameters
        ----------
        num_processors
            How many.
        """
        devices = [_device(ACCELERATOR, i, self.accelerator_bytes) for i in range(self.num_accelerators)]
        devices += [_device(PROCESSOR, i, UNLIMITED_BYTES) for i in range(num_processors)]
        names = tuple(device.name for device in devices)
        bus = Segment(name="bus", members=names, bandwidth_bytes_per_s=16e9) if len(names) > 1 else None
        return Cluster(
            name=f"{self.num_accelerators}_accelerators_{num_processors}_processors",
            description="The rate of the bus is not read: copies to and from host memory were measured.",
            devices=tuple(devices),
            segments=(bus,) if bus else (),
        )


def _device(kind: str, number: int, memory_bytes: float) -> Device:
    # Every block's time was measured on the kind, so the speed is never read.
    return Device(
        name=f"{kind}{number}",
        kind=kind,
        flop_per_s={"fp32": Quantity(value=1.0)},
        memory_bytes=Quantity(value=math.floor(memory_bytes)),
    )


def read_partitioning(path: Path) -> PartitioningInput:
    """Read a file.

    Parameters
    ----------
    path
        The file; its stem is the workload's name.

    Raises
    ------
    InputError
        With every fault and its path.
    """
    data = validate(File, read(path), str(path))
    faults = [*_node_faults(data.nodes), *_edge_faults(data)]
    if data.max_fpgas + data.max_cpus == 0:
        faults.append(Fault("maxFPGAs", "there is no device: maxFPGAs and maxCPUs are both 0"))
    if faults:
        raise InputError(faults, str(path))
    try:
        return PartitioningInput(
            workload=_workload(path.stem, data),
            num_accelerators=data.max_fpgas,
            num_processors=data.max_cpus,
            accelerator_bytes=data.max_size_per_fpga,
            together=_together(data.nodes),
            forward=frozenset(str(node.id) for node in data.nodes if not node.is_backward_node),
            mirrored=_mirrored(data),
            unsupported=frozenset(str(node.id) for node in data.nodes if not node.supported_on_fpga),
        )
    except InputError as error:
        raise InputError(error.faults, str(path)) from None


def _node_faults(nodes: Sequence[Node]) -> Iterator[Fault]:
    first: dict[int, int] = {}
    for i, node in enumerate(nodes):
        if node.id in first:
            yield Fault(f"nodes.{i}.id", f"id {node.id} is taken by nodes.{first[node.id]}")
        first.setdefault(node.id, i)


def _edge_faults(data: File) -> Iterator[Fault]:
    backward = {node.id: node.is_backward_node for node in data.nodes}
    cost: dict[int, float] = {}
    for i, edge in enumerate(data.edges):
        for word, end in (("sourceId", edge.source_id), ("destId", edge.dest_id)):
            if end not in backward:
                yield Fault(f"edges.{i}.{word}", f"no node has the id {end}")
        if backward.get(edge.source_id) and not backward.get(edge.dest_id, True):
            message = f"goes from backward node {edge.source_id} to forward node {edge.dest_id}"
            yield Fault(f"edges.{i}", message)
        known = cost.setdefault(edge.source_id, edge.cost)
        if not math.isclose(known, edge.cost, rel_tol=1e-9):
            message = f"the output of node {edge.source_id} costs {edge.cost} ms here and {known} ms before"
            yield Fault(f"edges.{i}.cost", f"{message}; the cost of a copy belongs to the node")


def _together(nodes: Sequence[Node]) -> tuple[tuple[str, ...], ...]:
    groups: dict[int, list[str]] = defaultdict(list)
    for node in nodes:
        if node.color_class is not None:
            groups[node.color_class].append(str(node.id))
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def _mirrored(data: File) -> tuple[tuple[str, str], ...]:
    of = {node.id: node for node in data.nodes}
    colours = {node.color_class for node in data.nodes if not node.is_backward_node} - {None}
    orphans = {n.id for n in data.nodes if n.is_backward_node and n.color_class not in colours}
    return tuple(
        (str(edge.dest_id), str(edge.source_id))
        for edge in data.edges
        if of[edge.source_id].is_backward_node and {edge.source_id, edge.dest_id} & orphans
    )


def _workload(name: str, data: File) -> Workload:
    copy_ms: dict[int, float] = {}
    output_bytes: dict[int, float] = {}
    for edge in data.edges:
        copy_ms[edge.source_id] = max(edge.cost, copy_ms.get(edge.source_id, 0.0))
        output_bytes[edge.source_id] = max(edge.size, output_bytes.get(edge.source_id, 0.0))
    pairs = dict.fromkeys((str(edge.source_id), str(edge.dest_id)) for edge in data.edges)
    profiles = {
        ACCELERATOR: {
            str(node.id): _profile(node.fpga_latency, copy_ms.get(node.id, 0.0)) for node in data.nodes
        },
        PROCESSOR: {str(node.id): _profile(node.cpu_latency) for node in data.nodes},
    }
    return Workload(
        name=name,
        description="Blocks are named by the ids of the nodes.",
        source="input of dnn-partitioning, github.com/msr-fiddle/dnn-partitioning",
        blocks=tuple(
            Block(
                name=str(node.id),
                forward_flop=0,
                weight_bytes=math.ceil(node.size),
                output_bytes=math.ceil(output_bytes.get(node.id, 0.0)),
            )
            for node in data.nodes
        ),
        edges=tuple(Edge(source=source, target=target) for source, target in pairs),
        profiles=profiles,
    )


def _profile(compute_ms: float, copy_ms: float | None = None) -> TimeProfile:
    copies = () if copy_ms is None else (copy_ms / 1e3,)
    return TimeProfile(samples=(1,), forward_s=(compute_ms / 1e3,), backward_s=(0.0,), copy_s=copies)
