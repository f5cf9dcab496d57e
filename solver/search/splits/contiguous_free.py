"""Free groups of a contiguous split: where to put groups that the rule of contiguity says nothing about."""

from __future__ import annotations

import numpy as np

from solver.program import Ints, Longs
from solver.search.splits.atoms import Atoms
from solver.search.splits.host_graph import HostGraph

PASSES = 3


def host_free(graph: HostGraph, atoms: Atoms, device: Ints) -> Ints:
    """Return a split in which the free groups have a device too: greedily, then one by one again.

    Parameters
    ----------
    graph, atoms
        What is split.
    device
        (N,) device of every node; -1 for those of free groups.

    Notes
    -----
    A group goes where the largest load, and then the sum of all loads, is least; long groups first.
    Heuristic; O(PASSES num_free num_devices (num_nodes + num_edges)).
    """
    if not len(atoms.free):
        return device
    device = device.copy()
    members = [np.flatnonzero(graph.group == g) for g in atoms.free.tolist()]
    order = sorted(range(len(members)), key=lambda f: (-float(atoms.free_time_s[f].min()), f))
    for nodes in members:
        device[nodes] = _fastest(graph, nodes)
    for _ in range(PASSES):
        before = device.copy()
        for f in order:
            tried = []
            for d in range(len(graph.kind)):
                device[members[f]] = d
                loads = graph.loads(device)
                over = bool((graph.used_bytes(device) > graph.memory_bytes).any())
                tried.append((over, float(loads.max()), float(loads.sum()), d))
            device[members[f]] = min(tried)[3]
        if (before == device).all():
            break
    return device


def _fastest(graph: HostGraph, nodes: Longs) -> int:
    """Return a device on which some nodes take the least time."""
    return int(graph.time_s[nodes][:, graph.kind].sum(axis=0).argmin())
