"""Stage fronts: the cheapest ways to run a stage under Piper's rule, by micro-batches that fit in flight.

A stage's variants are chosen block by block: a multiple-choice knapsack. What the choice decides about a
stage of t-device replicas is its work (time, and bytes that cross its edges, divided by d later), its
parameters and its memory A y + F for y micro-batches in flight. None of it depends on d, so for every
interval of ideals and every t one front of points (work, parameters, most micro-batches in flight) that no
other point beats serves all d and y.

Of a stage with more than MOST_POINTS partial choices that no other beats there are two fronts instead: one of
choices that fit, and one of relaxations no choice is below (:mod:`solver.search.stage_knapsack`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.workload import Workload
from solver.program import Floats, Longs
from solver.schedule import compiled
from solver.search.ideals import Mask
from solver.search.stage_knapsack import branch, counts_in_flight, relax, upgrades

Bools = NDArray[np.bool_]

MOST_POINTS = 128
"""Partial choices of a stage that are listed; a stage with more is relaxed."""

WORK, PARAMETERS, SLOPE, FIXED, LOW, HIGH = range(6)
"""A partial choice: work (seconds) and parameters (bytes) so far; memory A y + F as slope A and fixed F, and
its value for one and for the most micro-batches that matter (-1: it fits whatever follows)."""


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


class Answer(NamedTuple):
    """Variants of a stage's blocks in their order, the load, and whether it is proven the least."""

    variants: list[int]
    load_s: float
    is_proven: bool


def membership(ideals: Sequence[Mask], num_blocks: int) -> Bools:
    """Return (num_ideals, num_blocks): whether an ideal has a block."""
    return np.array([[ideal >> i & 1 for i in range(num_blocks)] for ideal in ideals], np.bool_)


def fronts_from(first: int, inside: Bools, data: Measured, relaxation: Relaxation) -> tuple[Front, Front]:
    """Return the fronts of all stages that begin after an ideal: of what is possible, and of what is not.

    Parameters
    ----------
    first
        Number of the ideal.
    inside
        (num_ideals, num_blocks), as :func:`membership` gives it, smaller ideals first.
    data
        The measured variants.
    relaxation
        For stages that are too long to be listed.

    Returns
    -------
    tuple of Front
        Choices that fit, and points no choice is below; the same object where both are the same.
    """
    figures, places, too_long = _fronts_from(first, inside, tuple(data), *_scratch(inside.shape[1], data))
    exact = _front(figures, places)
    if not len(too_long):
        return exact, exact
    upper, lower = relaxation.points(inside[first], inside, too_long)
    return _joined(exact, upper), _joined(exact, lower)


def _front(figures: Floats, places: Longs) -> Front:
    return Front(
        figures[:, 0].copy(),
        figures[:, 1].copy(),
        places[:, 0].copy(),
        places[:, 1].copy(),
        places[:, 2].copy(),
    )


def _joined(one: Front, other: Front) -> Front:
    """Return the points of two fronts in order."""
    both = [np.concatenate(columns) for columns in zip(one, other, strict=True)]
    order = np.lexsort((both[4], both[0], both[3], both[2]))
    return Front(both[0][order], both[1][order], both[2][order], both[3][order], both[4][order])


class Relaxation:
    """Fronts of stages that are too long to be listed, and their exact answers one by one.

    Parameters
    ----------
    data
        The measured variants.
    """

    def __init__(self, data: Measured) -> None:
        self.data = data
        self.counts = counts_in_flight(data.most_in_flight)
        self._upgrades: dict[int, tuple[Any, ...]] = {}

    def points(self, before: Bools, inside: Bools, stages: Longs) -> tuple[Front, Front]:
        """Return what is possible and what is not, for (ideal, degree) of the stages after some blocks."""
        figures: list[Floats] = []
        places: list[Longs] = []
        kinds: list[NDArray[np.bool_]] = []
        data = tuple(self.data)
        for t in np.unique(stages[:, 1]).tolist():
            for ideal in stages[stages[:, 1] == t, 0].tolist():
                found = _relaxed(inside[ideal] & ~before, t, data, self.counts, *self._packed(t))
                figures.append(found[0])
                places.append(
                    np.column_stack((np.full(len(found[1]), ideal), np.full(len(found[1]), t), found[1]))
                )
                kinds.append(found[2])
        all_figures, all_places = np.concatenate(figures), np.concatenate(places)
        is_upper = np.concatenate(kinds)
        upper = _front(all_figures[is_upper], all_places[is_upper])
        return upper, _front(all_figures[~is_upper], all_places[~is_upper])

    def _packed(self, t: int) -> tuple[Any, ...]:
        """Return the upgrades of a degree for all counts, one after another."""
        if t not in self._upgrades:
            data = self.data
            made = [
                upgrades(
                    data.num_variants[:, t],
                    data.time_s[:, t],
                    data.in_flight_bytes[:, t] * count + data.fixed_bytes[:, t],
                )
                for count in self.counts.tolist()
            ]
            ends = np.cumsum([0, *(len(one.block) for one in made)]).astype(np.int64)
            columns = tuple(np.concatenate([one[c] for one in made]) for c in range(5))
            self._upgrades[t] = (ends, columns, np.array([one.first for one in made]))
        return self._upgrades[t]


def _scratch(num_blocks: int, data: Measured) -> tuple[Floats, Longs]:
    """Return room for the choices after every block: their figures; the choice they extend, and by which."""
    most = data.most_points * data.time_s.shape[2]
    return np.zeros((num_blocks + 1, most, 6)), np.zeros((num_blocks + 1, most, 2), np.int64)


def choose(
    members: Bools, degree: int, num_replicas: int, in_flight: int, sync_s: float, data: Measured
) -> Answer:
    """Return the variants of a stage's blocks with the least load.

    Parameters
    ----------
    members
        (num_blocks,), the stage.
    degree
        Index of its degree.
    num_replicas, in_flight
        Its d and y.
    sync_s
        Seconds per sample and byte of parameters.
    data
        The measured variants.
    """
    scratch, back = _scratch(len(members), data)
    blocks = np.flatnonzero(members).astype(np.int64)
    count = _extend_all(blocks, members, degree, tuple(data), scratch, back)
    if count > data.most_points:
        return _branch(blocks, members, degree, num_replicas, in_flight, sync_s, data)
    points = scratch[len(blocks), :count]
    load = points[:, WORK] / num_replicas + points[:, PARAMETERS] * sync_s
    load[points[:, SLOPE] * in_flight + points[:, FIXED] > data.memory_bytes] = math.inf
    if not np.isfinite(load).any():
        raise ValueError(f"no variants fit with {in_flight} micro-batches in flight")
    best = int(load.argmin())
    least = float(load[best])
    chosen: list[int] = []
    for level in range(len(blocks), 0, -1):
        chosen.append(int(back[level, best, 1]))
        best = int(back[level, best, 0])
    return Answer(chosen[::-1], least, True)


def _branch(
    blocks: Longs,
    members: Bools,
    degree: int,
    num_replicas: int,
    in_flight: int,
    sync_s: float,
    data: Measured,
) -> Answer:
    """Choose the variants of a stage that is too long to be listed."""
    num_variants = data.num_variants[blocks, degree]
    load_s = np.array(
        [[_work_s(b, v, members, degree, data) for v in range(data.time_s.shape[2])] for b in blocks.tolist()]
    )
    load_s = load_s / num_replicas + data.parameter_bytes[blocks, degree] * sync_s
    memory = data.in_flight_bytes[blocks, degree] * in_flight + data.fixed_bytes[blocks, degree]
    made = upgrades(num_variants, load_s, memory)
    chosen, least, proven = branch(
        num_variants, load_s, memory, data.memory_bytes, made.first, tuple(made[:5])
    )
    return Answer(chosen.tolist(), float(least), bool(proven))


def _work_s(b: int, v: int, members: Bools, t: int, data: Measured) -> float:
    """Return the work of a block in a variant: its time, and what crosses the edges of its stage."""
    ends = range(int(data.first_end[b]), int(data.first_end[b + 1]))
    crossing = sum(float(data.end_s[e, t, v]) for e in ends if not members[data.other[e]])
    return float(data.time_s[b, t, v]) + crossing


@compiled
def _fronts_from(first: int, inside: Any, data: Any, scratch: Any, back: Any) -> Any:
    degrees, memory_bytes, most_in_flight, most_points = data[0], data[9], data[10], data[11]
    num_ideals, num_blocks = inside.shape
    figures, places = np.empty((64, 2)), np.empty((64, 3), np.int64)
    too_long = np.empty((num_ideals * len(degrees), 2), np.int64)
    num, num_long = 0, 0
    blocks = np.empty(num_blocks, np.int64)
    members = np.empty(num_blocks, np.bool_)
    for last in range(first + 1, num_ideals):
        size, is_stage = 0, True
        for b in range(num_blocks):
            members[b] = inside[last, b] and not inside[first, b]
            is_stage = is_stage and (inside[last, b] or not inside[first, b])
            if members[b]:
                blocks[size] = b
                size += 1
        if not is_stage:
            continue
        for t in range(len(degrees)):
            count = _extend_all(blocks[:size], members, t, data, scratch, back)
            if count > most_points:
                too_long[num_long, 0], too_long[num_long, 1] = last, t
                num_long += 1
                continue
            begin = num
            for i in range(count):
                point = scratch[size, i]
                fits = _most_in_flight(point[SLOPE], point[FIXED], memory_bytes, most_in_flight)
                beaten = fits < 1
                for j in range(begin, num):
                    beaten = beaten or (figures[j, 1] <= point[PARAMETERS] and places[j, 2] >= fits)
                if beaten:
                    continue
                if num == len(figures):
                    figures = np.concatenate((figures, np.empty_like(figures)))
                    places = np.concatenate((places, np.empty_like(places)))
                figures[num, 0], figures[num, 1] = point[WORK], point[PARAMETERS]
                places[num, 0], places[num, 1], places[num, 2] = last, t, fits
                num += 1
    return figures[:num], places[:num], too_long[:num_long]


@compiled
def _most_in_flight(slope: float, fixed: float, memory_bytes: float, most: int) -> Any:
    """Return the most micro-batches in flight that fit, at most ``most``; 0 if not one does."""
    if slope * most + fixed <= memory_bytes:
        return most
    if slope + fixed > memory_bytes:
        return 0
    found = int((memory_bytes - fixed) / slope)
    while slope * found + fixed > memory_bytes:
        found -= 1
    while slope * (found + 1) + fixed <= memory_bytes:
        found += 1
    return found


@compiled
def _extend_all(blocks: Any, members: Any, t: int, data: Any, scratch: Any, back: Any) -> Any:
    """Choose variants block by block; return how many whole choices there are, or too many."""
    num_variants, slope, fixed, memory_bytes, far = data[1], data[4], data[5], data[9], data[10]
    most_points = data[11]
    size = len(blocks)
    # What the blocks from one on take: at the least for one micro-batch, at the most for as many as matter.
    least, most = np.zeros(size + 1), np.zeros(size + 1)
    for i in range(size - 1, -1, -1):
        b = blocks[i]
        if num_variants[b, t] == 0:
            return 0
        low, high = np.inf, 0.0
        for v in range(num_variants[b, t]):
            low = min(low, slope[b, t, v] + fixed[b, t, v])
            high = max(high, slope[b, t, v] * far + fixed[b, t, v])
        least[i], most[i] = least[i + 1] + low, most[i + 1] + high
    if least[0] > memory_bytes:
        return 0
    for c in range(6):
        scratch[0, 0, c] = 0.0
    count = 1
    for i in range(size):
        room = (memory_bytes - least[i + 1], memory_bytes - most[i + 1])
        count = _extend(blocks[i], members, t, count, room, data, scratch[i], scratch[i + 1], back[i + 1])
        if count > most_points:
            break
    return count


@compiled
def _extend(
    b: int, members: Any, t: int, count: int, room: Any, data: Any, old: Any, new: Any, back: Any
) -> Any:
    """Write the choices for one more block that no other beats, by work; return how many."""
    _, num_variants, time_s, parameter_bytes, slope, fixed, first_end, other, end_s, _, far, _ = data
    num = num_variants[b, t]
    work_s, head = np.empty(num), np.zeros(num, np.int64)
    for v in range(num):
        work_s[v] = time_s[b, t, v]
        for e in range(first_end[b], first_end[b + 1]):
            if not members[other[e]]:
                work_s[v] += end_s[e, t, v]
    kept = 0
    for _ in range(count * num):
        best, v = np.inf, -1
        for u in range(num):
            if head[u] < count and old[head[u], WORK] + work_s[u] < best:
                best, v = old[head[u], WORK] + work_s[u], u
        k = head[v]
        head[v] += 1
        parameters = old[k, PARAMETERS] + parameter_bytes[b, t, v]
        a, f = old[k, SLOPE] + slope[b, t, v], old[k, FIXED] + fixed[b, t, v]
        low, high = a + f, a * far + f
        if high <= room[1]:
            low, high = -1.0, -1.0  # it fits whatever follows
        beaten = low > room[0]
        for j in range(kept - 1, -1, -1):
            if beaten:
                break
            beaten = new[j, PARAMETERS] <= parameters and new[j, LOW] <= low and new[j, HIGH] <= high
        if not beaten:
            new[kept, WORK], new[kept, PARAMETERS], new[kept, SLOPE], new[kept, FIXED] = (
                best,
                parameters,
                a,
                f,
            )
            new[kept, LOW], new[kept, HIGH] = low, high
            back[kept, 0], back[kept, 1] = k, v
            kept += 1
    return kept


@compiled
def _relaxed(
    members: Any, t: int, data: Any, counts: Longs, ends: Longs, upgrades: Any, firsts: Longs
) -> Any:
    """Return points of a long stage: work and parameters, micro-batches in flight, whether it is a choice."""
    _, num_variants, time_s, parameter_bytes, slope, fixed, first_end, other, end_s, memory_bytes, far, _ = (
        data
    )
    num_blocks, most_variants = len(members), time_s.shape[2]
    figures, in_flight = np.empty((2 * len(counts), 2)), np.empty(2 * len(counts), np.int64)
    is_upper = np.zeros(2 * len(counts), np.bool_)
    crossing = np.zeros((num_blocks, most_variants))
    least_crossing, least_parameters = 0.0, 0.0
    for b in range(num_blocks):
        if not members[b]:
            continue
        fewest, least = np.inf, np.inf
        for v in range(num_variants[b, t]):
            for e in range(first_end[b], first_end[b + 1]):
                if not members[other[e]]:
                    crossing[b, v] += end_s[e, t, v]
            least = min(least, crossing[b, v])
            fewest = min(fewest, parameter_bytes[b, t, v])
        least_crossing += least
        least_parameters += fewest
    chosen = np.zeros(num_blocks, np.int64)
    memory = np.zeros((num_blocks, most_variants))
    num = 0
    reached = 0
    for g in range(len(counts)):
        for b in range(num_blocks):
            for v in range(num_variants[b, t]):
                memory[b, v] = slope[b, t, v] * counts[g] + fixed[b, t, v]
        a, z = ends[g], ends[g + 1]
        these = (upgrades[0][a:z], upgrades[1][a:z], upgrades[2][a:z], upgrades[3][a:z], upgrades[4][a:z])
        below, _ = relax(members, firsts[g], time_s[:, t], memory, memory_bytes, these, chosen)
        if below == np.inf:
            break
        figures[num, 0], figures[num, 1] = below + least_crossing, least_parameters
        in_flight[num] = counts[g + 1] - 1 if g + 1 < len(counts) else far
        num += 1
        work, parameters, all_slope, all_fixed = 0.0, 0.0, 0.0, 0.0
        for b in range(num_blocks):
            if members[b]:
                v = chosen[b]
                work += time_s[b, t, v] + crossing[b, v]
                parameters += parameter_bytes[b, t, v]
                all_slope += slope[b, t, v]
                all_fixed += fixed[b, t, v]
        fits = _most_in_flight(all_slope, all_fixed, memory_bytes, far)
        if fits > reached:
            figures[num, 0], figures[num, 1], in_flight[num], is_upper[num] = work, parameters, fits, True
            reached = fits
            num += 1
    return figures[:num], in_flight[:num], is_upper[:num]
