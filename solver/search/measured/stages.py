"""Measured variants of all blocks as arrays, and the points in which stages of them are described."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.workload import Workload
from solver.program import Floats, Longs
from solver.search.measured.ideals import Mask

Bools = NDArray[np.bool_]

MOST_POINTS = 64
"""Partial choices of a stage that are listed; a stage with more is relaxed."""


class Front(NamedTuple):
    """Points of stages, by the ideal they end with, degree and work.

    Parameters
    ----------
    work_s, parameter_bytes
        (num_points,), work of a replica for one sample, and parameters.
    ideal, degree, in_flight
        (num_points,), number of the ideal the stage ends with, index of its degree, and the most
        micro-batches in flight.
    """

    work_s: Floats
    parameter_bytes: Floats
    ideal: Longs
    degree: Longs
    in_flight: Longs


def front_of(figures: Floats, places: Longs) -> Front:
    """Return points from columns (work, parameters) and (ideal, degree, micro-batches in flight)."""
    return Front(
        figures[:, 0].copy(),
        figures[:, 1].copy(),
        places[:, 0].copy(),
        places[:, 1].copy(),
        places[:, 2].copy(),
    )


class Measured(NamedTuple):
    """Measured variants of n blocks for T degrees, V at most of each, and E ends of edges.

    Parameters
    ----------
    degrees
        (T,), devices of a group.
    num_variants
        (n, T); 0 where a block was not measured on such groups.
    time_s, parameter_bytes, in_flight_bytes, fixed_bytes
        (n, T, V).
    first_end
        (n + 1,), where the ends of edges at a block begin.
    other, end_s
        (E,) the block at the other end; (E, T, V), seconds per sample if that is in another stage.
    memory_bytes
        What a device has.
    most_in_flight
        More micro-batches than this are in flight nowhere.
    most_points
        Partial choices of a stage that are listed.
    """

    degrees: Longs
    num_variants: Longs
    time_s: Floats
    parameter_bytes: Floats
    in_flight_bytes: Floats
    fixed_bytes: Floats
    first_end: Longs
    other: Longs
    end_s: Floats
    memory_bytes: float
    most_in_flight: int
    most_points: int


def measured(workload: Workload, rate: float, memory_bytes: float, most_in_flight: int) -> Measured:
    """Return the variants of a workload as arrays, blocks in topological order.

    Parameters
    ----------
    workload
        With measured variants.
    rate
        Bytes per second.
    memory_bytes
        What a device has.
    most_in_flight
        More micro-batches than this are in flight nowhere.
    """
    order = workload.order
    degrees = sorted({degree for block in workload.blocks for degree in block.variants})
    n, num_degrees = len(order), len(degrees)
    most = max((len(given) for block in workload.blocks for given in block.variants.values()), default=1)
    place = {name: i for i, name in enumerate(order)}
    ends = [
        (i, edge, other)
        for i, name in enumerate(order)
        for edge, other in (
            *((edge, edge.source) for edge in workload.predecessors[name]),
            *((edge, edge.target) for edge in workload.successors[name]),
        )
    ]
    figures = {
        word: np.zeros((n, num_degrees, most))
        for word in ("time_s", "parameter_bytes", "in_flight_bytes", "fixed_bytes")
    }
    num_variants = np.zeros((n, num_degrees), np.int64)
    end_s = np.zeros((len(ends), num_degrees, most))
    for t, degree in enumerate(degrees):
        for i, name in enumerate(order):
            given = workload.by_name[name].variants.get(degree, ())
            num_variants[i, t] = len(given)
            for v, variant in enumerate(given):
                for word, table in figures.items():
                    table[i, t, v] = getattr(variant, word)
        for e, (i, edge, other) in enumerate(ends):
            for v, variant in enumerate(workload.by_name[order[i]].variants.get(degree, ())):
                end_s[e, t, v] = 2 * (edge.measured_bytes + variant.sync_bytes.get(other, 0.0)) / rate
    return Measured(
        degrees=np.array(degrees, np.int64),
        num_variants=num_variants,
        **figures,
        first_end=np.searchsorted([i for i, _, _ in ends], np.arange(n + 1)).astype(np.int64),
        other=np.array([place[other] for _, _, other in ends], np.int64),
        end_s=end_s,
        memory_bytes=float(math.floor(memory_bytes)),
        most_in_flight=most_in_flight,
        most_points=MOST_POINTS,
    )


def membership(ideals: Sequence[Mask], num_blocks: int) -> Bools:
    """Return (num_ideals, num_blocks): whether an ideal has a block."""
    return np.array([[ideal >> i & 1 for i in range(num_blocks)] for ideal in ideals], np.bool_)
