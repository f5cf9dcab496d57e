"""Assignment by constraint programming: the largest load of a split, by CP-SAT.

Model: one Boolean per (vertex, device), exactly one per vertex; one per (hyperedge, device) that is true
where the hyperedge is cut; the load of every device at most a common integer, which is minimised. Memory,
kinds of devices and vertices (nodes that share a device) as in :mod:`solver.search.splits.load_graph`. With
a rule of convexity: a total order of the devices that every edge the rule counts follows.
Source: the assignment programme of Tarnawski et al., "Efficient algorithms for device placement of DNN graph
operators", NeurIPS 2020, arXiv 2006.16423, section 5.

Numbers are made whole by rounding *down* (times) so that no split costs more here than in truth: what is
refuted here cannot be, and a bound is valid for the evaluator's figure. Alike devices are told apart by the
heaviest vertices: the i-th of them is on one of the first i. Rounded inequalities (Chvátal-Gomory, divisors
of the limit) say how many heavy vertices a device can hold, which decides nearly even splits at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solver.program import Floats, Ints
from solver.search.splits.host_graph import HostGraph
from solver.search.splits.load_graph import LoadGraph

PARTS = 10
"""Rounded inequalities: into how many parts a limit is divided at most."""
Rounded = NDArray[np.int64]


@dataclass(frozen=True)
class LoadModel:
    """A CP-SAT model of splits below a limit.

    Parameters
    ----------
    graph
        What is split.
    model
        A ``cp_model.CpModel``; minimises the largest load in units.
    place
        (V, D) literals: vertex on device; ``None`` where it may not be.
    load
        The largest load.
    units_per_s
        Units in a second.
    """

    graph: LoadGraph
    model: Any
    place: list[list[Any]]
    load: Any
    units_per_s: float

    def invert(self, values: Any) -> Ints:
        """Return (V,) device of every vertex.

        Parameters
        ----------
        values
            A ``cp_model.CpSolver`` that found something, or its callback.
        """
        return np.array([_true(row, values) for row in self.place], np.int32)

    def add_floor(self, bound_s: float) -> None:
        """Add that no split has a load below a bound.

        Parameters
        ----------
        bound_s
            Seconds. Each of the numbers that make up a load has been rounded by less than one unit.
        """
        rounded = self.graph.num_vertices + self.graph.num_edges + 2
        floor = math.floor(bound_s * self.units_per_s) - rounded
        if floor > 0:
            self.model.add(self.load >= floor)

    def hint(self, place: Ints) -> None:
        """Begin with a split.

        Parameters
        ----------
        place
            (V,) device of every vertex.
        """
        self.model.clear_hints()
        for row, device in zip(self.place, place.tolist(), strict=True):
            for d, literal in enumerate(row):
                if literal is not None:
                    self.model.add_hint(literal, d == device)


def build_load(graph: LoadGraph, limit_s: float, resolution: float, fixed: Ints | None = None) -> LoadModel:
    """Return the model of splits whose largest load is not above a limit.

    Parameters
    ----------
    graph
        What is split.
    limit_s
        Seconds.
    resolution
        Units in the limit; how finely times are counted.
    fixed
        (V,) devices of vertices that are decided already; -1 where they are not.
    """
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    units_per_s = resolution / limit_s
    most = math.floor(limit_s * units_per_s)
    load = model.new_int_var(0, most, "load")
    place = _place(model, graph)
    kind = graph.host.kind
    time, cost = _whole(graph.time_s * units_per_s), _whole(graph.cost_s * units_per_s)
    for d in range(len(kind)):
        parts = [(row[d], int(time[v, kind[d]])) for v, row in enumerate(place) if row[d] is not None]
        for e in np.flatnonzero(cost[:, kind[d]]).tolist():
            literals = [place[v][d] for v in graph.pins_of(e)]
            parts.append((_cut(model, literals), int(cost[e, kind[d]])))
        parts = [(literal, units) for literal, units in parts if units]
        model.add(sum(literal * units for literal, units in parts) <= load)
        _add_rounded(model, parts, most)
    _add_memory(model, graph, place)
    if fixed is None:
        _tell_apart(model, graph, place)
    else:
        for v in np.flatnonzero(fixed >= 0).tolist():
            model.add(place[v][fixed[v]] == 1)
    if graph.host.is_contiguous:
        _add_order(model, graph, place)
    model.minimize(load)
    return LoadModel(graph, model, place, load, units_per_s)


def _true(row: list[Any], values: Any) -> int:
    return next(d for d, literal in enumerate(row) if literal is not None and _value(literal, values))


def _value(literal: Any, values: Any) -> bool:
    return bool(values.value(literal))


def _whole(units: Floats) -> Rounded:
    """Return whole units, rounded down; numbers that are whole but for rounding are kept."""
    finite = np.where(np.isfinite(units), units, 0.0)
    found: Rounded = np.floor(finite).astype(np.int64)
    return found


def _place(model: Any, graph: LoadGraph) -> list[list[Any]]:
    kind = graph.host.kind
    place = []
    for v in range(graph.num_vertices):
        allowed = np.isfinite(graph.time_s[v, kind])
        row = [model.new_bool_var(f"x{v}@{d}") if allowed[d] else None for d in range(len(kind))]
        model.add_exactly_one([literal for literal in row if literal is not None])
        place.append(row)
    return place


def _cut(model: Any, literals: list[Any]) -> Any:
    """Return a literal that is true if some, not all, of others are; a missing one is false."""
    cut = model.new_bool_var("")
    given = [literal for literal in literals if literal is not None]
    if len(given) < len(literals):
        for literal in given:
            model.add_implication(literal, cut)
    else:
        for one, other in zip(given, given[1:] + given[:1], strict=True):
            model.add_bool_or([~one, other, cut])
    return cut


def _add_rounded(model: Any, parts: list[tuple[Any, int]], most: int) -> None:
    """Add what follows from sum <= most by dividing and rounding down."""
    seen = set()
    for count in range(1, PARTS + 1):
        whole = tuple((count + 1) * units // (most + 1) for _, units in parts)
        if any(whole) and whole not in seen:
            seen.add(whole)
            terms = [literal * n for (literal, _), n in zip(parts, whole, strict=True) if n]
            model.add(sum(terms) <= count)


def _add_memory(model: Any, graph: LoadGraph, place: list[list[Any]]) -> None:
    total = int(graph.size_bytes.sum())
    for d, limit in enumerate(graph.host.memory_bytes.tolist()):
        if total > limit:
            sizes = zip(place, graph.size_bytes.tolist(), strict=True)
            model.add(sum(row[d] * size for row, size in sizes if size and row[d] is not None) <= limit)


def _tell_apart(model: Any, graph: LoadGraph, place: list[list[Any]]) -> None:
    """Forbid what differs from another split by the names of alike devices only."""
    host = graph.host
    if host.is_contiguous:  # the order of the devices does it
        return
    for alike in alike_devices(host):
        k = host.kind[alike[0]]
        heavy = np.argsort(
            -np.where(np.isfinite(graph.time_s[:, k]), graph.time_s[:, k], -1.0), kind="stable"
        )
        for rank, v in enumerate(heavy[: len(alike)].tolist()):
            for d in alike[rank + 1 :]:
                if place[v][d] is not None:
                    model.add(place[v][d] == 0)


def alike_devices(host: HostGraph) -> list[list[int]]:
    """Return the sets of devices of one kind and memory, two or more each.

    Parameters
    ----------
    host
        Arrays of a problem.
    """
    sets: dict[tuple[int, int], list[int]] = {}
    for d, (kind, memory) in enumerate(zip(host.kind.tolist(), host.memory_bytes.tolist(), strict=True)):
        sets.setdefault((kind, memory), []).append(d)
    return [alike for alike in sets.values() if len(alike) > 1]


def _add_order(model: Any, graph: LoadGraph, place: list[list[Any]]) -> None:
    """Add a total order of the devices, which the edges that the rule counts follow."""
    host, num = graph.host, len(graph.host.kind)
    before: list[list[Any]] = [[None] * num for _ in range(num)]
    for a in range(num):
        for b in range(a + 1, num):
            before[a][b] = model.new_bool_var(f"{a}<{b}")
            before[b][a] = ~before[a][b]
    for a in range(num):
        for b in range(a + 1, num):
            for c in range(b + 1, num):
                model.add_bool_or([~before[a][b], ~before[b][c], before[a][c]])
                model.add_bool_or([before[a][b], before[b][c], ~before[a][c]])
    for alike in alike_devices(host):
        for a, b in pairwise(alike):
            model.add(before[a][b] == 1)
    pairs = set()
    for v in range(len(host.group)):
        for w in host.rule[host.rule_start[v] : host.rule_start[v + 1]].tolist():
            if graph.vertex[v] != graph.vertex[w]:
                pairs.add((int(graph.vertex[v]), int(graph.vertex[w])))
    for v, w in sorted(pairs):
        for a in range(num):
            for b in range(num):
                if a != b and place[v][a] is not None and place[w][b] is not None:
                    model.add_bool_or([~place[v][a], ~place[w][b], before[a][b]])
