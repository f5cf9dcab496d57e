"""Program: for every device the ordered list of what it computes, sends, receives, reduces and updates.

A Program is stored as a table of *rows* (what an instruction is: static, few) and as arrays of
*instructions* (which row, for which micro-batch: many). The order of the arrays is one global order in which
everything an instruction waits for comes before it, so a Program cannot deadlock; the list of a device is
that order, filtered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from solver.layout import Box
from solver.settings import Settings

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float64]


class Kind(IntEnum):
    """What an instruction does."""

    FORWARD = 0
    BACKWARD = 1
    UPDATE = 2
    AGGREGATE = 3
    SEND = 4
    RECV = 5
    COLLECTIVE = 6
    HANDOVER = 7


COMPUTE = (Kind.FORWARD, Kind.BACKWARD, Kind.UPDATE, Kind.AGGREGATE)


class Slice(NamedTuple):
    """Part of a block's output (or of its gradient) that a message carries.

    Parameters
    ----------
    block
        The block whose output it is; of raw data, the block that reads them.
    box
        Which samples, tokens and columns of the micro-batch.
    """

    block: str
    box: Box


@dataclass(frozen=True)
class Row:
    """What an instruction is, whichever micro-batch it is for.

    Parameters
    ----------
    kind
        What it does.
    device
        Who does it.
    duration_s
        How long it occupies its lanes.
    num_bytes
        Bytes this device sends in it.
    alloc_bytes, free_bytes
        Memory taken before it and given back after it.
    buffer_bytes
        Change of that memory that is receive buffers.
    power_w
        Extra power of the device while it lasts.
    unit
        Compute lane in whose order it stands.
    lanes
        Lanes it occupies.
    members
        Collectives: number of members on the first member's row, 0 on the others.
    waits
        (operation type, offset) of the slot: what a computation waits for, and what a message fills.
    pipeline, stage
        Where in the plan; -1 for synchronisation.
    phase
        ``forward``, ``backward``, ``sync``, ``upload``, ``download``, ``update`` or ``backup``.
    peer
        The other end of a message.
    blocks
        Blocks it computes, or whose gradients or weights it moves.
    slices
        What a message carries.
    operation
        Collectives: ``all_reduce``, ``all_gather`` or ``reduce_scatter``; topology in ``topology``.
    ring
        Collectives: the members in ring order (star: server first).
    samples
        Interval of the micro-batch's samples a computation covers.
    segment
        Number of the computation among those of its operation.
    raw
        Whether a message carries raw data or labels.
    interval
        Collectives on gradients of cut weights: the part, from 0 to 1, of every block's cut weights;
        null: the weights that are not cut.
    """

    kind: Kind
    device: str
    duration_s: float = 0.0
    num_bytes: int = 0
    alloc_bytes: int = 0
    free_bytes: int = 0
    buffer_bytes: int = 0
    power_w: float = 0.0
    unit: int = 0
    lanes: tuple[int, ...] = ()
    members: int = 0
    waits: tuple[int, int] = (-1, 0)
    pipeline: int = -1
    stage: int = -1
    phase: str = ""
    peer: str | None = None
    blocks: tuple[str, ...] = ()
    slices: tuple[Slice, ...] = ()
    operation: str = ""
    topology: str = ""
    ring: tuple[str, ...] = ()
    samples: tuple[int, int] = (0, 0)
    segment: int = 0
    raw: bool = False
    interval: tuple[float, float] | None = None

    @property
    def label(self) -> str:
        """A few words for people."""
        names = {Kind.FORWARD: "F", Kind.BACKWARD: "B", Kind.UPDATE: "update", Kind.AGGREGATE: "aggregate"}
        if self.kind in names:
            return names[self.kind]
        if self.kind == Kind.COLLECTIVE:
            return f"{self.operation.replace('_', '-')}{{{','.join(self.ring)}}}"
        arrow = "->" if self.kind in (Kind.SEND, Kind.HANDOVER) else "<-"
        return f"{self.kind.name.lower()}{arrow}{self.peer}"


@dataclass(frozen=True)
class RowTable:
    """The rows as arrays, for the compiled walk. All of shape (num_rows,) unless said.

    Parameters
    ----------
    lane_start, lane
        Lanes of row r are ``lane[lane_start[r]:lane_start[r + 1]]``.
    """

    kind: NDArray[np.int8]
    device: Ints
    unit: Ints
    duration_s: Floats
    alloc_bytes: Longs
    free_bytes: Longs
    members: Ints
    lane_start: Ints
    lane: Ints

    @classmethod
    def of(cls, rows: list[Row], devices: dict[str, int]) -> RowTable:
        """Pack rows."""
        return cls(
            kind=np.array([row.kind for row in rows], np.int8),
            device=np.array([devices[row.device] for row in rows], np.int32),
            unit=np.array([row.unit for row in rows], np.int32),
            duration_s=np.array([row.duration_s for row in rows], np.float64),
            alloc_bytes=np.array([row.alloc_bytes for row in rows], np.int64),
            free_bytes=np.array([row.free_bytes for row in rows], np.int64),
            members=np.array([row.members for row in rows], np.int32),
            lane_start=np.cumsum([0] + [len(row.lanes) for row in rows]).astype(np.int32),
            lane=np.array([lane for row in rows for lane in row.lanes], np.int32),
        )


@dataclass(frozen=True)
class StaticMemory:
    """Memory of one device that does not change during a step, bytes.

    Parameters
    ----------
    weight_bytes, gradient_bytes, optimizer_bytes
        Of the blocks it holds.
    backup_bytes
        Copies of other devices' weights.
    runtime_bytes
        What the runtime itself holds; see :class:`solver.settings.Settings`.
    trained_bytes
        The part of the weights that an update changes.
    """

    weight_bytes: int = 0
    gradient_bytes: int = 0
    optimizer_bytes: int = 0
    backup_bytes: int = 0
    runtime_bytes: int = 0
    trained_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        """All of it."""
        trained = self.weight_bytes + self.gradient_bytes + self.optimizer_bytes
        return trained + self.backup_bytes + self.runtime_bytes


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, for people and for the executor.

    Parameters
    ----------
    index
        Place in the global order.
    row
        What it is.
    micro_batch
        Which micro-batch of its pipeline; -1 for synchronisation.
    step
        Which step of the round.
    mate
        The instruction at the other end of a message; -1 otherwise.
    """

    index: int
    row: Row
    micro_batch: int
    step: int
    mate: int


@dataclass(frozen=True)
class Program:
    """A lowered plan.

    Parameters
    ----------
    devices
        All devices of the cluster, used or not.
    rows, table
        What instructions are, as objects and as arrays.
    row, micro_batch, slot, mate
        (num_instructions,) arrays: row of each instruction, its micro-batch, the slot it waits for or
        fills, and the other end of a message.
    num_slots
        Slots: one per computation.
    step_starts
        Index of the first instruction of every step, and the end.
    lanes
        Names of the lanes; compute lanes first.
    num_units
        Number of compute lanes.
    static
        Memory that does not change, by device.
    releases
        (slot, seconds): computations that may not start before.
    overflow_tokens
        Expected tokens per step that experts have no room for.
    settings
        Under which it was lowered.
    """

    devices: tuple[str, ...]
    rows: tuple[Row, ...]
    table: RowTable
    row: Ints
    micro_batch: Ints
    slot: Ints
    mate: Ints
    num_slots: int
    step_starts: tuple[int, ...]
    lanes: tuple[str, ...]
    num_units: int
    static: dict[str, StaticMemory]
    num_samples: int
    num_micro_batches: int
    releases: tuple[tuple[int, float], ...] = ()
    overflow_tokens: float = 0.0
    settings: Settings = field(default_factory=Settings)

    def __len__(self) -> int:
        return len(self.row)

    @property
    def num_steps(self) -> int:
        """Steps in this Program: 1, or a whole round."""
        return len(self.step_starts) - 1

    @cached_property
    def counts(self) -> Longs:
        """(num_rows,): how often each row occurs."""
        return np.bincount(self.row, minlength=len(self.rows)).astype(np.int64)

    def instruction(self, index: int) -> Instruction:
        """Return one instruction of the global order."""
        step = int(np.searchsorted(self.step_starts, index, side="right")) - 1
        row = self.rows[self.row[index]]
        return Instruction(index, row, int(self.micro_batch[index]), step, int(self.mate[index]))

    def of_device(self, device: str) -> Iterator[Instruction]:
        """Yield the list of one device, in its order."""
        index = self.devices.index(device)
        for i in np.flatnonzero(self.table.device[self.row] == index):
            yield self.instruction(int(i))

    def bytes_by_pair(self) -> dict[tuple[str, str], int]:
        """Return the bytes that go from one device to another, collectives hop by hop."""
        totals: dict[tuple[str, str], int] = {}
        for row, count in zip(self.rows, self.counts, strict=True):
            if row.num_bytes == 0 or row.kind not in (Kind.SEND, Kind.COLLECTIVE):
                continue
            for target, size in _targets(row):
                key = (row.device, target)
                totals[key] = totals.get(key, 0) + size * int(count)
        return totals

    def text(self, device: str) -> str:
        """Return the list of one device as one line, as ``F#0 send->b F#1``."""
        parts = []
        for instruction in self.of_device(device):
            number = f"#{instruction.micro_batch}" if instruction.micro_batch >= 0 else ""
            parts.append(instruction.row.label + number)
        return " ".join(parts)


def _targets(row: Row) -> list[tuple[str, int]]:
    if row.kind == Kind.SEND:
        return [(row.peer or "", row.num_bytes)]
    if row.topology == "star":
        others = row.ring[1:] if row.device == row.ring[0] else row.ring[:1]
        return [(name, row.num_bytes // len(others)) for name in others]
    place = row.ring.index(row.device)
    return [(row.ring[(place + 1) % len(row.ring)], row.num_bytes)]
