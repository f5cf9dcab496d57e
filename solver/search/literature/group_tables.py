"""Group tables: what a stage of several devices in mode data costs and needs, as planners profile it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from solver.errors import DeclinedError
from solver.problem import Problem
from solver.program import Floats, Longs
from solver.search.chains.chain import Bools, ChainTables, decline_unless_chain

MOST_CELLS = 30_000_000
"""Most cells of one table: beyond it a planner that needs them all declines."""
DEFAULT_COUNTS = (4, 8, 2)
"""Micro-batches of a step where the problem leaves them open: the first of these that divides the batch."""


def planned_count(problem: Problem) -> int:
    """Return the micro-batches of a step for planners that do not choose them.

    Parameters
    ----------
    problem
        What is decided. Its own number if it has one; else the first of ``DEFAULT_COUNTS`` that divides the
        batch, or 1.
    """
    allowed = problem.micro_batch_counts
    return next((count for count in DEFAULT_COUNTS if count in allowed), allowed[0])


def group_tables(problem: Problem) -> GroupTables:
    """Return the tables of a problem.

    Parameters
    ----------
    problem
        What is decided.

    Raises
    ------
    DeclinedError
        If it is no chain that is trained, or has a published cost rule or rules of placement, or is so large
        that its tables do not fit.
    """
    decline_unless_chain(problem)
    settings = problem.settings
    if settings.rule != "program" or settings.transfers != "link" or problem.placement is not None:
        raise DeclinedError(
            "this planner knows nothing of published cost rules and rules of placement; use best"
        )
    tables = GroupTables(problem, planned_count(problem))
    num, length = len(tables.devices), tables.num_blocks + 1
    cells = max(min(num, length) * length**2, 2 * num * (tables.samples + 1) * length)
    if cells > MOST_CELLS:
        raise DeclinedError(
            f"{tables.num_blocks} blocks, {num} devices and {tables.samples} samples need tables of {cells} "
            f"cells, and {MOST_CELLS} is the most; use best"
        )
    return tables


@dataclass(frozen=True)
class GroupTables:
    """Stages of groups of devices in mode data, for one number of micro-batches.

    Parameters
    ----------
    problem
        What is decided; a chain that is trained.
    num_micro_batches
        Micro-batches of a step, M.

    Notes
    -----
    D devices, L blocks, B samples of a micro-batch; a stage [h, i) holds the blocks from h to i - 1.
    """

    problem: Problem
    num_micro_batches: int

    @cached_property
    def chain(self) -> ChainTables:
        """The same for stages of one device."""
        return ChainTables(self.problem, self.num_micro_batches)

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of the D devices that can compute in the job's precision."""
        return self.problem.usable

    @property
    def num_blocks(self) -> int:
        """L."""
        return len(self.problem.workload.order)

    @property
    def samples(self) -> int:
        """B."""
        return self.problem.job.batch // self.num_micro_batches

    @cached_property
    def times_s(self) -> Floats:
        """(2, D, B + 1, L + 1): forward and backward seconds of all blocks before one, by samples."""
        costs, workload = self.problem.costs, self.problem.workload
        found = np.zeros((2, len(self.devices), self.samples + 1, self.num_blocks + 1))
        sizes = np.arange(1, self.samples + 1)
        for v, name in enumerate(self.devices):
            board = self.problem.cluster.by_name[name]
            profiled = board.times(workload)
            for k, block in enumerate(workload.order):
                part = self._part(block)
                if block in profiled:
                    times = np.array([costs.time_s(block, board, n, part) for n in sizes.tolist()])
                else:
                    times = np.outer(sizes, costs.time_s(block, board, 1, part))
                found[0, v, 1:, k + 1] = times[:, 0] + board.overhead_s.value
                if costs.has_backward(block):
                    found[1, v, 1:, k + 1] = times[:, 1] + board.overhead_s.value
        sums: Floats = found.cumsum(axis=-1)
        return sums

    def _part(self, name: str) -> float:
        """Return the part of the tokens a block computes: its capacity, or what its edge brings."""
        workload = self.problem.workload
        capacity, edges = workload.by_name[name].capacity, workload.predecessors[name]
        return capacity if capacity is not None else min([1.0, *(edge.share for edge in edges)])

    def _before(self, values: list[int]) -> Longs:
        return np.concatenate([[0], np.cumsum(np.array(values, np.int64))])

    @cached_property
    def static_bytes(self) -> Longs:
        """(L + 1,): weights, gradients and optimizer states of all blocks before one."""
        costs = self.problem.costs
        blocks = [costs.block(name) for name in self.problem.workload.order]
        return self._before(
            [b.weight_bytes + b.trained_bytes + costs.state_bytes(b.trained_bytes) for b in blocks]
        )

    @cached_property
    def reduced_bytes(self) -> Longs:
        """(L + 1,): gradients reduced of all blocks before one; 0 where a step has no synchronisation."""
        sync = self.problem.settings.sync
        blocks = [self.problem.costs.block(name) for name in self.problem.workload.order]
        return self._before([b.trained_bytes * sync for b in blocks])

    @cached_property
    def held_bytes(self) -> Floats:
        """(max_depth + 1, L + 1, L + 1): activations and buffers at the peak, per sample of a share."""
        before = self.static_bytes
        static = np.maximum(before[None, :] - before[:, None], 0)
        found: Floats = np.maximum(self.chain.need_bytes - static, 0) / self.samples
        return found

    @cached_property
    def cut_bytes(self) -> Longs:
        """(L + 1,): bytes of a message of a whole micro-batch over a boundary."""
        return self.chain.boundary_bytes[0]

    @cached_property
    def gradients(self) -> Bools:
        """(L + 1,): whether a gradient crosses a boundary."""
        return self.chain.gradients

    @cached_property
    def limit_bytes(self) -> Longs:
        """(D,): memory of each device."""
        return self.chain.limit_bytes

    @cached_property
    def allowed(self) -> Bools:
        """(D, L + 1, L + 1): whether a device owns all data that stage [h, i) reads and may not leave."""
        return self.chain.allowed

    @cached_property
    def links(self) -> tuple[Floats, Floats]:
        """(D, D) each: bytes per second and latency between two devices; infinite and 0 on the diagonal."""
        rate, latency = np.full((len(self.devices),) * 2, np.inf), np.zeros((len(self.devices),) * 2)
        for u, source in enumerate(self.devices):
            for v, target in enumerate(self.devices):
                if u != v:
                    link = self.problem.cluster.link(source, target)
                    rate[u, v], latency[u, v] = link.bytes_per_s, link.latency_s
        return rate, latency
