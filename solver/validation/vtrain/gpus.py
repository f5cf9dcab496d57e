"""The GPUs of a run as a cluster: nodes of eight A100, and what lies between them.

NCCL reaches another part of a link's rate for each use, so each use has links of its own: GPUs that share a
layer, replicas of a part, and neighbours in a pipeline. Between nodes a ring of replicas has as many ports as
it has GPUs on a node, and a message the port of one GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from models.cluster import Cluster, Device, PairLink, Segment
from models.formats.vtrain import GptRun
from models.quantity import Quantity
from solver.job import OPTIMIZER_PASSES
from solver.validation.vtrain.constants import (
    FLOP_PER_S,
    GPUS_PER_NODE,
    GRADIENT_EFFICIENCY,
    MEMORY_BYTES,
    MEMORY_BYTES_PER_S,
    NODE_BYTES_PER_S,
    NVLINK_BYTES_PER_S,
    UPDATE_BYTES,
    Constants,
)
from solver.validation.vtrain.costs import HALF, all_reduce_latency_s

KIND = "a100"


def device_name(stage: int, replica: int, part: int) -> str:
    """Return the name of a GPU: its stage, its replica of it, and its part of every layer."""
    return f"p{stage}.d{replica}.t{part}"


def node_of(run: GptRun, stage: int, replica: int, part: int) -> int:
    """Return the node of a GPU: Megatron puts parts of a layer side by side, then replicas, then stages."""
    return ((stage * run.data + replica) * run.tensor + part) // GPUS_PER_NODE


def tensor_bytes_per_s(run: GptRun, constants: Constants) -> float:
    """Return the rate between GPUs that share a layer; between nodes, of the ports they share."""
    inside = constants.tensor_efficiency * NVLINK_BYTES_PER_S
    spread = any(
        node_of(run, p, d, 0) != node_of(run, p, d, run.tensor - 1)
        for p in range(run.pipeline)
        for d in range(run.data)
    )
    return min(inside, constants.tensor_efficiency * NODE_BYTES_PER_S) if spread else inside


def cluster_of(run: GptRun, constants: Constants) -> Cluster:
    """Return the GPUs of a run.

    Parameters
    ----------
    run, constants
        The run, and what was fitted.
    """
    return _cluster(run.tensor, run.data, run.pipeline, tuple(constants.model_dump().values()))


@lru_cache(maxsize=64)
def _cluster(tensor: int, data: int, pipeline: int, values: tuple[float, ...]) -> Cluster:
    """Return the cluster of all runs of the same degrees."""
    constants = Constants(**dict(zip(Constants.model_fields, values, strict=True)))
    num = tensor * data * pipeline
    run = GptRun("", num, 1, 1, 1, 1, 1, 1, tensor, data, pipeline)
    names = tuple(device_name(p, d, t) for p in range(pipeline) for d in range(data) for t in range(tensor))
    segments = [*_layer_segments(run, constants), *_replica_segments(run)]
    if num > 1:
        # Every GPU reaches every other; no message of these plans goes this way.
        segments.append(Segment(name="any", members=names, bandwidth_bytes_per_s=1e6))
    return Cluster(
        name=f"a100_x{num}",
        devices=tuple(_gpu(name) for name in names),
        segments=tuple(segments),
        links=tuple(_stage_links(run, constants)),
    )


def _gpu(name: str) -> Device:
    # The update's traffic in mixed precision, seen through the bytes that the evaluator counts for it.
    counted = OPTIMIZER_PASSES["adamw"] * HALF
    return Device(
        name=name,
        kind=KIND,
        flop_per_s={"fp16": Quantity(value=FLOP_PER_S)},
        memory_bytes=Quantity(value=MEMORY_BYTES),
        memory_bytes_per_s=Quantity(value=MEMORY_BYTES_PER_S * counted / UPDATE_BYTES),
    )


def _layer_segments(run: GptRun, constants: Constants) -> Iterator[Segment]:
    """Yield what joins the GPUs that share a layer."""
    latency_s = float(all_reduce_latency_s(np.array([float(run.tensor)]), constants)[0])
    for p in range(run.pipeline if run.tensor > 1 else 0):
        for d in range(run.data):
            yield Segment(
                name=f"layer.p{p}.d{d}",
                members=tuple(device_name(p, d, t) for t in range(run.tensor)),
                bandwidth_bytes_per_s=tensor_bytes_per_s(run, constants),
                latency_s=latency_s / (2 * (run.tensor - 1)),
            )


def _replica_segments(run: GptRun) -> Iterator[Segment]:
    """Yield what joins the replicas of a part."""
    for p in range(run.pipeline if run.data > 1 else 0):
        for t in range(run.tensor):
            yield Segment(
                name=f"replicas.p{p}.t{t}",
                members=tuple(device_name(p, d, t) for d in range(run.data)),
                bandwidth_bytes_per_s=GRADIENT_EFFICIENCY * _ring_bytes_per_s(run, p, t),
            )


def _stage_links(run: GptRun, constants: Constants) -> Iterator[PairLink]:
    """Yield what joins neighbours in a pipeline."""
    rate = constants.message_bytes_per_s
    for p in range(run.pipeline - 1):
        for d in range(run.data):
            for t in range(run.tensor):
                apart = node_of(run, p, d, t) != node_of(run, p + 1, d, t)
                yield PairLink(
                    between=(device_name(p, d, t), device_name(p + 1, d, t)),
                    bandwidth_bytes_per_s=min(rate, NODE_BYTES_PER_S / GPUS_PER_NODE) if apart else rate,
                )


def _ring_bytes_per_s(run: GptRun, stage: int, part: int) -> float:
    nodes = [node_of(run, stage, d, part) for d in range(run.data)]
    if len(set(nodes)) == 1:
        return NVLINK_BYTES_PER_S
    together = max(nodes.count(node) for node in set(nodes))
    return min(NVLINK_BYTES_PER_S, NODE_BYTES_PER_S * together / GPUS_PER_NODE)
