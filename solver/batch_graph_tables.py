"""Batch tables of graphs: what blocks of any DAG cost, who reads whose output, who owns raw data."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from models.workload import NUM_BYTES
from solver.batch_tables import board_table, common_faults, link_table
from solver.job import OPTIMIZER_PASSES
from solver.lowering.context import Context
from solver.program import Floats, Longs

BLOCK = np.dtype(
    [
        *((name, np.int64) for name in ("output", "kept", "static", "trained", "has_backward")),
        *((name, np.int64) for name in ("num_inputs", "edges", "end_of_edges")),
    ]
)
"""A block: bytes of its output and of what it keeps, per sample; bytes of weights, gradients and optimizer
states, and of trained weights; whether it has a backward pass; how many blocks it reads; its readers, a range
of ``targets``."""

RAW = np.dtype([("block", np.int64), ("bytes_per_sample", np.int64)])
"""A block that reads data which some device owns, and which may be sent."""

MOST_TIMES = 1_000_000
"""Times of blocks that are kept at most; beyond, they are found anew."""


class GraphTables(NamedTuple):
    """What a plan is scored from; D devices, L blocks, R blocks that read raw data.

    Parameters
    ----------
    blocks
        (L,) of :data:`BLOCK`, in topological order.
    edges
        (E, 2), source and target of every edge as numbers of blocks, in the order of the workload.
    targets
        (E,), readers of all blocks, those of the first block first.
    raw
        (R,) of :data:`RAW`, in topological order.
    owns
        (R, D), whether a device has that data.
    boards, links, lanes
        As in :class:`solver.batch_tables.Tables`.
    memory_bytes_per_s
        (D,), what bounds an update; infinite where it takes no time.
    num_passes
        How often an update reads or writes its weights.
    num_lanes, item_bytes
        As in :class:`solver.batch_tables.Tables`.
    """

    blocks: NDArray[Any]
    edges: Longs
    targets: Longs
    raw: NDArray[Any]
    owns: NDArray[np.bool_]
    boards: NDArray[Any]
    links: NDArray[Any]
    lanes: Longs
    memory_bytes_per_s: Floats
    num_passes: float
    num_lanes: int
    item_bytes: int


def make_graph_tables(context: Context) -> GraphTables:
    """Return the tables of a workload on a cluster.

    Parameters
    ----------
    context
        Any plan of the family.

    Raises
    ------
    InputError
        If the family does not cover the problem, with every reason.
    """
    faults = common_faults(context)
    if faults:
        raise InputError(faults, "batch scoring")
    workload = context.workload
    place = {name: k for k, name in enumerate(workload.order)}
    edges = np.array([(place[e.source], place[e.target]) for e in workload.edges], np.int64).reshape(-1, 2)
    by_source = np.argsort(edges[:, 0], kind="stable")
    links, lanes = link_table(context)
    raw, owns = _raw(context)
    return GraphTables(
        blocks=_blocks(context, edges),
        edges=edges,
        targets=edges[by_source, 1],
        raw=raw,
        owns=owns,
        boards=board_table(context),
        links=links,
        lanes=lanes,
        memory_bytes_per_s=_memory_rates(context),
        num_passes=float(OPTIMIZER_PASSES[context.plan.job.optimizer]),
        num_lanes=len(context.lanes),
        item_bytes=NUM_BYTES[context.plan.job.precision],
    )


def _blocks(context: Context, edges: Longs) -> NDArray[Any]:
    order, costs = context.workload.order, context.costs
    blocks = np.zeros(len(order), BLOCK)
    for block, name in zip(blocks, order, strict=True):
        cost = costs.block(name)
        block["output"], block["kept"] = cost.output_bytes, cost.kept_bytes
        block["trained"], block["has_backward"] = cost.trained_bytes, cost.has_backward
        block["static"] = cost.weight_bytes + cost.trained_bytes + costs.state_bytes(cost.trained_bytes)
    blocks["num_inputs"] = np.bincount(edges[:, 1], minlength=len(order))
    ends = np.cumsum(np.bincount(edges[:, 0], minlength=len(order)))
    blocks["edges"][1:], blocks["end_of_edges"] = ends[:-1], ends
    return blocks


def _memory_rates(context: Context) -> Floats:
    rates = [device.memory_bytes_per_s for device in context.devices.values()]
    return np.array([np.inf if rate is None else rate.value for rate in rates])


def _raw(context: Context) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    devices, found, owns = context.cluster.devices, [], []
    for k, name in enumerate(context.workload.order):
        data = context.workload.by_name[name].data
        if data is None or not data.may_leave or data.bytes_per_sample == 0:
            continue
        owners = [data.name in device.data for device in devices]
        if any(owners):
            found.append((k, data.bytes_per_sample))
            owns.append(owners)
    return np.array(found, RAW), np.array(owns, bool).reshape(-1, len(devices))


class BlockTimes:
    """Times of all blocks on a device for a number of samples, found when they are first asked for.

    Parameters
    ----------
    context
        Any plan of the family.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self._devices = list(context.devices.values())
        self._forget()

    def rows(self, samples: Longs) -> Longs:
        """Return (B, D) rows of ``table`` for the samples of every device in every plan.

        Parameters
        ----------
        samples
            (B, D); row 0 is for devices with none.
        """
        num_devices = samples.shape[1]
        keys, which = np.unique(samples * num_devices + np.arange(num_devices), return_inverse=True)
        if (len(self._known) + len(keys)) * self.table[0].size > MOST_TIMES:
            self._forget()
        found = [self._row(*divmod(key, num_devices)) for key in keys.tolist()]
        return np.array(found, np.int64)[which].reshape(samples.shape)

    def _forget(self) -> None:
        self._known: dict[tuple[int, int], int] = {}
        self.table: Floats = np.zeros((16, 2, len(self.context.workload.order)))

    def _row(self, samples: int, d: int) -> int:
        if samples == 0:
            return 0
        row = self._known.setdefault((samples, d), len(self._known) + 1)
        if row == len(self.table):
            self.table = np.concatenate([self.table, np.zeros_like(self.table)])
        if not self.table[row].any():
            self.table[row] = self._times(samples, d)
        return row

    def _times(self, samples: int, d: int) -> Floats:
        costs, device = self.context.costs, self._devices[d]
        times = np.array([costs.time_s(name, device, samples) for name in self.context.workload.order])
        found: Floats = times.T + device.overhead_s.value
        return found
