"""Load search: annealing of splits of a load graph, towards a target for the largest load, compiled.

State: a device for every vertex. Energy: relative excesses of loads over a target, and of memory over its
limit, added up; zero means that the target is met, and a lower one is set. A move puts one vertex on another
device (mostly one that a neighbour is on) or exchanges two; it changes two loads only, see
:mod:`solver.search.splits.load_graph`, so it costs the degree of its vertices.
Heuristic; no bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from solver.program import Floats, Ints
from solver.schedule import compiled
from solver.search.splits.load_graph import LoadGraph

HOT, COLD = 0.03, 3e-5
"""First and last temperature of a round, in relative excess."""


def anneal(graph: LoadGraph, place: Ints, target_s: float, moves: int, seed: int) -> tuple[float, Ints]:
    """Return the least largest load seen in one round of annealing, and its split.

    Parameters
    ----------
    graph
        What is split.
    place
        (V,) device of every vertex to begin with; it may break memory.
    target_s
        Largest load aimed at.
    moves
        How many moves are tried.
    seed
        Makes the round repeatable.

    Returns
    -------
    tuple
        Infinite, and some split, if none kept memory.
    """
    best = np.array(place, np.int32)
    load = _anneal(
        best, graph.time_s, graph.size_bytes.astype(np.float64), graph.pins, graph.pin_start, graph.cost_s,
        graph.edges, graph.edge_start, graph.host.kind, graph.host.memory_bytes.astype(np.float64),
        target_s, moves, seed, HOT, COLD,
    )  # fmt: skip
    return float(load), best


def greedy(graph: LoadGraph, order: Ints) -> Ints:
    """Return a split: each vertex in turn goes where the largest load stays least, memory kept if possible.

    Parameters
    ----------
    graph
        What is split.
    order
        Vertices.
    """
    host = graph.host
    place: Ints = _greedy(
        order, graph.time_s, graph.size_bytes.astype(np.float64), graph.pins, graph.pin_start, graph.cost_s,
        graph.edges, graph.edge_start, host.kind, host.memory_bytes.astype(np.float64),
    )  # fmt: skip
    return place


@compiled
def _greedy(
    order: Ints, time_s: Floats, size: Floats, pins: Ints, pin_start: Ints, cost_s: Floats,
    edges: Ints, edge_start: Ints, kind: Ints, memory: Floats,
) -> Any:  # fmt: skip
    num, devices = len(time_s), len(kind)
    place = np.full(num, -1, np.int32)
    load, used = np.zeros(devices), np.zeros(devices)
    count = np.zeros((len(cost_s), devices), np.int32)
    total = np.zeros(len(cost_s), np.int32)
    for x in order:
        chosen, least = -1, np.inf
        for d in range(devices):
            now = load[d] + time_s[x, kind[d]]
            for i in range(edge_start[x], edge_start[x + 1]):
                e = edges[i]
                if total[e] > 0 and count[e, d] < total[e]:
                    now += cost_s[e, kind[d]]
            now += 1e6 * max(0.0, used[d] + size[x] - memory[d]) / max(memory[d], 1.0)
            if now < least:
                chosen, least = d, now
        chosen = max(chosen, 0)
        place[x] = chosen
        used[chosen] += size[x]
        load[chosen] += time_s[x, kind[chosen]]
        for i in range(edge_start[x], edge_start[x + 1]):
            e = edges[i]
            # Approximately: devices that were alone on the hyperedge are not charged anew.
            if total[e] > 0 and count[e, chosen] == 0:
                load[chosen] += cost_s[e, kind[chosen]]
            count[e, chosen] += 1
            total[e] += 1
    return place


@compiled
def _change(
    x: int, d: int, joins: bool, place: Ints, count: Ints, time_s: Floats, pin_start: Ints, cost_s: Floats,
    edges: Ints, edge_start: Ints, kind: Ints,
) -> Any:  # fmt: skip
    """Return by how much the load of device d changes when vertex x joins or leaves it."""
    change = time_s[x, kind[d]] if joins else -time_s[x, kind[d]]
    for i in range(edge_start[x], edge_start[x + 1]):
        e = edges[i]
        num = pin_start[e + 1] - pin_start[e]
        before = count[e, d]
        after = before + 1 if joins else before - 1
        change += cost_s[e, kind[d]] * ((0 < after < num) * 1.0 - (0 < before < num) * 1.0)
    return change


@compiled
def _shift(x: int, d: int, place: Ints, count: Ints, edges: Ints, edge_start: Ints) -> Any:
    """Put vertex x on device d."""
    for i in range(edge_start[x], edge_start[x + 1]):
        count[edges[i], place[x]] -= 1
        count[edges[i], d] += 1
    place[x] = d


@compiled
def _over(load: float, target: float, used: float, memory: float) -> Any:
    """Return a device's part of the energy."""
    return max(0.0, load - target) / target + max(0.0, used - memory) / max(memory, 1.0)


@compiled
def _anneal(
    best: Ints, time_s: Floats, size: Floats, pins: Ints, pin_start: Ints, cost_s: Floats, edges: Ints,
    edge_start: Ints, kind: Ints, memory: Floats, target: float, moves: int, seed: int, hot: float,
    cold: float,
) -> Any:  # fmt: skip
    np.random.seed(seed)
    num, devices = len(time_s), len(kind)
    place = best.copy()
    count = np.zeros((len(cost_s), devices), np.int32)
    load, used = np.zeros(devices), np.zeros(devices)
    for e in range(len(cost_s)):
        for i in range(pin_start[e], pin_start[e + 1]):
            count[e, place[pins[i]]] += 1
        for d in range(devices):
            if 0 < count[e, d] < pin_start[e + 1] - pin_start[e]:
                load[d] += cost_s[e, kind[d]]
    for x in range(num):
        load[place[x]] += time_s[x, kind[place[x]]]
        used[place[x]] += size[x]
    least = load.max() if (used <= memory).all() else np.inf
    cooling = (cold / hot) ** (1.0 / max(1, moves))
    heat = hot
    for _ in range(moves):
        heat *= cooling
        x = np.random.randint(num)
        a = place[x]
        y = -1
        draw = np.random.random()
        if draw < 0.7 and edge_start[x + 1] > edge_start[x]:
            e = edges[edge_start[x] + np.random.randint(edge_start[x + 1] - edge_start[x])]
            near = pins[pin_start[e] + np.random.randint(pin_start[e + 1] - pin_start[e])]
            b = place[near]
        elif draw < 0.85:
            b = np.random.randint(devices)
        else:
            y = np.random.randint(num)
            b = place[y]
        if a == b or not np.isfinite(time_s[x, kind[b]]) or (y >= 0 and not np.isfinite(time_s[y, kind[a]])):
            continue
        old = _over(load[a], target, used[a], memory[a]) + _over(load[b], target, used[b], memory[b])
        da = _change(x, a, False, place, count, time_s, pin_start, cost_s, edges, edge_start, kind)
        db = _change(x, b, True, place, count, time_s, pin_start, cost_s, edges, edge_start, kind)
        ma, mb = used[a] - size[x], used[b] + size[x]
        _shift(x, b, place, count, edges, edge_start)
        if y >= 0:
            db += _change(y, b, False, place, count, time_s, pin_start, cost_s, edges, edge_start, kind)
            da += _change(y, a, True, place, count, time_s, pin_start, cost_s, edges, edge_start, kind)
            ma, mb = ma + size[y], mb - size[y]
            _shift(y, a, place, count, edges, edge_start)
        new = _over(load[a] + da, target, ma, memory[a]) + _over(load[b] + db, target, mb, memory[b])
        if new > old and np.random.random() >= np.exp((old - new) / heat):
            _shift(x, a, place, count, edges, edge_start)
            if y >= 0:
                _shift(y, b, place, count, edges, edge_start)
            continue
        load[a] += da
        load[b] += db
        used[a], used[b] = ma, mb
        if new < old or least > target:
            top = load.max()
            if top < least * (1 - 1e-9) and (used <= memory).all():
                least = top
                best[:] = place
                target = min(target, least * (1 - 1e-6))
    return least
