"""Ordered nodes: which nodes of a graph can be ordered so that groups are runs of that order."""

from __future__ import annotations

import numpy as np

from solver.search.splits.host_graph import Bools, HostGraph


def forward_like(host: HostGraph) -> Bools:
    """Return (N,) nodes among which groups depend on one another in one direction only.

    Parameters
    ----------
    host
        Arrays of a problem.

    Notes
    -----
    In topological order a node is left out if its predecessors' groups need its group, or if one of them was
    left out. Of a training graph whose layers are groups the forward nodes remain. O(num_edges num_groups).
    """
    num = int(host.group.max()) + 1
    above = [0] * num  # bit h: group h comes before this one
    kept = np.ones(len(host.group), np.bool_)
    for v, g in enumerate(host.group.tolist()):
        before = host.into[host.in_start[v] : host.in_start[v + 1]].tolist()
        groups = {int(host.group[u]) for u in before} - {g}
        if not all(kept[u] for u in before) or any(above[h] >> g & 1 for h in groups):
            kept[v] = False
            continue
        new = 0
        for h in groups:
            new |= above[h] | 1 << h
        if new & ~above[g]:
            for other in range(num):
                if other == g or above[other] >> g & 1:
                    above[other] |= new
    return kept
