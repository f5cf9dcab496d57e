"""PipeDream's optimiser on unequal devices: a chain of blocks over devices in the order of the cluster.

Source: Narayanan et al., "PipeDream", SOSP 2019, section 3.1: A(j, m) = min over i, m' of
max(A(i, m - m'), 2 a_i / B, T(i + 1 .. j, m')), where T is the larger of the computing time and the time
4 (m' - 1) / m' * w / B to synchronise the weights w of a stage with m' replicas, and a_i is what crosses its
boundary. All machines are used and memory is not looked at.

Departures: with unequal devices a stage takes the next ones of the list, and computes as long as the slowest
with an even share of a micro-batch; B is the slowest rate inside the group, or from the last device of a
stage to the first of the next; weights are synchronised once a step, so a micro-batch bears its part. Where
blocks and samples are too few for all devices, as many as can be are used.
"""

from __future__ import annotations

import math

import numpy as np

from solver.problem import Problem
from solver.program import Floats
from solver.search.incumbent import Search
from solver.search.measured.stage_plan import ReplicatedStage, even_shares


def pipedream_stages(problem: Problem, search: Search, num_micro_batches: int) -> list[ReplicatedStage]:
    """Return the stages with the least slowest part by PipeDream's rule.

    Parameters
    ----------
    problem, search
        What is decided, and what counts the work.
    num_micro_batches
        Micro-batches of a step.

    Notes
    -----
    O(num_devices ** 3 * num_blocks ** 2), vectorised over the blocks.
    """
    names, order = problem.usable, problem.workload.order
    samples = problem.job.batch // num_micro_batches
    tables = _Tables(problem, num_micro_batches)
    # best[q, j]: the first j blocks on the first q devices.
    best = np.full((len(names) + 1, len(order) + 1), math.inf)
    best[0, 0] = 0.0
    choice = np.zeros((len(names) + 1, len(order) + 1, 2), np.int64)
    for last in range(1, len(names) + 1):
        for first in range(max(0, last - samples), last):
            search.tick()
            before = best[first] if first == 0 else np.maximum(best[first], tables.crossing_s(first))
            if not np.isfinite(before).any():
                continue
            slowest = np.maximum(before[:, None], tables.stage_s(first, last))
            starts = slowest.argmin(axis=0)
            found = slowest[starts, np.arange(len(order) + 1)]
            better = found < best[last]
            best[last, better] = found[better]
            choice[last, better, 0], choice[last, better, 1] = first, starts[better]
    used = max(q for q in range(1, len(names) + 1) if math.isfinite(best[q, -1]))
    stages, end = [], len(order)
    while used > 0:
        first, start = (int(value) for value in choice[used, end])
        stages.append(ReplicatedStage(order[start:end], used - first))
        used, end = first, start
    return stages[::-1]


class _Tables:
    """Times of stages and boundaries for one number of micro-batches."""

    def __init__(self, problem: Problem, num_micro_batches: int) -> None:
        self.problem, self.num_micro_batches = problem, num_micro_batches
        self.samples = problem.job.batch // num_micro_batches
        order = problem.workload.order
        costs = [problem.costs.block(name) for name in order]
        self.weights = np.cumsum([0.0, *(float(cost.trained_bytes) for cost in costs)])
        self.is_stage = np.triu(np.ones((len(order) + 1, len(order) + 1), np.bool_), 1)
        place = {name: i for i, name in enumerate(order)}
        self.crossing = np.zeros(len(order) + 1)
        for i, name in enumerate(order):
            last = max((place[edge.target] for edge in problem.workload.successors[name]), default=i)
            self.crossing[i + 1 : last + 1] += costs[i].output_bytes
        self._compute: dict[tuple[str, int], Floats] = {}

    def crossing_s(self, first: int) -> Floats:
        """Return (num_blocks + 1,): seconds to send what crosses, there and back, before a device."""
        names = self.problem.usable
        rate = self.problem.cluster.link(names[first - 1], names[first]).bytes_per_s
        return 2 * self.crossing * self.samples / rate

    def stage_s(self, first: int, last: int) -> Floats:
        """Return (num_blocks + 1, num_blocks + 1): seconds from one boundary to another on some devices."""
        names = self.problem.usable[first:last]
        size = len(names)
        shares = zip(names, even_shares(self.samples, size), strict=True)
        sums = {self._compute_s(name, share).tobytes(): (name, share) for name, share in shares}
        found = np.zeros_like(self.is_stage, np.float64)
        for name, share in sums.values():
            before = self._compute_s(name, share)
            found = np.maximum(found, before[None, :] - before[:, None])
        if size > 1:
            rate = min(self.problem.cluster.link(a, b).bytes_per_s for a in names for b in names if a != b)
            weights = self.weights[None, :] - self.weights[:, None]
            found = np.maximum(found, 4 * (size - 1) / size * weights / rate / self.num_micro_batches)
        return np.where(self.is_stage, found, math.inf)

    def _compute_s(self, name: str, share: int) -> Floats:
        """Return (num_blocks + 1,): seconds of forward and backward of all blocks before a boundary."""
        key = (name, share)
        if key not in self._compute:
            device, costs = self.problem.cluster.by_name[name], self.problem.costs
            times = [costs.time_s(block, device, share) for block in self.problem.workload.order]
            self._compute[key] = np.cumsum([0.0, *(forward + backward for forward, backward in times)])
        return self._compute[key]
