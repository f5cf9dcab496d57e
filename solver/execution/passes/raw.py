"""Raw data: samples and labels that a device does not own, which reach it only as messages."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

import torch

from models.cluster import Cluster
from models.errors import Fault
from models.nets import catalog
from models.nets.data import Batch
from models.nets.net import NetSpec
from models.profile import DTYPES
from models.workload import Block, Workload
from solver.plan import Plan, share_devices


class RawTensor(NamedTuple):
    """A raw sample, or a label: its shape and its number format on the way."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def num_bytes(self) -> int:
        """Its size."""
        return prod(self.shape) * self.dtype.itemsize


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


def raw_tensors(workload: Workload, spec: NetSpec) -> dict[str, RawTensor]:
    """Return what a sample of what a block reads is, samples or labels, by block.

    Parameters
    ----------
    workload
        The card; raw data travel in its number format.
    spec
        The net.
    """
    dtype = DTYPES[workload.precision]
    found: dict[str, RawTensor] = {}
    for block in workload.blocks:
        for table, name in ((spec.targets, block.task), (spec.inputs, block.modality)):
            what = table.get(name) if name is not None else None
            if what is not None:
                found[block.name] = RawTensor(what.shape, torch.int64 if what.kind == "int" else dtype)
    return found


def raw_faults(plan: Plan, workload: Workload, cluster: Cluster) -> Iterator[Fault]:
    """Yield what cannot be sent: private data, and data of another size than the card says."""
    tensors = raw_tensors(workload, catalog.spec(workload.net)) if workload.net is not None else {}
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
        what = tensors.get(block.name)
        if what is None:
            yield Fault(path, f"net {workload.net} says nothing of what {block.name} reads")
        elif data.bytes_per_sample not in (0, what.num_bytes):
            yield Fault(path, f"a sample has {what.num_bytes} bytes, the card says {data.bytes_per_sample}")
