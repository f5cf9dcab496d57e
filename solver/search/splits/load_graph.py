"""Load graph: max-load placement as a hypergraph, for splits without a rule of convexity.

Nodes that share a device are one vertex. An output that crosses devices is paid once by every device that
makes or needs it, so node v with its successors is a hyperedge of cost c(v), and

    load of device d = sum of t over its vertices + sum of c over hyperedges with some, not all pins on d:

a modular plus a symmetric submodular function of the device's set alone, whatever the others hold. A move of
a vertex therefore changes two loads only.

Vertices are merged where some best split has them together, see :func:`reduced`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from solver.program import Floats, Ints, Longs
from solver.search.splits.host_graph import HostGraph


@dataclass(frozen=True)
class LoadGraph:
    """A hypergraph to be split; V vertices, E hyperedges, K kinds, D devices.

    Parameters
    ----------
    host
        What it is of.
    vertex
        (N,) vertex of every node.
    time_s
        (V, K) seconds; infinite where a vertex may not be.
    size_bytes
        (V,) weights.
    pins, pin_start
        Vertices of hyperedge e, sorted: ``pins[pin_start[e]:pin_start[e + 1]]``.
    cost_s
        (E, K) seconds that each device of a kind pays if the hyperedge is cut at it.
    edges, edge_start
        Hyperedges of every vertex.
    """

    host: HostGraph = field(repr=False)
    vertex: Ints
    time_s: Floats
    size_bytes: Longs
    pins: Ints
    pin_start: Ints
    cost_s: Floats
    edges: Ints
    edge_start: Ints

    @property
    def num_vertices(self) -> int:
        """V."""
        return len(self.time_s)

    @property
    def num_edges(self) -> int:
        """E."""
        return len(self.cost_s)

    def pins_of(self, edge: int) -> list[int]:
        """Return the vertices of a hyperedge."""
        found: list[int] = self.pins[self.pin_start[edge] : self.pin_start[edge + 1]].tolist()
        return found

    def split(self, place: Ints) -> Ints:
        """Return (N,) device of every node from (V,) device of every vertex."""
        found: Ints = place[self.vertex].astype(np.int32)
        return found

    def place(self, split: Ints) -> Ints | None:
        """Return (V,) device of every vertex; ``None`` if a split tears one apart.

        Parameters
        ----------
        split
            (N,) device of every node.
        """
        found = np.zeros(self.num_vertices, np.int32)
        found[self.vertex] = split
        return found if (found[self.vertex] == split).all() else None

    def loads(self, place: Ints) -> Floats:
        """Return (D,) seconds of every device, written plainly: the oracle of the compiled search."""
        kind = self.host.kind
        loads = np.zeros(len(kind))
        np.add.at(loads, place, self.time_s[np.arange(self.num_vertices), kind[place]])
        for e in range(self.num_edges):
            devices = np.unique(place[self.pins_of(e)])
            if len(devices) > 1:
                loads[devices] += self.cost_s[e, kind[devices]]
        return loads


def load_graph(host: HostGraph) -> LoadGraph:
    """Return the hypergraph of a problem, nodes that share a device merged and nothing else.

    Parameters
    ----------
    host
        Arrays of the problem.
    """
    return _merged(host, host.group)


def reduced(host: HostGraph, upper_s: float) -> LoadGraph:
    """Return a smaller hypergraph that keeps the best of all splits with a load below a limit.

    Parameters
    ----------
    host
        Arrays of the problem; without a rule of convexity.
    upper_s
        Splits with this load or more are of no interest; infinite if all are.

    Notes
    -----
    Two rules, until neither applies. *Dear*: a hyperedge that no device with copies can pay for is not cut,
    if at most one device copies free of charge. *Attached*: if joining vertex x to vertex o, wherever o is,
    never costs more than the copies it saves, and memory cannot bind, x is with o in some best split.
    """
    graph = load_graph(host)
    while True:
        count = graph.num_vertices
        graph = _joined(graph, lambda graph, join: _join_dear(graph, upper_s, join))
        graph = _joined(graph, lambda graph, join: _join_attached(graph, upper_s, join))
        if graph.num_vertices == count:
            return graph


def even_bound_s(graph: LoadGraph) -> float:
    """Return a bound on the largest load: all work shared out freely, and the longest vertex, seconds.

    Parameters
    ----------
    graph
        What is split.

    Notes
    -----
    For any weights of devices that add up to 1, the largest load is at least the sum over vertices of the
    least weighted time; of weights r for all kinds but the most common, the best of a few r are taken.
    """
    kind = graph.host.kind
    common = int(np.bincount(kind).argmax())
    best = float(graph.time_s.min(axis=1).max())
    for r in (0.0, *np.geomspace(1e-3, 10.0, 60).tolist()):
        weights = np.where(np.arange(graph.time_s.shape[1]) == common, 1.0, r)
        with np.errstate(invalid="ignore"):
            times = np.where(np.isfinite(graph.time_s), weights * graph.time_s, np.inf)
        best = max(best, float(times.min(axis=1).sum() / weights[kind].sum()))
    return best * (1 - 1e-12)


Join = Callable[[int, int], None]


def _joined(graph: LoadGraph, rule: Callable[[LoadGraph, Join], None]) -> LoadGraph:
    parent = list(range(graph.num_vertices))

    def root(x: int) -> int:
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    def join(a: int, b: int) -> None:
        parent[root(a)] = root(b)

    rule(graph, join)
    roots = np.array([root(x) for x in range(graph.num_vertices)], np.int32)
    if len(np.unique(roots)) == graph.num_vertices:
        return graph
    return _merged(graph.host, roots[graph.vertex])


def _join_dear(graph: LoadGraph, upper_s: float, join: Join) -> None:
    free = [bool((graph.cost_s[:, k] == 0).all()) for k in range(graph.cost_s.shape[1])]
    if sum(free[k] for k in graph.host.kind) > 1 or not math.isfinite(upper_s):
        return
    for e in range(graph.num_edges):
        pins = graph.pins_of(e)
        least = graph.time_s[pins].min(axis=0) + graph.cost_s[e]
        if all(free[k] or least[k] >= upper_s for k in range(len(free))):
            for other in pins[1:]:
                join(pins[0], other)


def _join_attached(graph: LoadGraph, upper_s: float, join: Join) -> None:
    roomy = int(graph.size_bytes.sum()) <= int(graph.host.memory_bytes.min())
    taken: set[int] = set()
    for x in range(graph.num_vertices):
        if x in taken or not (roomy or graph.size_bytes[x] == 0):
            continue
        mine = graph.edges[graph.edge_start[x] : graph.edge_start[x + 1]]
        total = graph.cost_s[mine].sum(axis=0)
        pairs: dict[int, Floats] = {}
        for e in mine.tolist():
            pins = graph.pins_of(e)
            if len(pins) == 2:
                other = pins[0] + pins[1] - x
                pairs[other] = pairs.get(other, np.zeros(len(total))) + graph.cost_s[e]
        for other, saved in pairs.items():
            there = graph.time_s[other] < upper_s
            extra = graph.time_s[x] + (total - saved) - saved
            # Elsewhere x must not be a help either: what leaves a device may cut no more than it saves.
            if (
                other in taken
                or (extra[there] > 0).any()
                or ((total - saved) > graph.time_s[x] + saved).any()
            ):
                continue
            join(x, other)
            taken.update(x_near for e in mine.tolist() for x_near in graph.pins_of(e))
            break


def _merged(host: HostGraph, vertex: Ints) -> LoadGraph:
    """Return the hypergraph with the nodes of one number merged."""
    vertex = np.unique(vertex, return_inverse=True)[1].astype(np.int32)
    count = int(vertex.max()) + 1
    time_s = np.zeros((count, host.time_s.shape[1]))
    np.add.at(time_s, vertex, host.time_s)
    size = np.zeros(count, np.int64)
    np.add.at(size, vertex, host.size_bytes)
    costs: dict[tuple[int, ...], Floats] = {}
    for v in range(len(vertex)):
        after = host.out[host.out_start[v] : host.out_start[v + 1]]
        pins = tuple(np.unique(np.append(vertex[after], vertex[v])).tolist())
        if len(pins) > 1 and host.copy_s[v].any():
            costs[pins] = costs.get(pins, np.zeros(host.copy_s.shape[1])) + host.copy_s[v]
    lists = list(costs)
    touching: list[list[int]] = [[] for _ in range(count)]
    for e, pins in enumerate(lists):
        for x in pins:
            touching[x].append(e)
    cost_s = np.array(list(costs.values())).reshape(len(lists), host.copy_s.shape[1])
    pin_start, all_pins = _rows([list(p) for p in lists])
    edge_start, edges = _rows(touching)
    return LoadGraph(host, vertex, time_s, size, all_pins, pin_start, cost_s, edges, edge_start)


def _rows(lists: list[list[int]]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    start = np.cumsum([0, *map(len, lists)]).astype(np.int32)
    return start, np.array([value for values in lists for value in values], np.int32)


def coarsened(graph: LoadGraph, dear_s: float) -> LoadGraph:
    """Return a smaller hypergraph in which no hyperedge of some cost can be cut; no claim on what it keeps.

    Parameters
    ----------
    graph
        A hypergraph.
    dear_s
        Hyperedges whose cost on some kind of device is this or more are merged.
    """

    def join_all(graph: LoadGraph, join: Join) -> None:
        for e in np.flatnonzero(graph.cost_s.max(axis=1, initial=0.0) >= dear_s).tolist():
            pins = graph.pins_of(e)
            for other in pins[1:]:
                join(pins[0], other)

    return _joined(graph, join_all)
