"""Latency moves: annealing of splits by the time of one sample, compiled.

A move puts a group, or all groups of a short window of a topological order that are on one device, on another
device, mostly one of a neighbour. Splits that break memory or make calls wait for one another are refused.
Every move is costed from the start: O(num_nodes + num_edges). Heuristic; no bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from solver.program import Floats, Ints
from solver.schedule import compiled
from solver.search.splits.host_graph import HostGraph, _finish, _loads

WINDOW = 24
"""Most nodes of the order that move at once."""


def anneal_latency(
    host: HostGraph, split: Ints, order: Ints, moves: int, seed: int, hot: float, cold: float
) -> tuple[float, Ints]:
    """Return the least latency seen in one round of annealing, and its split.

    Parameters
    ----------
    host
        Arrays of the problem.
    split
        (N,) device of every node; feasible.
    order
        (N,) a topological order of the nodes.
    moves
        How many moves are tried.
    seed
        Makes the round repeatable.
    hot, cold
        First and last temperature, relative to the latency.
    """
    best = np.array(split, np.int32)
    members = np.argsort(host.group, kind="stable").astype(np.int32)
    starts = np.searchsorted(host.group[members], np.arange(int(host.group.max()) + 2)).astype(np.int32)
    value = _anneal(
        best, order, host.group, members, starts, host.time_s, host.copy_s,
        host.size_bytes.astype(np.float64), host.out_start, host.out, host.in_start, host.into, host.kind,
        host.memory_bytes.astype(np.float64),
        host.apart, moves, seed, hot, cold,
    )  # fmt: skip
    return float(value), best


@compiled
def _latency(
    split: Ints, unit: Ints, kinds: Ints, kind: Ints, apart: Any, time_s: Floats, copy_s: Floats,
    out_start: Ints, out: Ints,
) -> Any:  # fmt: skip
    """Return the latency of a split; infinite with a cycle. Fills in unit and kinds."""
    devices = len(kind)
    for v in range(len(split)):
        k = kind[split[v]]
        unit[v] = devices + v if apart[k] else split[v]
        kinds[devices + v] = k
    busy = _loads(unit, kinds, time_s, copy_s, out_start, out, len(kinds))
    return _finish(unit, busy, out_start, out)


@compiled
def _anneal(
    best: Ints, order: Ints, group: Ints, members: Ints, starts: Ints, time_s: Floats, copy_s: Floats,
    size: Floats, out_start: Ints, out: Ints, in_start: Ints, into: Ints, kind: Ints, memory: Floats,
    apart: Any, moves: int, seed: int, hot: float, cold: float,
) -> Any:  # fmt: skip
    np.random.seed(seed)
    num, devices = len(best), len(kind)
    split, trial = best.copy(), best.copy()
    unit, kinds = np.empty(num, np.int32), np.empty(devices + num, np.int32)
    kinds[:devices] = kind
    used = np.zeros(devices)
    for v in range(num):
        used[split[v]] += size[v]
    now = _latency(split, unit, kinds, kind, apart, time_s, copy_s, out_start, out)
    least = now
    heat, cooling = hot, (cold / hot) ** (1.0 / max(1, moves))
    for _ in range(moves):
        heat *= cooling
        at = np.random.randint(num)
        v = order[at]
        a = split[v]
        b = _target(v, split, out_start, out, in_start, into, devices)
        if a == b:
            continue
        span = 1 if np.random.random() < 0.5 else 1 + np.random.randint(WINDOW)
        step = 1 if np.random.random() < 0.5 else -1
        moved, allowed = 0.0, True
        for i in range(span):
            w = at + step * i
            if w < 0 or w >= num:
                break
            if trial[order[w]] == a:
                g = group[order[w]]
                for m in range(starts[g], starts[g + 1]):
                    x = members[m]
                    trial[x] = b
                    moved += size[x]
                    allowed = allowed and np.isfinite(time_s[x, kind[b]])
        taken = False
        if allowed and used[b] + moved <= memory[b]:
            new = _latency(trial, unit, kinds, kind, apart, time_s, copy_s, out_start, out)
            taken = new <= now or np.random.random() < np.exp((now - new) / (heat * least))
        if taken:
            now = new
            used[a] -= moved
            used[b] += moved
            split[:] = trial
            if now < least * (1 - 1e-12):
                least = now
                best[:] = split
        else:
            trial[:] = split
    return least


@compiled
def _target(v: int, split: Ints, out_start: Ints, out: Ints, in_start: Ints, into: Ints, devices: int) -> Any:
    """Draw a device: a successor's, a predecessor's, or any."""
    draw = np.random.random()
    outs, ins = out_start[v + 1] - out_start[v], in_start[v + 1] - in_start[v]
    if draw < 0.4 and outs > 0:
        return split[out[out_start[v] + np.random.randint(outs)]]
    if draw < 0.8 and ins > 0:
        return split[into[in_start[v] + np.random.randint(ins)]]
    return np.random.randint(devices)
