"""Buffers and parcels: tensors filled piece by piece, and tensors kept until their last use."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from solver.execution.memory import Meter, size_of, storage_of
from solver.execution.worklist import Interval, ParcelKey


@dataclass(frozen=True)
class Buffer:
    """A tensor over some samples of a micro-batch.

    Parameters
    ----------
    tensor
        [samples, ...], contiguous.
    span
        The micro-batch's samples it holds.
    """

    tensor: Tensor
    span: Interval

    def part(self, samples: Interval) -> Tensor:
        """Return the view of some samples."""
        return self.tensor[samples[0] - self.span[0] : samples[1] - self.span[0]]

    def fill(self, other: Buffer) -> None:
        """Copy from another buffer the samples both hold."""
        both = max(self.span[0], other.span[0]), min(self.span[1], other.span[1])
        if both[0] < both[1]:
            self.part(both).copy_(other.part(both))


class Parcels:
    """Tensors that are kept for a known number of uses.

    Parameters
    ----------
    meter
        Counts their bytes.
    """

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._kept: dict[ParcelKey, tuple[Buffer, int]] = {}

    def put(self, key: ParcelKey, buffer: Buffer, uses: int) -> None:
        """Keep a tensor for so many uses.

        Parameters
        ----------
        key
            What it is.
        buffer
            The tensor.
        uses
            0: it is not kept at all.
        """
        if uses:
            self._kept[key] = buffer, uses
            self.meter.hold(storage_of(buffer.tensor), size_of(buffer.tensor))

    def take(self, key: ParcelKey) -> Buffer:
        """Return a tensor for one use."""
        buffer, _ = self._kept[key]
        self.use(key)
        return buffer

    def use(self, key: ParcelKey) -> int:
        """Use a tensor up once; return the bytes this frees."""
        buffer, uses = self._kept.pop(key)
        if uses > 1:
            self._kept[key] = buffer, uses - 1
            return 0
        return self.meter.release(storage_of(buffer.tensor))
