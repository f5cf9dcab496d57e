"""Favourite children: the linear programme of the Small Communication Times method, built and read back.

Source: Hanen and Munier, "An approximation algorithm for scheduling dependent tasks on m processors with
small communication delays", ETFA 1995; used for placing neural nets by Jeon et al., "Baechi: fast device
placement of machine learning graphs", SoCC 2020 (section 3.1.3), which rounds at 0.1.
"""

from __future__ import annotations

import numpy as np

from solver.search.literature.block_tables import BlockTables

THRESHOLD = 0.1
"""A reader whose edge pays less than this part of its message is a favourite."""


def favourite_children(tables: BlockTables) -> dict[int, int]:
    """Return which reader should follow a block on its device.

    Parameters
    ----------
    tables
        Costs of blocks; times and messages are means over devices and pairs of devices.

    Returns
    -------
    dict
        Block to its favourite child; every block is the favourite of one at most.

    Notes
    -----
    min w subject to s_i + p_i + c_ij x_ij <= s_j on every edge, s_i + p_i <= w, and at most one reader of a
    block and one source of a block with x_ij = 0; x from 0 to 1.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    num, edges = len(tables.place), tables.edges
    if not edges:
        return {}
    times = np.ma.masked_invalid(tables.compute_s).mean(axis=0).filled(0.0)
    pairs = max(1, len(tables.devices) * (len(tables.devices) - 1))
    delays = [float(tables.message_s(size, n).sum()) / pairs for _, _, size, n in edges]
    scale = max(float(times.sum()), 1e-300)
    entries: list[tuple[int, int, float]] = []
    limits: list[float] = []
    for e, (i, j, _, _) in enumerate(edges):
        entries += [(e, i, 1.0), (e, j, -1.0), (e, num + 1 + e, delays[e] / scale)]
        limits.append(-float(times[i]) / scale)
    for i in range(num):
        entries += [(len(limits), i, 1.0), (len(limits), num, -1.0)]
        limits.append(-float(times[i]) / scale)
    for end in (0, 1):
        for i in range(num):
            mine = [e for e, edge in enumerate(edges) if edge[end] == i]
            entries += [(len(limits), num + 1 + e, -1.0) for e in mine]
            limits.append(1.0 - len(mine))
    rows, columns, values = zip(*entries, strict=True)
    matrix = coo_array((values, (rows, columns)), shape=(len(limits), num + 1 + len(edges)))
    goal = np.zeros(num + 1 + len(edges))
    goal[num] = 1.0
    bounds = [(0, None)] * (num + 1) + [(0, 1)] * len(edges)
    answer = linprog(goal, A_ub=matrix.tocsr(), b_ub=limits, bounds=bounds, method="highs")
    if answer.x is None:
        return {}
    pays = answer.x[num + 1 :]
    return {edges[e][0]: edges[e][1] for e in np.flatnonzero(pays < THRESHOLD).tolist()}
