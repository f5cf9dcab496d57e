"""Hybrid plans as a point of a search: cuts along the order, groups of devices, shares, micro-batches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from solver.layout import apportion
from solver.plan import Explicit, Plan, Stage, pipeline_plan
from solver.problem import Problem

Group = dict[str, int]


@dataclass(frozen=True)
class Hybrid:
    """A pipeline of stages in mode data, cut along the topological order; each device is used at most once.

    Parameters
    ----------
    cuts
        (num_stages + 1,), where each stage begins in ``workload.order``, and the end.
    groups
        (num_stages,), samples of a micro-batch by device.
    num_micro_batches
        Micro-batches of a step.
    """

    cuts: tuple[int, ...]
    groups: tuple[Group, ...]
    num_micro_batches: int

    def plan(self, problem: Problem) -> Plan:
        """Return the plan."""
        order = problem.workload.order
        stages = [
            Stage(blocks=order[self.cuts[s] : self.cuts[s + 1]], shares=dict(group))
            for s, group in enumerate(self.groups)
        ]
        return pipeline_plan(problem, stages, self.num_micro_batches)


def from_plan(problem: Problem, plan: Plan) -> Hybrid | None:
    """Return a plan as such a point; ``None`` if it is not one.

    Parameters
    ----------
    problem, plan
        What is decided, and a sound plan for it.
    """
    (pipeline, *others) = plan.pipelines
    order = problem.workload.order
    if others or not isinstance(pipeline.micro_batches, int):
        return None
    cuts, groups = [0], []
    for stage in sorted(pipeline.stages, key=lambda stage: order.index(stage.blocks[0])):
        end = cuts[-1] + len(stage.blocks)
        shares = stage.shares
        if (
            stage.mode != "data"
            or isinstance(shares, Explicit)
            or set(stage.blocks) != {*order[cuts[-1] : end]}
        ):
            return None
        group = {name: share for name, share in shares.items() if isinstance(share, int)}
        if len(group) < len(shares):
            return None
        cuts.append(end)
        groups.append(group)
    used = [name for group in groups for name in group]
    return Hybrid(tuple(cuts), tuple(groups), pipeline.micro_batches) if len(set(used)) == len(used) else None


@dataclass(frozen=True)
class Neighbourhood:
    """Random small changes of a hybrid plan.

    Parameters
    ----------
    problem
        What is decided.
    speeds
        Samples per second by device: new shares follow it.
    rng
        Makes them repeatable.
    """

    problem: Problem
    speeds: dict[str, float]
    rng: np.random.Generator

    def change(self, point: Hybrid) -> Hybrid | None:
        """Return a point near another; ``None`` if the change drawn cannot be made there."""
        moves = (self._shift, self._move, self._swap, self._split, self._merge, self._share, self._count)
        weights = np.array([3, 3, 2, 2, 1, 2, 1], float)
        return moves[self.rng.choice(len(moves), p=weights / weights.sum())](point)

    def _pick(self, size: int) -> int:
        return int(self.rng.integers(size))

    def _shared(self, names: list[str], num_micro_batches: int) -> Group | None:
        samples = self.problem.job.batch // num_micro_batches
        if not names:
            return None
        shares = apportion({name: self.speeds[name] for name in names}, samples)
        return {name: share for name, share in shares.items() if share}

    def _with_groups(self, point: Hybrid, changed: dict[int, list[str]]) -> Hybrid | None:
        groups = list(point.groups)
        for s, names in changed.items():
            group = self._shared(names, point.num_micro_batches)
            if group is None:
                return None
            groups[s] = group
        return replace(point, groups=tuple(groups))

    def _shift(self, point: Hybrid) -> Hybrid | None:
        if len(point.groups) < 2:
            return None
        k = 1 + self._pick(len(point.groups) - 1)
        step = int(self.rng.geometric(0.5)) * (1 if self._pick(2) else -1)
        low, high = point.cuts[k - 1] + 1, point.cuts[k + 1] - 1
        place = min(max(point.cuts[k] + step, low), high)
        if place == point.cuts[k]:
            return None
        return replace(point, cuts=(*point.cuts[:k], place, *point.cuts[k + 1 :]))

    def _move(self, point: Hybrid) -> Hybrid | None:
        """Move a device to another stage, into the plan, or out of it."""
        name = self.problem.usable[self._pick(len(self.problem.usable))]
        source = next((s for s, group in enumerate(point.groups) if name in group), None)
        target = self._pick(len(point.groups) + 1) - 1
        if source == target or (source is None and target < 0):
            return None
        changed = {}
        if source is not None:
            changed[source] = [other for other in point.groups[source] if other != name]
        if target >= 0:
            changed[target] = [*point.groups[target], name]
        return self._with_groups(point, changed)

    def _swap(self, point: Hybrid) -> Hybrid | None:
        """Exchange two devices, of which one may be unused."""
        names = self.problem.usable
        if len(names) < 2:
            return None
        a, b = (names[i] for i in self.rng.choice(len(names), 2, replace=False))
        other = {a: b, b: a}
        changed = {
            s: [other.get(name, name) for name in group]
            for s, group in enumerate(point.groups)
            if a in group or b in group
        }
        return self._with_groups(point, changed) if changed else None

    def _split(self, point: Hybrid) -> Hybrid | None:
        """Cut a stage in two; its devices are shared out, or an unused device takes a part."""
        s = self._pick(len(point.groups))
        start, end = point.cuts[s], point.cuts[s + 1]
        used = {name for group in point.groups for name in group}
        free = [name for name in self.problem.usable if name not in used]
        names = list(point.groups[s])
        if end - start < 2 or len(names) + len(free) < 2:
            return None
        if len(names) > 1 and (not free or self._pick(2)):
            self.rng.shuffle(names)
            middle = 1 + self._pick(len(names) - 1)
            parts = [names[:middle], names[middle:]]
        else:
            parts = [names, [free[self._pick(len(free))]]]
            if self._pick(2):
                parts.reverse()
        groups = [self._shared(part, point.num_micro_batches) or {} for part in parts]
        place = start + 1 + self._pick(end - start - 1)
        return Hybrid(
            (*point.cuts[: s + 1], place, *point.cuts[s + 1 :]),
            (*point.groups[:s], *groups, *point.groups[s + 1 :]),
            point.num_micro_batches,
        )

    def _merge(self, point: Hybrid) -> Hybrid | None:
        """Join two neighbouring stages; all their devices stay, or only those of one."""
        if len(point.groups) < 2:
            return None
        k = 1 + self._pick(len(point.groups) - 1)
        both = [list(point.groups[k - 1]), list(point.groups[k])]
        names = [both[0] + both[1], both[0], both[1]][self._pick(3)]
        group = self._shared(names, point.num_micro_batches) or {}
        return Hybrid(
            (*point.cuts[:k], *point.cuts[k + 1 :]),
            (*point.groups[: k - 1], group, *point.groups[k + 1 :]),
            point.num_micro_batches,
        )

    def _share(self, point: Hybrid) -> Hybrid | None:
        """Give one sample of a micro-batch to another device of the group."""
        s = self._pick(len(point.groups))
        group = dict(point.groups[s])
        if len(group) < 2:
            return None
        a, b = (list(group)[i] for i in self.rng.choice(len(group), 2, replace=False))
        group[a], group[b] = group[a] - 1, group[b] + 1
        kept = {name: share for name, share in group.items() if share}
        return replace(point, groups=(*point.groups[:s], kept, *point.groups[s + 1 :]))

    def _count(self, point: Hybrid) -> Hybrid | None:
        """Take the next larger or smaller number of micro-batches."""
        counts = self.problem.micro_batch_counts
        place = counts.index(point.num_micro_batches) + (1 if self._pick(2) else -1)
        if not 0 <= place < len(counts):
            return None
        changed = replace(point, num_micro_batches=counts[place])
        return self._with_groups(changed, {s: list(group) for s, group in enumerate(point.groups)})
