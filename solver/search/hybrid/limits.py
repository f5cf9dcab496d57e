"""Limits of hybrid pipelines: what stages and whole pipelines break whatever their shares.

A device that takes n samples of every micro-batch computes for so long, and a step is no shorter: that is
energy of its own, everybody's least power for so long, and what all other samples and blocks take where they
take least. So deadlines, batteries and budgets of energy and carbon say how many samples a device can take on
a stage. Of a pipeline's groups and cuts more is known: who waits, and which bytes go to less trusted devices
at least.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from solver.problem import Problem
from solver.program import Floats, Longs
from solver.search.chains.trust import untrusted_limit
from solver.search.hybrid.bound_quick import quick_bounds, sample_seconds
from solver.search.step_limits import KEPT, StepLimits, step_limits, worth_of_joule


@dataclass(frozen=True)
class HybridLimits:
    """What a problem's limits say of hybrid pipelines with one number of micro-batches.

    Parameters
    ----------
    problem
        What is decided; devices as they are.
    num_micro_batches
        Micro-batches of a step.
    """

    problem: Problem
    num_micro_batches: int

    @cached_property
    def limits(self) -> StepLimits:
        """The most that a step may take."""
        return step_limits(self.problem)

    @cached_property
    def _place(self) -> list[int]:
        """(D,): numbers of the usable devices in the cluster."""
        names = [device.name for device in self.problem.cluster.devices]
        return [names.index(name) for name in self.problem.usable]

    @cached_property
    def _watts(self) -> tuple[Floats, Floats, Floats]:
        """(D,) idle and computing power of usable devices; (all devices,) what each draws at least."""
        devices = self.problem.cluster.devices
        idle_w = np.array([device.idle_w.value for device in devices])
        busy_w = np.array([device.busy_w.value for device in devices])
        rest_w = np.array([device.left_out_w(self.problem.left_out) for device in devices])
        can_help = np.array([device.name in self.problem.usable for device in devices])
        base_w = np.where(can_help, np.minimum(idle_w, rest_w), rest_w)
        return idle_w[self._place], busy_w[self._place], base_w

    @cached_property
    def _sample_s(self) -> Floats:
        """(D, L): least seconds of a sample of a block on a usable device."""
        boards = [self.problem.cluster.by_name[name] for name in self.problem.usable]
        return sample_seconds(self.problem, self.problem.job.batch // self.num_micro_batches, boards)

    @cached_property
    def _budgets(self) -> list[tuple[Floats, float]]:
        """Budgets: what a joule of each device of the cluster counts, and the most."""
        both = ((worth_of_joule(self.problem, name), self.limits.of(name)) for name in ("energy", "carbon"))
        return [(worth, most) for worth, most in both if math.isfinite(most)]

    def within(self, most_samples: Longs, times_s: Floats) -> Longs:
        """Return the samples that devices can take on stages within the limits.

        Parameters
        ----------
        most_samples
            (depths, D, L + 1, L + 1): by memory.
        times_s
            (2, D, N + 1, L + 1): forward and backward seconds of all blocks before a block.
        """
        if not self.limits.is_limited:
            return most_samples
        least_s = quick_bounds(self.problem, self.num_micro_batches)["time"]
        both_s = self.num_micro_batches * times_s.sum(axis=0)
        samples = both_s.shape[1] - 1
        caps = np.full((both_s.shape[0], both_s.shape[2], both_s.shape[2]), samples)
        for n in range(samples, 0, -1):
            busy_s = np.maximum(both_s[:, n, None, :] - both_s[:, n, :, None], 0.0)
            caps[self._is_broken(n, busy_s, np.maximum(busy_s, least_s)) & (caps == n)] = n - 1
        return np.minimum(most_samples, caps[None])

    def _is_broken(self, n: int, busy_s: Floats, step_s: Floats) -> np.ndarray:
        """Return (D, L + 1, L + 1): whether a stage breaks a limit with n samples a micro-batch."""
        idle_w, busy_w, base_w = self._watts
        of_device = base_w[self._place]
        own_j = (busy_w - idle_w)[:, None, None] * busy_s
        battery_j = self.limits.device_j[self._place][:, None, None]
        broken = step_s > self.limits.step_s * KEPT
        broken |= own_j + idle_w[:, None, None] * step_s > battery_j * KEPT
        for worth, most in self._budgets:
            mine = worth[self._place]
            before = np.concatenate([[0.0], self._least(worth).min(axis=0).cumsum()])
            inside = (
                n / (self.problem.job.batch // self.num_micro_batches) * (before[None, :] - before[:, None])
            )
            waits_w = (worth @ base_w) + (mine * (idle_w - of_device))[:, None, None]
            counted = mine[:, None, None] * own_j + waits_w * step_s + before[-1] - np.maximum(inside, 0.0)
            broken |= counted > most
        return broken

    def _least(self, worth: Floats) -> Floats:
        """Return (D, L): what all samples of a block count on a device at least, above the least power."""
        _, busy_w, base_w = self._watts
        above_w = busy_w - base_w[self._place]
        found: Floats = (worth[self._place] * above_w)[:, None] * self.problem.job.batch * self._sample_s
        return found

    def breaks(self, starts: Longs, groups: Longs, step_s: float, sample_bytes: Floats, back: Floats) -> bool:
        """Return whether a pipeline breaks a limit, however samples are shared out.

        Parameters
        ----------
        starts, groups
            (S,), first block, and usable devices as bits of a number, of every stage from the first.
        step_s
            A step takes so long at least.
        sample_bytes, back
            (L + 1,), least bytes of a sample over a boundary; whether a gradient comes back.
        """
        if not self.limits.counts_joules and math.isinf(untrusted_limit(self.problem)):
            return False
        members = [[d for d in range(len(self._place)) if group >> d & 1] for group in groups.tolist()]
        ends = [*starts.tolist()[1:], self._sample_s.shape[1]]
        used = [d for group in members for d in group]
        idle_w, _, base_w = self._watts
        place = np.array(self._place)
        if (idle_w[used] * step_s > self.limits.device_j[place[used]] * KEPT).any():
            return True
        for worth, most in self._budgets:
            waits_w = worth @ base_w
            computing = 0.0
            for group, start, end in zip(members, starts.tolist(), ends, strict=True):
                # Above idle: waiting is counted for the whole step here.
                computing += float(self._above_idle(worth)[group, start:end].min(axis=0).sum())
            waits_w += worth[place[used]] @ (idle_w - base_w[place])[used]
            if waits_w * step_s + computing > most:
                return True
        return self._down_bytes(members, starts, sample_bytes, back) > untrusted_limit(self.problem) * KEPT

    def _above_idle(self, worth: Floats) -> Floats:
        idle_w, busy_w, _ = self._watts
        found: Floats = (
            (worth[self._place] * (busy_w - idle_w))[:, None] * self.problem.job.batch * self._sample_s
        )
        return found

    def _down_bytes(self, members: list[list[int]], starts: Longs, size_bytes: Floats, back: Floats) -> float:
        """Return bytes of a step that go from groups to groups all of whose devices are trusted less."""
        trust = np.array([self.problem.cluster.by_name[name].trust for name in self.problem.usable])
        total = 0.0
        for before, after, i in zip(members, members[1:], starts.tolist()[1:], strict=False):
            sent = self.problem.job.batch * float(size_bytes[i])
            if trust[before].min() > trust[after].max() or (
                trust[after].min() > trust[before].max() and back[i]
            ):
                total += sent
        return total
