"""Packed points: many hybrid pipelines as arrays, small enough to be copied and changed by the thousand.

The points of one search: one pipeline cut along the topological order, stages in mode data, no device in two
of them. A device says in which stage it is and with how many samples, which is less to copy than a table of
all stages by all devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from solver.batch import PackedPlans
from solver.plan import Explicit, Group, Plan, Stage, pipeline_plan
from solver.problem import Problem
from solver.program import Longs


class Points(NamedTuple):
    """B hybrid pipelines of at most S stages over D devices, all of the cluster in its order.

    Parameters
    ----------
    num_stages
        (B,), at least 1.
    ends
        (B, S), the block after the last of every stage.
    stage_of
        (B, D), in which stage a device is; -1: in none.
    samples
        (B, D), samples of each micro-batch it computes; 0 if it is in no stage.
    caps
        (B, S), most micro-batches in flight; 0: the default of the schedule.
    pattern
        (B,), which of :data:`solver.search.packed.moves.PATTERNS` caps go back to when stages change.
    choice
        (B,), which of the micro-batch counts.
    """

    num_stages: Longs
    ends: Longs
    stage_of: Longs
    samples: Longs
    caps: Longs
    pattern: Longs
    choice: Longs

    def take(self, indices: Any) -> Points:
        """Return copies of some of the points.

        Parameters
        ----------
        indices
            Numbers of points, or a mask.
        """
        return Points(*(part[indices] for part in self))

    def copy(self) -> Points:
        """Return copies of all."""
        return Points(*(part.copy() for part in self))

    def put(self, indices: Any, other: Points) -> None:
        """Overwrite some of the points.

        Parameters
        ----------
        indices
            Numbers of points, or a mask.
        other
            As many points.
        """
        for mine, theirs in zip(self, other, strict=True):
            mine[indices] = theirs


def empty(size: int, num_stages: int, num_devices: int) -> Points:
    """Return points without stages, to be filled.

    Parameters
    ----------
    size, num_stages, num_devices
        B, S and D.
    """
    shapes = ((), (num_stages,), (num_devices,), (num_devices,), (num_stages,), (), ())
    points = Points(*(np.zeros((size, *shape), np.int64) for shape in shapes))
    points.stage_of[:] = -1
    return points


def joined(parts: Sequence[Points]) -> Points:
    """Return points of several arrays in one.

    Parameters
    ----------
    parts
        Points of the same S and D; at least one array.
    """
    return Points(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def to_plans(points: Points) -> PackedPlans:
    """Return points as the plans a batch scorer reads; all must have the same micro-batch count.

    Parameters
    ----------
    points
        Hybrid pipelines.
    """
    size, most = points.ends.shape
    shares = np.zeros((size, most, points.stage_of.shape[1]), np.int64)
    b, d = np.nonzero(points.stage_of >= 0)
    shares[b, points.stage_of[b, d], d] = points.samples[b, d]
    return PackedPlans(points.num_stages, points.ends, shares, points.caps if points.caps.any() else None)


def to_plan(problem: Problem, points: Points, index: int, counts: Sequence[int]) -> Plan:
    """Return one point as a plan.

    Parameters
    ----------
    problem
        What is decided.
    points, index
        Which point.
    counts
        Micro-batch counts that ``Points.choice`` numbers.
    """
    order = problem.workload.order
    names = [device.name for device in problem.cluster.devices]
    stages, start = [], 0
    for s in range(int(points.num_stages[index])):
        end = int(points.ends[index, s])
        members = np.flatnonzero(points.stage_of[index] == s).tolist()
        shares: dict[str, int | Group] = {names[d]: int(points.samples[index, d]) for d in members}
        cap = int(points.caps[index, s]) or None
        stages.append(Stage(blocks=order[start:end], shares=shares, in_flight=cap))
        start = end
    return pipeline_plan(problem, stages, counts[int(points.choice[index])])


def from_plan(problem: Problem, plan: Plan, counts: Sequence[int], num_stages: int) -> Points | None:
    """Return a plan as one point; ``None`` if it is not one.

    Parameters
    ----------
    problem, plan
        What is decided, and a sound plan for it.
    counts
        Micro-batch counts that may be chosen.
    num_stages
        S, most stages of a point.
    """
    (pipeline, *others) = plan.pipelines
    order = problem.workload.order
    place = {name: i for i, name in enumerate(order)}
    stages = sorted(pipeline.stages, key=lambda stage: min(place[name] for name in stage.blocks))
    if others or pipeline.micro_batches not in counts or len(stages) > num_stages:
        return None
    device = {one.name: d for d, one in enumerate(problem.cluster.devices)}
    points = empty(1, num_stages, len(device))
    start = 0
    for s, stage in enumerate(stages):
        end = start + len(stage.blocks)
        if stage.mode != "data" or isinstance(stage.shares, Explicit) or stage.recompute:
            return None
        if set(stage.blocks) != set(order[start:end]):
            return None
        for name, share in stage.shares.items():
            if isinstance(share, Group) or points.stage_of[0, device[name]] >= 0:
                return None
            points.stage_of[0, device[name]], points.samples[0, device[name]] = s, share
        points.ends[0, s] = start = end
        points.caps[0, s] = stage.in_flight or 0
    points.num_stages[0] = len(stages)
    points.choice[0] = list(counts).index(pipeline.num_micro_batches)
    return points
