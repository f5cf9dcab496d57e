"""Block tables: times, messages and memory of single blocks on single devices, as list schedulers count them.

Coarser than the evaluator on purpose: messages wait for nothing but what they carry, and memory is what is
held for good plus what some micro-batches in flight keep. What a plan is worth only the evaluator says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from solver.problem import Problem
from solver.program import Floats, Longs


@dataclass(frozen=True)
class BlockTables:
    """Costs of blocks for one micro-batch (for serving: one request), both passes together.

    Parameters
    ----------
    problem
        What is decided.
    num_micro_batches
        Micro-batches of a step.

    Notes
    -----
    D devices that can compute, L blocks in topological order.
    """

    problem: Problem
    num_micro_batches: int

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of the D devices."""
        return self.problem.usable

    @property
    def samples(self) -> int:
        """Samples of a micro-batch."""
        return self.problem.job.batch // self.num_micro_batches

    @cached_property
    def place(self) -> dict[str, int]:
        """Number of every block in topological order."""
        return {name: i for i, name in enumerate(self.problem.workload.order)}

    @cached_property
    def compute_s(self) -> Floats:
        """(D, L): seconds of a block; infinite where its data may not be read."""
        workload, costs = self.problem.workload, self.problem.costs
        owners = {name for device in self.problem.cluster.devices for name in device.data}
        found = np.full((len(self.devices), len(workload.order)), np.inf)
        for v, device in enumerate(self.devices):
            board = self.problem.cluster.by_name[device]
            for k, name in enumerate(workload.order):
                data = workload.by_name[name].data
                barred = data is not None and not data.may_leave and data.name in owners - set(board.data)
                if not barred:
                    passes = 1 + (self.problem.job.kind == "train" and costs.has_backward(name))
                    found[v, k] = sum(costs.time_s(name, board, self.samples))
                    found[v, k] += passes * board.overhead_s.value
        return found

    @cached_property
    def edges(self) -> tuple[tuple[int, int, float, int], ...]:
        """Source, target, bytes of a message, and how many messages: a gradient comes back in training."""
        costs = self.problem.costs
        found = []
        for edge in self.problem.workload.edges:
            size = costs.block(edge.source).output_bytes * self.samples * edge.share
            times = 1 + (self.problem.job.kind == "train" and costs.has_backward(edge.source))
            found.append((self.place[edge.source], self.place[edge.target], float(size), times))
        return tuple(found)

    @cached_property
    def links(self) -> tuple[Floats, Floats]:
        """(D, D) each: latency of a message, and seconds a byte; 0 on the diagonal."""
        latency, per_byte = np.zeros((2, len(self.devices), len(self.devices)))
        for u, source in enumerate(self.devices):
            for v, target in enumerate(self.devices):
                if u != v:
                    link = self.problem.cluster.link(source, target)
                    latency[u, v], per_byte[u, v] = link.latency_s, 1 / link.bytes_per_s
        return latency, per_byte

    def message_s(self, size_bytes: float, num_messages: int) -> Floats:
        """Return (D, D) seconds that a message, and its gradient back, take between devices.

        Parameters
        ----------
        size_bytes
            Of the message.
        num_messages
            1, or 2 with the gradient.
        """
        latency, per_byte = self.links
        one = latency + size_bytes * per_byte
        return one if num_messages == 1 else one + one.T

    @cached_property
    def limit_bytes(self) -> Longs:
        """(D,): memory of every device."""
        by_name = self.problem.cluster.by_name
        return np.array([int(by_name[name].memory_bytes.value) for name in self.devices], np.int64)

    def need_bytes(self, in_flight: int) -> Longs:
        """Return (L,) bytes a block needs where it is.

        Parameters
        ----------
        in_flight
            Micro-batches of which activations are kept.
        """
        costs = self.problem.costs
        found = []
        for name in self.problem.workload.order:
            block = costs.block(name)
            held = block.weight_bytes + block.trained_bytes + costs.state_bytes(block.trained_bytes)
            found.append(held + in_flight * self.samples * (block.kept_bytes or block.output_bytes))
        return np.array(found, np.int64)

    @property
    def in_flight_choices(self) -> tuple[int, ...]:
        """Micro-batches in flight for which memory is tried: 0, 1, 2, 4, ... up to all."""
        if self.problem.job.kind == "serve":
            return (1,)
        powers = [2**k for k in range(int(math.log2(self.num_micro_batches)) + 1)]
        return tuple(dict.fromkeys([0, *powers, self.num_micro_batches]))
