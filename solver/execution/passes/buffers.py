"""Buffers and parcels: tensors filled piece by piece, and tensors kept until their last use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from solver.execution.passes.memory import Meter, size_of, storage_of
from solver.execution.passes.script import crop
from solver.execution.passes.worklist import ParcelKey
from solver.layout import Box


@dataclass(frozen=True)
class Buffer:
    """A tensor over a slice of a block's output for one micro-batch.

    Parameters
    ----------
    tensor
        [samples, tokens, columns], or [samples, ...] where a sample is not sliced.
    box
        The slice.
    """

    tensor: Tensor
    box: Box

    def part(self, box: Box) -> Tensor:
        """Return the view of a slice of it."""
        return self.tensor[crop(self.box, box)]

    def fill(self, other: Buffer) -> None:
        """Copy from another buffer what both hold."""
        both = self.box & other.box
        if both.size:
            self.part(both).copy_(other.part(both))


def shape_over(box: Box, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a tensor over a slice.

    Parameters
    ----------
    box
        The slice.
    shape
        Shape of a whole sample; [tokens, columns] can be sliced, others cannot.
    """
    samples, tokens, columns = (stop - start for start, stop in box)
    return (samples, tokens, columns) if len(shape) == 2 else (samples, *shape)


def is_contiguous(outer: Box, inner: Box) -> bool:
    """Return whether a slice of a tensor lies in one run of its memory."""
    sizes = [(b[1] - b[0], a[1] - a[0]) for a, b in zip(outer, inner, strict=True)]
    first = next((axis for axis, (part, _) in enumerate(sizes) if part > 1), 2)
    return all(part == whole for part, whole in sizes[first + 1 :])


class Inbox:
    """A tensor that arrives in slices.

    Parameters
    ----------
    box
        What it is over.
    shape, dtype
        Shape of a whole sample of the block's output, and its number format.
    meter
        Counts its bytes.

    Notes
    -----
    A slice that is one run of memory arrives in place; others arrive beside the tensor, which is then not
    made before it is wanted.
    """

    def __init__(self, box: Box, shape: tuple[int, ...], dtype: torch.dtype, meter: Meter) -> None:
        self.box, self.shape, self.dtype, self.meter = box, shape, dtype, meter
        self._whole: Buffer | None = None
        self._beside: list[Buffer] = []

    def expect(self, box: Box) -> Tensor:
        """Return where a slice may be written."""
        if box == self.box and self._whole is None:
            self._whole = Buffer(self._new(box, torch.empty), box)
        if is_contiguous(self.box, box):
            return self._buffer().part(box)
        self._beside.append(Buffer(self._new(box, torch.empty), box))
        return self._beside[-1].tensor

    def fill(self, other: Buffer) -> None:
        """Copy what another buffer holds of it."""
        self._buffer().fill(other)

    def buffer(self) -> Buffer:
        """Return the tensor with all that has arrived; what nobody sends is zero."""
        whole = self._buffer()
        for part in self._beside:
            whole.fill(part)
            self.meter.release(storage_of(part.tensor))
        self._beside.clear()
        return whole

    def release(self) -> None:
        """Give the memory back."""
        if self._whole is not None:
            self.meter.release(storage_of(self._whole.tensor))

    def _buffer(self) -> Buffer:
        if self._whole is None:
            self._whole = Buffer(self._new(self.box), self.box)
        return self._whole

    def _new(self, box: Box, make: Callable[..., Tensor] = torch.zeros) -> Tensor:
        tensor = make(shape_over(box, self.shape), dtype=self.dtype)
        self.meter.hold(storage_of(tensor), size_of(tensor))
        return tensor


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
