"""Raw data: samples and labels that a device does not own, which reach it only as messages."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import torch

from models.cluster import Cluster
from models.errors import Fault
from models.nets.data import Batch
from models.nets.net import NetSpec, TensorSpec
from models.profile import DTYPES
from models.workload import Block, Workload
from solver.plan import Plan, share_devices


def withheld(workload: Workload, cluster: Cluster, device: str) -> frozenset[str]:
    """Return the blocks whose data a device does not own, though others do.

    Parameters
    ----------
    workload, cluster
        Say what a block reads, and who owns it.
    device
        Which device.
    """
    return frozenset(
        block.name
        for block in workload.blocks
        if block.data is not None and block.data.bytes_per_sample
        for owners in [owners_of(block, cluster)]
        if owners and device not in owners
    )


def owners_of(block: Block, cluster: Cluster) -> set[str]:
    """Return the devices that own what a block reads; none: every device has it."""
    if block.data is None:
        return set()
    return {device.name for device in cluster.devices if block.data.name in device.data}


def own_data(batch: Batch, workload: Workload, hidden: frozenset[str]) -> Batch:
    """Return a batch without what a device does not own.

    Parameters
    ----------
    batch
        What every process draws.
    workload
        Says what the blocks read.
    hidden
        Blocks whose data it does not own.
    """
    blocks = [workload.by_name[name] for name in hidden]
    modalities, tasks = {block.modality for block in blocks}, {block.task for block in blocks}
    return Batch(
        {name: raw for name, raw in batch.inputs.items() if name not in modalities},
        {name: target for name, target in batch.targets.items() if name not in tasks},
    )


def raw_spec(spec: NetSpec, block: Block) -> TensorSpec | None:
    """Return the shape of what a block reads, samples or labels."""
    if block.modality is not None:
        return spec.inputs.get(block.modality)
    return spec.targets.get(block.task or "")


def raw_dtype(what: TensorSpec, workload: Workload) -> torch.dtype:
    """Return the number format in which raw data travel: that of the card, or 64-bit indices."""
    return torch.int64 if what.kind == "int" else DTYPES[workload.precision]


def raw_faults(plan: Plan, workload: Workload, cluster: Cluster, spec: NetSpec) -> Iterator[Fault]:
    """Yield what cannot be sent: private data, and data of another size than the card says."""
    for block in workload.blocks:
        data, owners = block.data, owners_of(block, cluster)
        if data is None or not owners:
            continue
        stages = [stage for p in plan.pipelines for stage in p.stages if block.name in stage.blocks]
        without = sorted({name for stage in stages for name in share_devices(stage.shares)} - owners)
        if not without:
            continue
        path = f"workload.blocks.{block.name}.data"
        if not data.may_leave:
            message = f"{data.name} may not leave {', '.join(sorted(owners))}, and {', '.join(without)} would"
            yield Fault(path, f"{message} read them")
            continue
        what = raw_spec(spec, block)
        if what is None:
            yield Fault(path, f"net {spec.name} says nothing of what {block.name} reads")
            continue
        size = prod(what.shape) * raw_dtype(what, workload).itemsize
        if data.bytes_per_sample not in (0, size):
            yield Fault(path, f"a sample has {size} bytes, the card says {data.bytes_per_sample}")
