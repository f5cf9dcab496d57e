"""Assignment: the textbook integer programme of placing a DAG's nodes on devices.

Source: Tarnawski et al., "Efficient algorithms for device placement of DNN graph operators", NeurIPS 2020,
arXiv 2006.16423, section 4 (latency) and section 5.1 (largest load). Variables, for groups g (nodes that
share a device), nodes v and devices d:

- x[g, d] binary, group on device; sum over d is 1; sizes on d within its memory;
- y[v, d] >= |x[v, d] - x[w, d]| for every successor w: the output of v is copied by d, where copies cost;
- load[d] = sum of time x + sum of copy y;
- largest load: minimise T >= load[d];
- with the rule of contiguity, a place in a line for every call, later than those of the calls that it needs;
- latency: starts[d] and ready[v]; ready[v] >= ready[u] + time where v is on a device that stands for many;
  starts[d] >= ready[u] where d needs the output of u; ready[v] >= starts[d] + load[d] where v is on d.

A weak relaxation: the baseline that :mod:`solver.search.splits.load_graph` and its relatives are compared
with. Times are scaled so that the limit is 1; back ends have tolerances: their bound is
valid to about 1e-6 of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from solver.program import Ints
from solver.search.splits.host_graph import HostGraph


@dataclass(frozen=True)
class Programme:
    """An integer programme of splits.

    Parameters
    ----------
    host
        What is split.
    problem
        A ``pulp.LpProblem``; minimises latency or the largest load, as parts of ``unit_s``.
    place
        (group, device) to its variable; missing where it may not be.
    unit_s
        Seconds that count as 1.
    """

    host: HostGraph
    problem: Any
    place: dict[tuple[int, int], Any]
    unit_s: float

    def invert(self) -> Ints:
        """Return (N,) device of every node, of a programme that was solved."""
        of = np.zeros(int(self.host.group.max()) + 1, np.int32)
        most = np.full(len(of), -1.0)
        for (g, d), variable in self.place.items():
            value = float(variable.value() or 0.0)
            if value > most[g]:
                most[g], of[g] = value, d
        return of[self.host.group].astype(np.int32)


def build(host: HostGraph, limit_s: float) -> Programme:
    """Return the programme of a problem: of its latency or its largest load, as the problem's objective says.

    Parameters
    ----------
    host
        Arrays of the problem.
    limit_s
        Splits above it are of no interest; above zero, finite.
    """
    return _Builder(host, limit_s).programme()


class _Builder:
    """Adds variables and rows."""

    def __init__(self, host: HostGraph, limit_s: float) -> None:
        import pulp

        self.pulp, self.host, self.unit_s = pulp, host, limit_s
        self.lp = pulp.LpProblem("assignment", pulp.LpMinimize)
        self.devices = range(len(host.kind))
        kind, first = host.kind, {int(g): v for v, g in reversed(list(enumerate(host.group)))}
        self.place = {
            (g, d): self._binary(f"x_{g}_{d}")
            for g, v in sorted(first.items())
            for d in self.devices
            if np.isfinite(host.time_s[v, kind[d]])
        }
        self.edges = [(v, w) for v in range(len(host.group)) for w in successors(host, v)]

    def programme(self) -> Programme:
        """Return the whole programme."""
        best = self.lp.add_variable("best", lowBound=0.0, upBound=1.0)
        self.lp += best
        self._add_groups()
        load = self._loads()
        if self.host.problem.objective == "latency":
            self._add_latency(best, load)
        else:
            for d in self.devices:
                self.lp += load[d] <= best
        if self.host.is_contiguous:
            self._add_order()
        elif self.host.problem.objective != "latency":
            self._tell_apart()
        return Programme(self.host, self.lp, self.place, self.unit_s)

    def _binary(self, name: str) -> Any:
        return self.lp.add_variable(name, cat="Binary")

    def _on(self, v: int, d: int) -> Any:
        """Return the variable of node v on device d, or 0."""
        return self.place.get((int(self.host.group[v]), d), 0)

    def _add_groups(self) -> None:
        host = self.host
        groups = range(int(host.group.max()) + 1)
        size = np.bincount(host.group, host.size_bytes.astype(np.float64))
        for g in groups:
            self.lp += self.pulp.lpSum(self.place[g, d] for d in self.devices if (g, d) in self.place) == 1
        for d, limit in enumerate(host.memory_bytes.tolist()):
            if size.sum() > limit:
                parts = [(g, d) for g in groups if (g, d) in self.place and size[g] > 0]
                self.lp += self.pulp.lpSum(size[p[0]] / size.sum() * self.place[p] for p in parts) <= (
                    limit / size.sum()
                )

    def _loads(self) -> list[Any]:
        host, found = self.host, []
        for d in self.devices:
            k = host.kind[d]
            terms = []
            for v in range(len(host.group)):
                time = host.time_s[v, k] / self.unit_s
                if np.isfinite(time) and time > 0:
                    terms.append(time * self._on(v, d))
                copy = host.copy_s[v, k] / self.unit_s
                others = [w for w in successors(host, v) if host.group[w] != host.group[v]]
                if copy > 0 and others:
                    cut = self.lp.add_variable(f"y_{v}_{d}", lowBound=0.0, upBound=1.0)
                    for w in others:
                        self.lp += cut >= self._on(v, d) - self._on(w, d)
                        self.lp += cut >= self._on(w, d) - self._on(v, d)
                    terms.append(copy * cut)
            found.append(self.pulp.lpSum(terms))
        return found

    def _add_latency(self, best: Any, load: list[Any]) -> None:
        host, lp, var = self.host, self.lp, self.lp.add_variable
        ready = [var(f"ready_{v}", lowBound=0.0, upBound=1.0) for v in range(len(host.group))]
        starts = [var(f"starts_{d}", lowBound=0.0, upBound=1.0) for d in self.devices]
        for v in range(len(host.group)):
            lp += best >= ready[v]
        for d in self.devices:
            many, k = bool(host.apart[host.kind[d]]), host.kind[d]
            for v in range(len(host.group)):
                on, time = self._on(v, d), host.time_s[v, k] / self.unit_s
                if not many:
                    lp += ready[v] >= starts[d] + load[d] - 2 * (1 - on)
                elif np.isfinite(time):
                    lp += ready[v] >= time * on
                    for u in predecessors(host, v):
                        lp += ready[v] >= ready[u] + time * on - (1 - on)
            for u, v in self.edges if not many else ():
                if host.group[u] != host.group[v]:
                    lp += starts[d] >= ready[u] - (1 - self._on(v, d) + self._on(u, d))
        for u, v in self.edges:
            if host.group[u] != host.group[v]:
                lp += ready[v] >= ready[u]

    def _add_order(self) -> None:
        """Add a place in a line for every call, which edges that the rule counts follow."""
        host, lp, var = self.host, self.lp, self.lp.add_variable
        num = len(host.group)
        step = 1.0 / (num + len(self.devices) + 1)
        node = [var(f"place_{v}", lowBound=0.0, upBound=1.0) for v in range(num)]
        call = [var(f"line_{d}", lowBound=0.0, upBound=1.0) for d in self.devices]
        edges = [
            (u, w)
            for u in range(num)
            for w in host.rule[host.rule_start[u] : host.rule_start[u + 1]].tolist()
        ]
        for d in self.devices:
            many = bool(host.apart[host.kind[d]])
            for v in sorted({v for edge in edges for v in edge}) if not many else ():
                lp += node[v] >= call[d] - (1 - self._on(v, d))
                lp += node[v] <= call[d] + (1 - self._on(v, d))
            for u, v in edges:
                off = 1 - self._on(v, d) + (0 if many else self._on(u, d))
                if host.group[u] != host.group[v] or many:
                    lp += (node[v] if many else call[d]) >= node[u] + step - 2 * off

    def _tell_apart(self) -> None:
        """Let group i be on one of the first i + 1 of devices that are alike."""
        host = self.host
        for k in np.unique(host.kind).tolist():
            alike = [d for d in self.devices if host.kind[d] == k]
            if len({int(host.memory_bytes[d]) for d in alike}) == 1:
                for g, d in list(self.place):
                    if d in alike and alike.index(d) > g:
                        self.lp += self.place[g, d] == 0


def successors(host: HostGraph, v: int) -> list[int]:
    """Return the successors of a node."""
    found: list[int] = host.out[host.out_start[v] : host.out_start[v + 1]].tolist()
    return found


def predecessors(host: HostGraph, v: int) -> list[int]:
    """Return the predecessors of a node."""
    found: list[int] = host.into[host.in_start[v] : host.in_start[v + 1]].tolist()
    return found
