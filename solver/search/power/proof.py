"""Power proof: chains of one device a stage with least energy, power modes chosen, by branch and bound.

For every number of micro-batches a tree of chains is cut off by bounds; whole chains are scored in batches,
equal to the evaluator, and offered to it, the least energy first. Bounds know the deadline, budgets of energy
and carbon, batteries and bytes to less trusted devices; other limits are held when a chain is scored.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property

import numpy as np

from solver.batch import BatchScores, PackedPlans
from solver.program import Floats
from solver.search.batch_figures import beyond_limits, scorer_of, value_of
from solver.search.incumbent import Search
from solver.search.power.completion import Completion, complete, least_at
from solver.search.power.costs import PowerModel
from solver.search.power.expanded import Expanded
from solver.search.power.tree import Leaves, grow, make_stack
from solver.search.step_limits import KEPT

NUM_TIMES = 9
"""Step times at which the energy of completions is tabled."""
MOST_LEAVES = 2048
"""Whole chains that are scored together."""
MOST_NODES = 5_000
"""Nodes that are opened between two looks at the clock."""
NODES_A_TICK, LEAVES_A_TICK = 500, 256
"""What counts as one unit of work: about what one plan costs the evaluator."""
ROUNDING = 1e-9
"""Relative difference of the batch scorer and the evaluator, at most."""
CLOSE = 1 - 1e-10
"""What is not better by so much is not looked for."""


class EnergyTree:
    """The chains of one number of micro-batches.

    Parameters
    ----------
    expanded, search
        What is decided, and what judges it.
    num_micro_batches
        Micro-batches of a step.
    """

    def __init__(self, expanded: Expanded, search: Search, num_micro_batches: int) -> None:
        self.expanded, self.search, self.count = expanded, search, num_micro_batches
        self.model = PowerModel(expanded, num_micro_batches)
        self.costs = self.model.costs
        self.limit_s = self.model.limit_s
        self._scorer = scorer_of(expanded.problem, num_micro_batches, left_out="off")
        self._root_s = self._pace_s(self._completion(np.array([0.0])))
        self.bound_j = self._root_j(self._ahead) if math.isfinite(self._root_s) else math.inf
        self._stack, self._leaves = make_stack(self.costs, MOST_LEAVES, self.bound_j)

    @property
    def is_closed(self) -> bool:
        """Whether no chain of this number of micro-batches is better than the best plan."""
        return self.bound_j >= self._cut_j

    def run(self) -> None:
        """Look through the tree.

        Raises
        ------
        Interrupted
            When it is time to stop; the bound holds for what was not looked at too.
        """
        rule = self.count, self.model.main.base, self.model.other.base
        work = MOST_NODES, MOST_LEAVES
        while not self.is_closed:
            limits = self.limit_s * (1 + ROUNDING), self._cut_j
            opened = grow(self.costs, self._ahead, rule, limits, work, self._stack, self._leaves)
            found = int(self._leaves.size[0])
            self._judge(self._leaves)
            self._leaves.size[0] = 0
            left = self._stack.nodes["bound_j"][: self._stack.size[0]]
            self.bound_j = max(self.bound_j, min(left.min(initial=math.inf), self._cut_j))
            self.search.tick(opened // NODES_A_TICK + found // LEAVES_A_TICK + 1)

    @property
    def _cut_j(self) -> float:
        """Energy, or grams, from which on a plan is of no use."""
        return min(self.search.best_score * CLOSE, self.model.main.most)

    @cached_property
    def _ahead(self) -> Completion:
        longest = self.limit_s if math.isfinite(self.limit_s) else 8 * self._root_s
        grid = np.linspace(self._root_s, max(longest, self._root_s * 1.01), NUM_TIMES - 1)
        return self._completion(np.concatenate([[0.0], grid]))

    def _completion(self, times_s: Floats) -> Completion:
        return complete(self.costs, self.count, self.limit_s * (1 + ROUNDING), times_s)

    def _pace_s(self, ahead: Completion) -> float:
        """Return what any step takes at least."""
        full, num, nobody = ahead.round_s.shape
        at = full - 1, num - 1, nobody - 1
        if math.isinf(ahead.round_s[at]):
            return math.inf
        paced = ahead.round_s[at] + (self.count - 1) * ahead.longest_s[at]
        step_s = float(max(ahead.alone_s[at], paced)) * (1 - ROUNDING)
        return step_s if step_s <= self.limit_s else math.inf

    def _root_j(self, ahead: Completion) -> float:
        """Return what any chain takes at least; infinite if it is too much of the other account."""
        full, num, nobody = ahead.round_s.shape
        at = full - 1, num - 1, nobody - 1
        other = float(least_at(ahead.times_s, ahead.other[at], self._root_s))
        if other + self.model.other.base * self._root_s > KEPT:
            return math.inf
        least_j = least_at(ahead.times_s, ahead.energy_j[at], self._root_s)
        return float(least_j + self.model.main.base * self._root_s) * (1 - ROUNDING)

    def _judge(self, leaves: Leaves) -> None:
        """Score whole chains, and offer the best."""
        size = int(leaves.size[0])
        if not size:
            return
        problem, plans = self.expanded.original, self._packed(leaves, size)
        scores = self._of_devices(self._scorer.score(plans, energy=True), plans)
        values = value_of(problem, scores)
        # A figure at its limit may be rounded to either side of it: the evaluator says.
        fine = scores.memory_ok & (beyond_limits(problem, scores) <= ROUNDING)
        if problem.all_take_part:
            fine &= leaves.depth[:size] == len(problem.usable)
        for index in np.argsort(np.where(fine, values, np.inf), kind="stable").tolist():
            if not fine[index] or values[index] * (1 - ROUNDING) >= self._cut_j:
                return
            plan = self.expanded.plan(self._intervals(leaves, index), self.count)
            if math.isfinite(self.search.offer(plan)):
                return

    def _of_devices(self, scores: BatchScores, plans: PackedPlans) -> BatchScores:
        """Return the figures of devices from those of stand-ins, with what those in no stage draw."""
        problem, names = self.expanded.original, self._scorer.names
        devices = problem.cluster.devices
        place = {device.name: d for d, device in enumerate(devices)}
        device_of = {name: place[device] for (device, _), name in self.expanded.names.items()}
        belongs = np.zeros((len(names), len(devices)))
        belongs[range(len(names)), [device_of[name] for name in names]] = 1.0
        boards = [[d.in_mode(mode) for mode in self.expanded.modes[d.name]] for d in devices]
        rest_w = np.array([min(one.left_out_w(problem.left_out) for one in modes) for modes in boards])
        used = (plans.shares > 0).any(axis=1) @ belongs
        assert scores.joules is not None
        resting = (1 - used) * rest_w * scores.step_time_s[:, None]
        peaks = scores.peak_bytes @ belongs.astype(np.int64)
        return replace(scores, joules=scores.joules @ belongs + resting, peak_bytes=peaks)

    def _intervals(self, leaves: Leaves, index: int) -> list[tuple[int, int, int]]:
        """Return the stages of a leaf, from the first to the last."""
        path = leaves.path[index, : int(leaves.depth[index])].tolist()
        ends = [len(self.expanded.original.workload.order), *(start for _, start in path)]
        return [(v, start, end) for (v, start), end in zip(path, ends, strict=False)][::-1]

    def _packed(self, leaves: Leaves, size: int) -> PackedPlans:
        most = leaves.path.shape[1]
        names = self._scorer.names
        number = {self.expanded.names[choice]: v for v, choice in enumerate(self.expanded.choices)}
        columns = np.zeros(len(number), np.int64)
        for i, name in enumerate(names):
            if name in number:
                columns[number[name]] = i
        ends = np.zeros((size, most), np.int64)
        shares = np.zeros((size, most, len(names)), np.int64)
        samples = self.expanded.original.job.batch // self.count
        depth = leaves.depth[:size]
        end = np.full(size, len(self.expanded.original.workload.order))
        for p in range(most):
            has = np.flatnonzero(p < depth)
            s = depth[has] - 1 - p
            ends[has, s] = end[has]
            shares[has, s, columns[leaves.path[has, p, 0]]] = samples
            end[has] = leaves.path[has, p, 1]
        return PackedPlans(depth.copy(), ends, shares)
