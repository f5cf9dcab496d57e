"""Stage fronts: the cheapest ways to run a stage under Piper's rule, by micro-batches that fit in flight.

A stage's variants are chosen block by block: a multiple-choice knapsack. What the choice decides about a
stage of t-device replicas is its work (time, and bytes that cross its edges, divided by d later), its
parameters and its memory A y + F for y micro-batches in flight. None of it depends on d, so for every
interval of ideals and every t one front of points (work, parameters, most micro-batches in flight) that no
other point beats serves all d and y.

Of a stage with more than MOST_POINTS partial choices that no other beats there are two fronts instead: one of
choices that fit, and one of relaxations no choice is below (:mod:`solver.search.measured.stage_knapsack`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from solver.program import Floats, Longs
from solver.schedule import compiled
from solver.search.measured.stage_knapsack import branch, upgrades
from solver.search.measured.stage_relaxation import Relaxation, most_in_flight
from solver.search.measured.stages import Bools, Front, Measured, front_of

WORK, PARAMETERS, SLOPE, FIXED, LOW, HIGH = range(6)
"""A partial choice: work (seconds) and parameters (bytes) so far; memory A y + F as slope A and fixed F, and
its value for one and for the most micro-batches that matter (-1: it fits whatever follows)."""


class Answer(NamedTuple):
    """Variants of a stage's blocks in their order, the load, and whether it is proven the least."""

    variants: list[int]
    load_s: float
    is_proven: bool


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
    exact = front_of(figures, places)
    if not len(too_long):
        return exact, exact
    upper, lower = relaxation.points(inside[first], inside, too_long)
    return _joined(exact, upper), _joined(exact, lower)


def _joined(one: Front, other: Front) -> Front:
    """Return the points of two fronts in order."""
    both = [np.concatenate(columns) for columns in zip(one, other, strict=True)]
    order = np.lexsort((both[4], both[0], both[3], both[2]))
    return Front(both[0][order], both[1][order], both[2][order], both[3][order], both[4][order])


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
    degrees, memory_bytes, far, most_points = data[0], data[9], data[10], data[11]
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
                fits = most_in_flight(point[SLOPE], point[FIXED], memory_bytes, far)
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
