"""Samples: what the blocks of one worker read of a mini-batch, its own or what an owner of raw data sent."""

from __future__ import annotations

import torch
from torch import Tensor

from models.nets.data import Batch
from solver.execution.passes.memory import Meter, size_of, storage_of
from solver.execution.passes.raw import own_data
from solver.execution.passes.worklist import Operation, Worklist
from solver.program import Instruction

Interval = tuple[int, int]


class Samples:
    """Raw data and labels of one step.

    Parameters
    ----------
    worklist
        What the worker does, and whose data it does not own.
    batch
        The whole mini-batch, which every process draws.
    dtype
        Number format in which the net reads what is not an index.
    meter
        Counts the bytes of what arrives.
    """

    def __init__(self, worklist: Worklist, batch: Batch, dtype: torch.dtype, meter: Meter) -> None:
        self.worklist, self.dtype, self.meter = worklist, dtype, meter
        self.batch = own_data(batch, worklist.workload, worklist.withheld)
        self._arrived: dict[tuple[int, str, int], Tensor] = {}

    def expect(self, instruction: Instruction) -> list[Tensor]:
        """Return the tensors that a receive of raw data writes into."""
        row, found = instruction.row, []
        for part in row.slices:
            what, (start, stop) = self.worklist.raw[part.block], part.box.samples
            tensor = torch.empty((stop - start, *what.shape), dtype=what.dtype)
            self.meter.hold(storage_of(tensor), size_of(tensor))
            self._arrived[row.pipeline, part.block, instruction.micro_batch] = tensor
            found.append(tensor)
        return found

    def outgoing(self, instruction: Instruction) -> list[Tensor]:
        """Return the tensors that a send of raw data carries."""
        row, i = instruction.row, instruction.micro_batch
        return [
            self._own(row.pipeline, i, part.block, part.box.samples).to(self.worklist.raw[part.block].dtype)
            for part in row.slices
        ]

    def of(self, operation: Operation, block: str, samples: Interval) -> Tensor:
        """Return what a source or a loss reads of some samples of a micro-batch.

        Parameters
        ----------
        operation, block
            Who reads it.
        samples
            Interval of the micro-batch's samples.
        """
        p, _, i = operation
        if block not in self.worklist.withheld:
            return self._own(p, i, block, samples)
        tensor = self._arrived.pop((p, block, i))
        self.meter.release(storage_of(tensor))
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor

    def _own(self, pipeline: int, i: int, block: str, samples: Interval) -> Tensor:
        """Return a copy, as if read from a camera: what autograd keeps of it is no part of the batch."""
        first, card = self.worklist.offsets[pipeline, i], self.worklist.workload.by_name[block]
        source = self.batch.targets if card.modality is None else self.batch.inputs
        return source[card.modality or card.task or ""][first + samples[0] : first + samples[1]].clone()
