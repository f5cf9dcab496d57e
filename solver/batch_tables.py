"""Batch tables: what stages of a chain cost and need on every device, as the lowering counts it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.errors import Fault, InputError
from models.workload import NUM_BYTES
from solver.lowering.context import Context
from solver.program import Floats, Longs

BOARD = np.dtype(
    [
        *((name, np.int64) for name in ("send_lane", "recv_lane", "limit_bytes")),
        *((name, np.float64) for name in ("overhead_s", "update_s_per_byte")),
        *((name, np.float64) for name in ("idle_w", "left_w", "busy_w", "send_w", "recv_w")),
    ]
)
"""A device: lanes of its own sends and receives, memory; overhead of an operation, seconds per trained byte
of an update; power: idle, in no stage, and extra while it computes, sends and receives."""

LINK = np.dtype(
    [
        *((name, np.float64) for name in ("latency_s", "bytes_per_s", "distance")),
        *((name, np.int64) for name in ("lanes", "media", "end_of_lanes", "is_down")),
    ]
)
"""From one device to another: a message's latency and rate; seconds per byte that decide who is nearest; its
lanes, of which those from ``media`` on are shared media; 1 if the other device is trusted less."""


class Tables(NamedTuple):
    """Everything a plan is scored from; D devices, L blocks, N samples of a micro-batch.

    Parameters
    ----------
    times_s
        (2, D, N + 1, L + 1): forward and backward seconds of all blocks before a block, for a number of
        samples; 0 on devices without a speed.
    sums_bytes
        (3, L + 1): of all blocks before a block: kept for backward per sample; weights, gradients and
        optimizer states; trained weights.
    message_bytes
        (L + 1, N + 1): bytes of a number of samples that cross into a block.
    has_backward
        (L + 1,): whether the block before a boundary has a backward pass.
    boards
        (D,) of :data:`BOARD`.
    links
        (D, D) of :data:`LINK`.
    lanes
        Lanes of all links.
    usable
        (D,): whether a device has a speed for the job's precision.
    num_lanes
        How many lanes there are; lane d is the compute lane of device d.
    item_bytes
        Bytes of a number in the job's precision.
    """

    times_s: Floats
    sums_bytes: Longs
    message_bytes: Longs
    has_backward: NDArray[Any]
    boards: NDArray[Any]
    links: NDArray[Any]
    lanes: Longs
    usable: NDArray[Any]
    num_lanes: int
    item_bytes: int


_MOST_CELLS = 100_000_000
"""Times of all blocks on all devices for every number of samples: 0.8 GB."""


def check_family(context: Context) -> None:
    """Raise unless the batch path covers a workload, job and devices.

    Parameters
    ----------
    context
        Any plan of the family.

    Raises
    ------
    InputError
        With every reason.
    """
    workload = context.workload
    faults = common_faults(context)
    if not workload.is_chain:
        faults.append(Fault("workload.edges", f"{workload.name} is a DAG; only chains are scored in batches"))
    owned = {name for device in context.cluster.devices for name in device.data}
    for i, block in enumerate(workload.blocks):
        if block.data is not None and block.data.may_leave and block.data.name in owned:
            faults.append(Fault(f"workload.blocks.{i}.data", f"{block.name} may be sent raw data"))
    if faults:
        raise InputError(faults, "batch scoring")


def common_faults(context: Context) -> list[Fault]:
    """Return why neither chains nor graphs of a workload, job and devices are scored in batches.

    Parameters
    ----------
    context
        Any plan of the family.
    """
    workload, plan = context.workload, context.plan
    faults = []
    if plan.job.kind != "train":
        faults.append(Fault("job.kind", "plans are scored in batches for training only"))
    if context.settings.rule != "program":
        faults.append(Fault("settings.rule", f"the rule {context.settings.rule} is not scored in batches"))
    if context.settings.transfers != "link":
        message = f"transfers of the kind {context.settings.transfers} are not scored in batches"
        faults.append(Fault("settings.transfers", message))
    if context.settings.message_s:
        faults.append(Fault("settings.message_s", "a time for every message is not scored in batches"))
    for word in ("runtime_bytes", "weight_copies"):
        if getattr(context.settings, word):
            faults.append(Fault(f"settings.{word}", "memory of the runtime is not scored in batches"))
    if context.settings.collectives != "lanes":
        faults.append(Fault("settings.collectives", "channels of collectives are not scored in batches"))
    if context.settings.memory != "all":
        faults.append(Fault("settings.memory", "memory of weights alone is not scored in batches"))
    for i, block in enumerate(workload.blocks):
        if block.capacity is not None:
            faults.append(Fault(f"workload.blocks.{i}.capacity", f"{block.name} is an expert"))
    if any(edge.share != 1 for edge in workload.edges):
        faults.append(Fault("workload.edges", "an edge carries only a share of the tokens"))
    for name, choice in plan.devices.items():
        if choice.rank is not None:
            faults.append(Fault(f"devices.{name}.rank", "ranks are the same for all in a batch"))
    return faults


def make_tables(context: Context, samples: int) -> Tables:
    """Return the tables of a workload on a cluster.

    Parameters
    ----------
    context
        Any plan of the family.
    samples
        Samples of a micro-batch.

    Raises
    ------
    InputError
        If they are too large.
    """
    costs, order = context.costs, context.workload.order
    cells = 2 * len(context.devices) * (samples + 1) * (len(order) + 1)
    if cells > _MOST_CELLS:
        message = f"micro-batches of {samples} samples take tables of {cells} numbers; {_MOST_CELLS} at most"
        raise InputError([Fault("job.batch", message)], "batch scoring")
    blocks = [costs.block(name) for name in order]
    trained = _before([block.trained_bytes for block in blocks])
    static = (
        _before([block.weight_bytes + costs.state_bytes(block.trained_bytes) for block in blocks]) + trained
    )
    links, lanes = link_table(context)
    precision = context.plan.job.precision
    return Tables(
        times_s=_times(context, samples),
        sums_bytes=np.array([_before([block.kept_bytes for block in blocks]), static, trained]),
        message_bytes=_message_bytes(context, samples),
        has_backward=np.array([False, *(block.has_backward for block in blocks)]),
        boards=board_table(context),
        links=links,
        lanes=lanes,
        usable=np.array([precision in device.flop_per_s for device in context.devices.values()]),
        num_lanes=len(context.lanes),
        item_bytes=NUM_BYTES[precision],
    )


def _before(values: list[int]) -> Longs:
    return np.concatenate(([0], np.cumsum(np.array(values, np.int64))))


def _times(context: Context, samples: int) -> Floats:
    """Return the seconds of all blocks before a block; times without a profile grow with the samples."""
    costs, order = context.costs, context.workload.order
    times = np.zeros((2, len(context.devices), samples + 1, len(order) + 1))
    counts = np.arange(1, samples + 1)
    blocks = [costs.block(name) for name in order]
    flop = np.array([[b.forward_flop for b in blocks], [b.backward_flop for b in blocks]])
    has_backward = np.array([costs.has_backward(name) for name in order], bool)
    for d, device in enumerate(context.devices.values()):
        if context.plan.job.precision not in device.flop_per_s:
            continue
        profiled = device.times(context.workload)
        overhead, speed = device.overhead_s.value, device.flop_per_s[context.plan.job.precision].value
        times[:, d, 1:, 1:] = counts[:, None] * (flop / speed)[:, None, :] + overhead
        for k, name in enumerate(order):
            if name in profiled:
                times[:, d, 1:, k + 1] = costs.times_s(name, device, counts) + overhead
        times[1, d, :, 1:][:, ~has_backward] = 0.0
    sums: Floats = times.cumsum(axis=-1)
    return sums


def _message_bytes(context: Context, samples: int) -> Longs:
    sizes = np.array([context.costs.block(name).output_bytes for name in context.workload.order], np.int64)
    found = np.zeros((len(sizes) + 1, samples + 1), np.int64)
    found[1:-1] = np.outer(sizes[:-1], np.arange(samples + 1))
    return found


def board_table(context: Context) -> NDArray[Any]:
    """Return the devices, (D,) of :data:`BOARD`."""
    boards = np.zeros(len(context.devices), BOARD)
    for board, (name, device) in zip(boards, context.devices.items(), strict=True):
        memory = device.memory_bytes_per_s
        board["send_lane"], board["recv_lane"] = context.lane(name, "send"), context.lane(name, "recv")
        board["limit_bytes"] = int(device.memory_bytes.value)
        board["overhead_s"] = device.overhead_s.value
        board["update_s_per_byte"] = context.costs.update_s(device, 1) if memory else 0.0
        board["idle_w"], board["busy_w"] = device.idle_w.value, context.extra_w(name)
        board["left_w"] = device.left_out_w(context.plan.left_out)
        board["send_w"], board["recv_w"] = context.radio_w(name), device.radio_w.value
    return boards


def link_table(context: Context) -> tuple[NDArray[Any], Longs]:
    """Return the ways between all devices, (D, D) of :data:`LINK`, and the lanes of all of them."""
    names = list(context.devices)
    trust = [device.trust for device in context.devices.values()]
    links, lanes = np.zeros((len(names), len(names)), LINK), [0]
    for i, source in enumerate(names):
        for j, target in enumerate(names):
            if i != j:
                hop = context.hop(source, target)
                _, own = context.transfer(source, target, 0)
                distance = context.distance(source, target)
                start = len(lanes)
                ways = start, start + 2, start + len(own)
                links[i, j] = (hop.latency_s, hop.bytes_per_s, distance, *ways, trust[j] < trust[i])
                lanes += own
    return links, np.array(lanes, np.int64)
