"""Energy dynamic programme: Asteroid's follow-up, which weighs distance from a time aimed at against energy.

The recursion over (first block, devices left, stages) is Asteroid's; of every state the ``KEPT`` partial
plans of least J = alpha |T - SLO| + (1 - alpha) E are kept. As the source has it, a backward pass takes 1.75
forward passes, and messages, reductions and waiting take no energy. What the source leaves open:
T = M (Ef_d + Eb_d) + sum of Ef + Eb before d, with d the step of largest Ef + Eb among stages and transfers
(start phase: the way to d and its warm-up rounds; end phase: the way back); E = whole-board power while
computing; samples in a group by Asteroid's Algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from solver.plan import Stage
from solver.search.incumbent import Search
from solver.search.literature.group_tables import GroupTables
from solver.search.literature.sample_shares import share_samples

KEPT = 5
"""Partial plans kept of every state."""
BACKWARD = 1.75
"""Backward seconds over forward seconds."""
TINY = 1e-100
"""Bytes of a sample where it has none."""
ALPHA = 0.5
"""Weight of a second away from the time aimed at, against a joule."""


@dataclass(frozen=True)
class Part:
    """The last stages of a plan.

    Parameters
    ----------
    stages
        (first block, end, shares by device) of each, from the first.
    forward_s
        Forward seconds of stages and transfers in turn.
    passes_s
        Forward and backward seconds of the same.
    energy_j
        What a step takes, as the source counts it.
    """

    stages: tuple[tuple[int, int, tuple[tuple[int, int], ...]], ...] = ()
    forward_s: tuple[float, ...] = ()
    passes_s: tuple[float, ...] = ()
    energy_j: float = 0.0

    def step_s(self, num_micro_batches: int) -> float:
        """Return the step time, as the source counts it."""
        worst = max(range(len(self.passes_s)), key=lambda i: (self.passes_s[i], i))
        return num_micro_batches * self.passes_s[worst] + sum(self.passes_s[:worst])


class EnergyTable:
    """The table for devices in order of their memory.

    Parameters
    ----------
    tables
        Costs of stages.
    search
        Says when to stop.
    alpha
        Weight of time.
    aim_s
        Step time aimed at; ``None``: the job's deadline, or none: 0 s.
    """

    def __init__(
        self, tables: GroupTables, search: Search, alpha: float = ALPHA, aim_s: float | None = None
    ) -> None:
        self.tables, self.search, self.alpha = tables, search, alpha
        self.aim_s = aim_s if aim_s is not None else (tables.problem.job.deadline_s or 0.0)
        self.order = sorted(range(len(tables.devices)), key=lambda v: -tables.limit_bytes[v])
        by_name = tables.problem.cluster.by_name
        self._busy_w = [by_name[name].busy_w.value for name in tables.devices]
        self._rate, self._wait = tables.links
        self._times = np.array([tables.times_s[0], BACKWARD * tables.times_s[0]])

    @property
    def most_stages(self) -> int:
        """Most stages: (M + 1) / 2, so that the pipeline is full once."""
        most = (self.tables.num_micro_batches + 1) // 2
        return max(1, min(most, len(self.order), self.tables.num_blocks))

    def score(self, part: Part) -> float:
        """Return J of a plan."""
        distance = abs(part.step_s(self.tables.num_micro_batches) - self.aim_s)
        return self.alpha * distance + (1 - self.alpha) * part.energy_j

    @cached_property
    def found(self) -> list[Part]:
        """Whole plans that fit, the least J first."""
        size = len(self.order)
        states: dict[tuple[int, int], list[Part]] = {(self.tables.num_blocks, 0): [Part()]}
        whole: list[Part] = []
        for depth in range(1, self.most_stages + 1):
            longer: dict[tuple[int, int], list[Part]] = {}
            for (end, used), parts in states.items():
                self.search.tick(len(parts))
                for first in range(end):
                    for taken in range(1, size - used + 1):
                        group = self.order[size - used - taken : size - used]
                        made = self._stages(group, first, end, depth, parts)
                        longer.setdefault((first, used + taken), []).extend(made)
            states = {at: sorted(parts, key=self.score)[:KEPT] for at, parts in longer.items() if parts}
            whole += states.get((0, size), [])
        return sorted(whole, key=self.score)

    def _stages(self, group: list[int], first: int, end: int, depth: int, parts: list[Part]) -> list[Part]:
        """Put a stage before partial plans."""
        shares = self._shares(group, first, end, depth)
        if shares is None:
            return []
        forward = max(self._seconds(v, n, first, end) for v, n in shares)
        joules = sum(self._busy_w[v] * (1 + BACKWARD) * self._seconds(v, n, first, end) for v, n in shares)
        joules *= self.tables.num_micro_batches
        made = []
        for part in parts:
            there = self._transfer_s(group, part, end)
            steps = (forward, *there)
            back = tuple(s if self.tables.gradients[end] else 0.0 for s in there)
            both = ((1 + BACKWARD) * forward, *(a + b for a, b in zip(there, back, strict=True)))
            stage = (first, end, tuple(shares))
            energy_j = part.energy_j + joules
            made.append(
                Part((stage, *part.stages), (*steps, *part.forward_s), (*both, *part.passes_s), energy_j)
            )
        return made

    def _seconds(self, device: int, samples: int, first: int, end: int) -> float:
        times = self.tables.times_s[0, device, samples]
        return float(times[end] - times[first])

    def _transfer_s(self, group: list[int], part: Part, end: int) -> tuple[float, ...]:
        if not part.stages:
            return ()
        after = [v for v, _ in part.stages[0][2]]
        rate = self._rate[np.ix_(group, after)].min()
        return (float(self.tables.cut_bytes[end] / rate + self._wait[np.ix_(group, after)].max()),)

    def _shares(self, group: list[int], first: int, end: int, depth: int) -> list[tuple[int, int]] | None:
        """Return samples of each device of a group; ``None`` if they do not fit."""
        tables, samples = self.tables, self.tables.samples
        room = tables.limit_bytes[group] - (tables.static_bytes[end] - tables.static_bytes[first])
        if (room < 0).any() or not tables.allowed[group, first, end].all():
            return None
        each = float(tables.held_bytes[depth, first, end])
        caps = np.minimum(samples, room / max(each, TINY)).astype(np.int64)
        members, shares = np.array(group, np.int64), np.zeros(len(group), np.int64)
        if not share_samples(members, caps, first, end, self._times, samples, shares):
            return None
        return [(v, n) for v, n in zip(group, shares.tolist(), strict=True) if n]

    def stages(self, part: Part) -> tuple[Stage, ...]:
        """Return the stages of a plan."""
        order, names = self.tables.problem.workload.order, self.tables.devices
        found = []
        for first, end, shares in part.stages:
            given = dict(shares)
            found.append(
                Stage(
                    blocks=order[first:end],
                    shares={names[v]: given[v] for v in range(len(names)) if v in given},
                )
            )
        return tuple(found)
