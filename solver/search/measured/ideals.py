"""Ideals of a DAG: sets of blocks that hold every predecessor of their members.

A stage in a sequence of stages whose edges go forward is the difference of two ideals, so dynamic programs
over sequences of stages have ideals as states.
"""

from __future__ import annotations

from models.workload import Workload

Mask = int
"""A set of blocks: bit i is the i-th block of ``workload.order``."""


def ideals(workload: Workload, most: int) -> tuple[Mask, ...] | None:
    """Return all ideals, from the empty set to the set of all blocks, smaller ones first.

    Parameters
    ----------
    workload
        The DAG.
    most
        How many there may be.

    Returns
    -------
    tuple of int, or None
        ``None`` if there are more than ``most``.
    """
    place = {name: i for i, name in enumerate(workload.order)}
    needs = [
        sum(1 << place[source] for source in {edge.source for edge in workload.predecessors[name]})
        for name in workload.order
    ]
    layer: set[Mask] = {0}
    found: list[Mask] = []
    while layer:
        found += sorted(layer)
        if len(found) > most:
            return None
        layer = {
            ideal | 1 << i
            for ideal in layer
            for i, need in enumerate(needs)
            if not ideal >> i & 1 and need & ~ideal == 0
        }
    return tuple(found)


def prefixes(workload: Workload) -> tuple[Mask, ...]:
    """Return the ideals that are prefixes of ``workload.order``: a chain of them, where all are too many."""
    return tuple((1 << i) - 1 for i in range(len(workload.order) + 1))
