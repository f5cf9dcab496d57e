"""First splits: simple splits for exact methods to begin with."""

from __future__ import annotations

import math

import numpy as np

from solver.program import Ints
from solver.search.splits.host_graph import HostGraph
from solver.search.splits.latency_chain import chain_split, make_parts
from solver.search.splits.load_graph import load_graph
from solver.search.splits.load_search import greedy


def value_s(host: HostGraph, split: Ints) -> float:
    """Return what a problem minimises, of a split: its latency or its largest load, seconds.

    Parameters
    ----------
    host
        Arrays of the problem.
    split
        (N,) device of every node.
    """
    return host.latency(split) if host.problem.objective == "latency" else host.load(split)


def first_split(host: HostGraph, rng: np.random.Generator) -> Ints | None:
    """Return the best of a few feasible splits; ``None`` if none of them is.

    Parameters
    ----------
    host
        Arrays of the problem.
    rng
        Draws orders.

    Notes
    -----
    Everything on one device; one vertex after the other where the largest load stays least; runs of random
    topological orders.
    """
    splits = [np.full(len(host.names), d, np.int32) for d in range(len(host.kind))]
    graph = load_graph(host)
    splits.append(graph.split(greedy(graph, np.arange(graph.num_vertices, dtype=np.int32))))
    parts = make_parts(host)
    for _ in range(4):
        found = chain_split(host, parts, parts.order(rng))
        if found is not None:
            splits.append(found)
    best, least = None, math.inf
    for split in splits:
        if host.is_feasible(split) and value_s(host, split) < least:
            best, least = split, value_s(host, split)
    return best
