"""Fronts of stages that are too long to be listed: choices that fit, and points no choice is below."""

from __future__ import annotations

from typing import Any

import numpy as np

from solver.program import Floats, Longs
from solver.schedule import compiled
from solver.search.measured.stage_knapsack import counts_in_flight, relax, upgrades
from solver.search.measured.stages import Bools, Front, Measured, front_of


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
        kinds: list[Bools] = []
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
        upper = front_of(all_figures[is_upper], all_places[is_upper])
        return upper, front_of(all_figures[~is_upper], all_places[~is_upper])

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
        fits = most_in_flight(all_slope, all_fixed, memory_bytes, far)
        if fits > reached:
            figures[num, 0], figures[num, 1], in_flight[num], is_upper[num] = work, parameters, fits, True
            reached = fits
            num += 1
    return figures[:num], in_flight[:num], is_upper[:num]


@compiled
def most_in_flight(slope: float, fixed: float, memory_bytes: float, most: int) -> Any:
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
