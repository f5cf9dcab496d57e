"""Latency chain: calls as runs of one topological order, by dynamic programming, compiled.

Nodes that must be together (groups, and what lies on cycles between groups) are a *part*. On one order of the
parts every device that is called once takes a run of parts, in the order of devices, and all other parts go
to the devices that stand for many. The value is the sum of everything, as if nothing ran beside anything
else: an upper bound on the split's latency, equal to it on a chain. Exact for its order and that value, in
O(num_parts (num_edges + num_parts num_devices)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np

from solver.program import Floats, Ints
from solver.schedule import compiled
from solver.search.splits.host_graph import HostGraph


@dataclass(frozen=True)
class Parts:
    """Nodes that must be together.

    Parameters
    ----------
    of
        (N,) part of every node.
    num
        How many.
    before, after
        Parts that must come before, or after, each.
    """

    of: Ints
    num: int
    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]

    def order(self, rng: np.random.Generator) -> Ints:
        """Return a random topological order in which parts come as late as those that need them allow.

        Parameters
        ----------
        rng
            Draws among those that could go next; from the end, depth first.
        """
        waiting = [len(after) for after in self.after]
        stack = [p for p in rng.permutation(self.num).tolist() if waiting[p] == 0]
        found = []
        while stack:
            p = stack.pop()
            found.append(p)
            new = []
            for q in self.before[p]:
                waiting[q] -= 1
                if waiting[q] == 0:
                    new.append(q)
            stack += [new[i] for i in rng.permutation(len(new)).tolist()]
        return np.array(found[::-1], np.int32)


def make_parts(host: HostGraph) -> Parts:
    """Return the parts of a problem.

    Parameters
    ----------
    host
        Arrays of the problem.
    """
    graph = nx.DiGraph()
    graph.add_nodes_from(range(int(host.group.max()) + 1))
    for v in range(len(host.group)):
        for w in host.out[host.out_start[v] : host.out_start[v + 1]].tolist():
            if host.group[v] != host.group[w]:
                graph.add_edge(int(host.group[v]), int(host.group[w]))
    joined = nx.condensation(graph)
    of = np.array([joined.graph["mapping"][g] for g in host.group.tolist()], np.int32)
    num = joined.number_of_nodes()
    before = tuple(tuple(sorted(joined.predecessors(p))) for p in range(num))
    after = tuple(tuple(sorted(joined.successors(p))) for p in range(num))
    return Parts(of, num, before, after)


def chain_split(host: HostGraph, parts: Parts, order: Ints) -> Ints | None:
    """Return the split into runs of an order with the least sum of times; ``None`` if nothing fits.

    Parameters
    ----------
    host
        Arrays of the problem.
    parts
        Nodes that must be together.
    order
        (num parts,) a topological order of them.
    """
    rank = np.empty(parts.num, np.int32)
    rank[order] = np.arange(parts.num)
    step = rank[parts.of]
    nodes = np.argsort(step, kind="stable").astype(np.int32)
    starts = np.searchsorted(step[nodes], np.arange(parts.num + 1)).astype(np.int32)
    size = np.bincount(step, host.size_bytes.astype(np.float64), parts.num)
    calls = np.flatnonzero(~host.apart[host.kind])
    many = np.flatnonzero(host.apart[host.kind])
    alone, where = np.full(parts.num, np.inf), np.full(parts.num, -1, np.int32)
    for d in many.tolist():
        total = np.bincount(step, host.time_s[:, host.kind[d]], parts.num)
        where[total < alone] = d
        alone = np.minimum(alone, total)
    kinds = np.unique(host.kind[calls])
    runs = np.empty((len(host.kind_names), parts.num + 1, parts.num + 1))
    for k in kinds.tolist():
        runs[k] = _runs(
            step, nodes, starts, host.time_s[:, k], host.copy_s[:, k],
            host.out_start, host.out, host.in_start, host.into,
        )  # fmt: skip
    memory = host.memory_bytes[calls].astype(np.float64)
    chosen = np.empty(parts.num, np.int32)
    value = _chain(runs, alone, where, size, host.kind[calls], memory, calls.astype(np.int32), chosen)
    return chosen[step].astype(np.int32) if np.isfinite(value) else None


@compiled
def _runs(
    step: Ints, nodes: Ints, starts: Ints, time_s: Floats, copy_s: Floats,
    out_start: Ints, out: Ints, in_start: Ints, into: Ints,
) -> Any:  # fmt: skip
    """Return [i, j]: seconds of one call of parts i to j - 1 of the order."""
    num = len(starts) - 1
    runs = np.full((num + 1, num + 1), np.inf)
    left, seen = np.zeros(len(step), np.int64), np.full(len(step), -1, np.int64)
    for i in range(num):
        total = 0.0
        for j in range(i, num):
            for at in range(starts[j], starts[j + 1]):
                v = nodes[at]
                total += time_s[v]
                left[v] = 0
                for e in range(out_start[v], out_start[v + 1]):
                    left[v] += step[out[e]] > j
                if left[v] > 0:
                    total += copy_s[v]
                for e in range(in_start[v], in_start[v + 1]):
                    u = into[e]
                    if step[u] < i:
                        if seen[u] != i:
                            seen[u] = i
                            total += copy_s[u]
                    elif step[u] < j:
                        left[u] -= 1
                        if left[u] == 0:
                            total -= copy_s[u]
            runs[i, j + 1] = total
            if not np.isfinite(total):
                break
    return runs


@compiled
def _chain(
    runs: Floats,
    alone: Floats,
    where: Ints,
    size: Floats,
    kind: Ints,
    memory: Floats,
    calls: Ints,
    chosen: Ints,
) -> Any:
    """Fill in the device of every part; return the sum."""
    num, devices = len(alone), len(calls)
    value = np.full((devices + 1, num + 1), np.inf)
    came = np.full((devices + 1, num + 1), -2, np.int64)  # -2: device not used; -1: one part beside
    value[0, 0] = 0.0
    for i in range(num):
        value[0, i + 1] = value[0, i] + alone[i]
        came[0, i + 1] = -1
    for a in range(devices):
        value[a + 1] = value[a]
        for i in range(num + 1):
            if i > 0 and value[a + 1, i - 1] + alone[i - 1] < value[a + 1, i]:
                value[a + 1, i] = value[a + 1, i - 1] + alone[i - 1]
                came[a + 1, i] = -1
            used = 0.0
            for j in range(i - 1, -1, -1):
                used += size[j]
                if used > memory[a]:
                    break
                now = value[a, j] + runs[kind[a], j, i]
                if now < value[a + 1, i]:
                    value[a + 1, i] = now
                    came[a + 1, i] = j
    best = value[devices, num]
    if not np.isfinite(best):
        return best
    a, i = devices, num
    while i > 0:
        j = came[a, i]
        if j == -2:
            a -= 1
        elif j == -1:
            i -= 1
            chosen[i] = where[i]
        else:
            a -= 1
            for p in range(j, i):
                chosen[p] = calls[a]
            i = j
    return best
