"""Host graph: arrays of a problem whose transfers go through the host, and what a split costs.

A split gives every node (block) one device. Under :mod:`solver.lowering.host_copies`, with D(v) the device of
node v, t its time there and c the seconds of a copy of its output there:

- load of device d = sum of t(v) over its nodes + sum of c(v) over its nodes with a successor elsewhere
  + sum of c(u) over nodes u elsewhere with a successor on d;
- latency: every device is called once, when all its inputs are ready, and lasts its load; a node on a kind of
  device that stands for many is a call of its own.

Equal to the evaluator's ``bottleneck`` and ``latency`` of the split's plan (:func:`solver.split.split_plan`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solver.errors import DeclinedError
from solver.plan import Plan
from solver.problem import Problem
from solver.program import Floats, Ints, Longs
from solver.schedule import compiled
from solver.search.batch_figures import has_limits
from solver.split import split_plan

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class HostGraph:
    """A problem as arrays; N nodes in topological order, K kinds, D devices.

    Parameters
    ----------
    problem
        What it is of.
    names, device_names, kind_names
        Blocks, devices and kinds by number.
    time_s
        (N, K) seconds of a node on a kind of device; infinite where it may not run (or another node of its
        group may not).
    copy_s
        (N, K) seconds of one copy of its output between the device and the host.
    size_bytes
        (N,) weights.
    out_start, out, in_start, into
        Successors of node v are ``out[out_start[v]:out_start[v + 1]]``, predecessors likewise; parallel
        edges are one.
    group
        (N,) nodes with the same number share a device; numbers count from 0 in order of first nodes.
    forward
        (N,) whether a node is in ``placement.convex``; all false without such a rule.
    is_contiguous
        Whether there is such a rule.
    rule_start, rule
        Edges that its graph between devices counts, as successors of every node; none without the rule.
    kind
        (D,) kind of a device; those of a kind are alike but for their memory.
    memory_bytes
        (D,) its memory.
    apart
        (K,) whether the devices of a kind stand for as many as there are nodes.
    """

    problem: Problem = field(repr=False)
    names: tuple[str, ...]
    device_names: tuple[str, ...]
    kind_names: tuple[str, ...]
    time_s: Floats
    copy_s: Floats
    size_bytes: Longs
    out_start: Ints
    out: Ints
    in_start: Ints
    into: Ints
    group: Ints
    forward: Bools
    is_contiguous: bool
    rule_start: Ints
    rule: Ints
    kind: Ints
    memory_bytes: Longs
    apart: Bools

    def loads(self, device: Ints) -> Floats:
        """Return (D,) seconds of every device under a split.

        Parameters
        ----------
        device
            (N,) device of every node.
        """
        loads: Floats = _loads(
            device, self.kind, self.time_s, self.copy_s, self.out_start, self.out, len(self.kind)
        )
        return loads

    def load(self, device: Ints) -> float:
        """Return the largest load of a split, seconds; infinite where a node may not run."""
        return float(self.loads(device).max())

    def latency(self, device: Ints) -> float:
        """Return the time of one sample under a split, seconds; infinite if calls wait for one another.

        Parameters
        ----------
        device
            (N,) device of every node.
        """
        num = len(self.kind)
        alone = self.apart[self.kind[device]]
        unit = np.where(alone, num + np.arange(len(device)), device).astype(np.int32)
        kinds = np.concatenate((self.kind, self.kind[device])).astype(np.int32)
        busy = _loads(unit, kinds, self.time_s, self.copy_s, self.out_start, self.out, len(kinds))
        return float(_finish(unit, busy, self.out_start, self.out))

    def used_bytes(self, device: Ints) -> Longs:
        """Return (D,) bytes of weights on every device."""
        used = np.zeros(len(self.kind), np.int64)
        np.add.at(used, device, self.size_bytes)
        return used

    def is_feasible(self, device: Ints) -> bool:
        """Return whether a split keeps memory and every rule of placement."""
        if (self.used_bytes(device) > self.memory_bytes).any():
            return False
        if not np.isfinite(self.time_s[np.arange(len(device)), self.kind[device]]).all():
            return False
        first = np.zeros(int(self.group.max()) + 1, np.int32)
        first[self.group[::-1]] = device[::-1]
        if (first[self.group] != device).any():
            return False
        return not self.is_contiguous or self.is_acyclic(device)

    def is_acyclic(self, device: Ints) -> bool:
        """Return whether the graph between devices has no cycle, of the edges that the rule counts."""
        num = len(self.kind)
        alone = self.apart[self.kind[device]]
        unit = np.where(alone, num + np.arange(len(device)), device).astype(np.int32)
        return bool(np.isfinite(_finish(unit, np.zeros(num + len(device)), self.rule_start, self.rule)))

    def plan(self, device: Ints) -> Plan:
        """Return the plan of a split."""
        return split_plan(self.problem, self.placed(device))

    def placed(self, device: Ints) -> dict[str, str]:
        """Return block to device."""
        return {name: self.device_names[d] for name, d in zip(self.names, device.tolist(), strict=True)}

    def split(self, placed: Mapping[str, str]) -> Ints:
        """Return (N,) device of every node from block to device."""
        number = {name: d for d, name in enumerate(self.device_names)}
        return np.array([number[placed[name]] for name in self.names], np.int32)


def host_graph(problem: Problem) -> HostGraph:
    """Return the arrays of a problem.

    Parameters
    ----------
    problem
        Its plans place every block on one device, and transfers go through the host.

    Raises
    ------
    DeclinedError
        If it is another kind of problem, with the reasons.
    """
    reasons = list(_reasons(problem))
    if reasons:
        raise DeclinedError("; ".join(reasons))
    workload, placement = problem.workload, problem.placement
    order, devices = workload.order, [problem.cluster.by_name[name] for name in problem.usable]
    kind_names = tuple(dict.fromkeys(device.kind for device in devices))
    node = {name: v for v, name in enumerate(order)}
    after = [[node[edge.target] for edge in workload.successors[name]] for name in order]
    before = [[node[edge.source] for edge in workload.predecessors[name]] for name in order]
    out_start, out = _rows(after)
    in_start, into = _rows(before)
    group = _groups(order, placement.together if placement else ())
    convex = placement.convex if placement else None
    after_by_rule: list[list[int]] = [[] for _ in order]
    for source, target in placement.edges(workload) if placement and convex is not None else ():
        after_by_rule[node[source]].append(node[target])
    rule_start, rule = _rows(after_by_rule)
    return HostGraph(
        problem=problem,
        names=order,
        device_names=tuple(device.name for device in devices),
        kind_names=kind_names,
        time_s=_times(problem, kind_names, group),
        copy_s=_copies(problem, kind_names),
        size_bytes=np.array([problem.costs.block(name).weight_bytes for name in order], np.int64),
        out_start=out_start,
        out=out,
        in_start=in_start,
        into=into,
        group=group,
        forward=np.array([convex is not None and name in convex for name in order]),
        is_contiguous=convex is not None,
        rule_start=rule_start,
        rule=rule,
        kind=np.array([kind_names.index(device.kind) for device in devices], np.int32),
        memory_bytes=np.array([int(device.memory_bytes.value) for device in devices], np.int64),
        apart=np.array([placement is not None and kind in placement.apart for kind in kind_names]),
    )


def _reasons(problem: Problem) -> Iterator[str]:
    """Yield why a problem is none of placement through the host."""
    settings, job, workload = problem.settings, problem.job, problem.workload
    if settings.rule != "program" or settings.transfers != "host" or settings.memory != "weights":
        yield "for transfers through the host and memory of weights (Settings.transfers, Settings.memory)"
    if job.kind != "serve" or job.batch != 1 or job.arrival_interval_s:
        yield "for one sample that is served, all blocks forward"
    if problem.objective not in ("bottleneck", "latency"):
        yield f"for bottleneck and latency, not for {problem.objective}"
    if has_limits(problem):
        yield "keeps no limits on objectives, deadlines, energy, carbon, batteries or trust"
    if any(b.data or b.capacity or b.resources or b.modality for b in workload.blocks):
        yield "knows no owned data, modalities, experts or resources"
    if any(edge.share != 1 for edge in workload.edges):
        yield "knows no edges with a share"
    for kind in dict.fromkeys(device.kind for device in problem.cluster.devices):
        same = [d for d in problem.cluster.devices if d.kind == kind]
        if len({(d.overhead_s.value, str(d.flop_per_s)) for d in same}) > 1:
            yield f"devices of kind {kind!r} differ in speed"


def _rows(lists: list[list[int]]) -> tuple[Ints, Ints]:
    """Return (start, values) of lists laid end to end."""
    start = np.cumsum([0, *map(len, lists)]).astype(np.int32)
    return start, np.array([value for values in lists for value in values], np.int32)


def _groups(order: tuple[str, ...], together: tuple[tuple[str, ...], ...]) -> Ints:
    leader = {name: group[0] for group in together for name in group}
    number: dict[str, int] = {}
    return np.array([number.setdefault(leader.get(name, name), len(number)) for name in order], np.int32)


def _times(problem: Problem, kinds: tuple[str, ...], group: Ints) -> Floats:
    allowed = problem.placement.kinds if problem.placement else {}
    order = problem.workload.order
    time_s = np.zeros((len(order), len(kinds)))
    for k, kind in enumerate(kinds):
        device = next(d for d in problem.cluster.devices if d.kind == kind)
        for v, name in enumerate(order):
            seconds = problem.costs.time_s(name, device, 1)[0] + device.overhead_s.value
            time_s[v, k] = seconds if kind in allowed.get(name, kinds) else math.inf
    banned = np.zeros((int(group.max()) + 1, len(kinds)), np.bool_)
    np.logical_or.at(banned, group, ~np.isfinite(time_s))
    time_s[banned[group]] = math.inf
    return time_s


def _copies(problem: Problem, kinds: tuple[str, ...]) -> Floats:
    devices = [next(d for d in problem.cluster.devices if d.kind == kind) for kind in kinds]
    costs = problem.costs
    return np.array([[costs.copy_s(name, d, 1) for d in devices] for name in problem.workload.order])


@compiled
def _loads(
    device: Ints, kind: Ints, time_s: Floats, copy_s: Floats, out_start: Ints, out: Ints, num_devices: int
) -> Any:
    loads = np.zeros(num_devices)
    seen = np.full(num_devices, -1, np.int32)
    for v in range(len(device)):
        d = device[v]
        loads[d] += time_s[v, kind[d]]
        sent = False
        for e in range(out_start[v], out_start[v + 1]):
            other = device[out[e]]
            if other != d and seen[other] != v:
                seen[other] = v
                loads[other] += copy_s[v, kind[other]]
                sent = True
        if sent:
            loads[d] += copy_s[v, kind[d]]
    return loads


@compiled
def _finish(unit: Ints, busy: Floats, out_start: Ints, out: Ints) -> Any:
    """Return when the last unit is done, each starting when its inputs are ready; infinite with a cycle."""
    num = len(busy)
    waiting, ready, is_used = np.zeros(num, np.int64), np.zeros(num), np.zeros(num, np.bool_)
    first, following = np.full(num, -1, np.int64), np.full(len(unit), -1, np.int64)
    for v in range(len(unit) - 1, -1, -1):
        u = unit[v]
        is_used[u] = True
        following[v] = first[u]
        first[u] = v
        for e in range(out_start[v], out_start[v + 1]):
            if unit[out[e]] != u:
                waiting[unit[out[e]]] += 1
    queue = np.empty(num, np.int64)
    head = tail = left = 0
    for u in range(num):
        left += is_used[u]
        if is_used[u] and waiting[u] == 0:
            queue[tail] = u
            tail += 1
    last = 0.0
    while head < tail:
        u = queue[head]
        head += 1
        end = ready[u] + busy[u]
        last = max(last, end)
        v = first[u]
        while v >= 0:
            for e in range(out_start[v], out_start[v + 1]):
                other = unit[out[e]]
                if other != u:
                    ready[other] = max(ready[other], end)
                    waiting[other] -= 1
                    if waiting[other] == 0:
                        queue[tail] = other
                        tail += 1
            v = following[v]
    return last if tail == left else np.inf
