"""Fewest devices with which no stage's load is above a limit, under Piper's rule.

A dynamic program from the last stage to the first over (ideal, sum of d of the stages after it): the sum
decides how many micro-batches are in flight in the stages before. Of the states of an ideal only those count
that no other beats in the sum and in devices. Exact for the fronts it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from solver.program import Floats, Longs
from solver.schedule import compiled
from solver.search.measured.stages import Front

NEVER = 2**40


class Stages(NamedTuple):
    """All stages of a DAG, and what replicas may be.

    Parameters
    ----------
    first
        (num_ideals + 1,), where the points of the stages that begin after an ideal begin.
    work_s, parameter_bytes, ideal, degree, in_flight
        (num_points,), as in :class:`solver.search.measured.stages.Front`.
    degrees
        (T,), devices of a replica.
    counts
        Numbers of replicas that a stage may have, increasing.
    sync_s
        Seconds per sample and byte of parameters, for each of ``counts``.
    most_in_flight
        Most replicas of all stages together.
    """

    first: Longs
    work_s: Floats
    parameter_bytes: Floats
    ideal: Longs
    degree: Longs
    in_flight: Longs
    degrees: Longs
    counts: Longs
    sync_s: Floats
    most_in_flight: int


class Choice(NamedTuple):
    """A stage of a plan.

    Parameters
    ----------
    first, last
        Numbers of the ideals before it and with it.
    num_replicas, degree
        Its replicas, and the index of their degree.
    later
        Replicas of this and later stages.
    """

    first: int
    last: int
    num_replicas: int
    degree: int
    later: int

    @property
    def in_flight(self) -> int:
        """Micro-batches in flight."""
        return -(-self.later // self.num_replicas)


def join(fronts: Sequence[Front], degrees: Longs, counts: Longs, sync_s: Floats, most: int) -> Stages:
    """Return the fronts of all ideals as one.

    Parameters
    ----------
    fronts
        (num_ideals,), by the ideal the stages begin after; that of the last one is empty.
    degrees, counts, sync_s, most
        As in :class:`Stages`.
    """
    return Stages(
        first=np.cumsum([0, *(len(front.work_s) for front in fronts)]).astype(np.int64),
        work_s=np.concatenate([front.work_s for front in fronts]),
        parameter_bytes=np.concatenate([front.parameter_bytes for front in fronts]),
        ideal=np.concatenate([front.ideal for front in fronts]),
        degree=np.concatenate([front.degree for front in fronts]),
        in_flight=np.concatenate([front.in_flight for front in fronts]),
        degrees=degrees,
        counts=counts,
        sync_s=sync_s,
        most_in_flight=most,
    )


def fewest_devices(limit_s: float, num_devices: int, stages: Stages) -> tuple[int, list[Choice]] | None:
    """Return the fewest devices of a plan whose loads keep a limit, and its stages in order.

    Parameters
    ----------
    limit_s
        No load may be above it.
    num_devices
        What there is.
    stages
        All stages.

    Returns
    -------
    tuple, or None
        ``None`` if no plan keeps the limit.

    Notes
    -----
    O(pairs of ideals x options x states); an option is a (d, t) that no other beats in devices, d and the
    sum of d that its memory allows.
    """
    devices, back = _fewest_devices(limit_s, num_devices, tuple(stages))
    later = int(devices[0].argmin())
    if devices[0, later] > num_devices:
        return None
    found, ideal = int(devices[0, later]), 0
    plan = []
    last = len(devices) - 1
    while ideal != last:
        option = int(back[ideal, later])
        after, rest = divmod(option, len(stages.counts) * len(stages.degrees))
        d, degree = divmod(rest, len(stages.degrees))
        num_replicas = int(stages.counts[d])
        plan.append(Choice(ideal, after, num_replicas, degree, later))
        ideal, later = after, later - num_replicas
    return found, plan


@compiled
def _fewest_devices(limit_s: float, num_devices: int, stages: Any) -> Any:
    first, work_s, parameter_bytes, ideals, degree, in_flight, degrees, counts, sync_s, most = stages
    num_ideals = len(first) - 1
    devices = np.full((num_ideals, most + 1), NEVER)
    back = np.full((num_ideals, most + 1), -1, np.int64)
    states = np.empty((num_ideals, most + 1), np.int64)
    num_states = np.zeros(num_ideals, np.int64)
    devices[num_ideals - 1, 0], states[num_ideals - 1, 0], num_states[num_ideals - 1] = 0, 0, 1
    options = np.empty((len(degrees) * len(counts), 4), np.int64)
    for i in range(num_ideals - 2, -1, -1):
        k = first[i]
        while k < first[i + 1]:
            j = ideals[k]
            num_options = 0
            while k < first[i + 1] and ideals[k] == j:
                t, begin = degree[k], k
                while k < first[i + 1] and ideals[k] == j and degree[k] == t:
                    k += 1
                if num_states[j] > 0:
                    fewest = devices[j, states[j, num_states[j] - 1]]
                    for c in range(len(counts)):
                        d = counts[c]
                        if fewest + d * degrees[t] > num_devices:
                            break
                        fits = 0
                        for x in range(begin, k):
                            if work_s[x] / d > limit_s:
                                break
                            if work_s[x] / d + parameter_bytes[x] * sync_s[c] <= limit_s:
                                fits = max(fits, in_flight[x])
                        room = min(fits * d, most)
                        beaten = fits == 0
                        for o in range(num_options):
                            beaten = beaten or (
                                options[o, 0] <= d
                                and options[o, 1] <= d * degrees[t]
                                and options[o, 2] >= room
                            )
                        if not beaten:
                            options[num_options, 0], options[num_options, 1] = d, d * degrees[t]
                            options[num_options, 2] = room
                            options[num_options, 3] = (j * len(counts) + c) * len(degrees) + t
                            num_options += 1
                        if room == most:
                            break
            for o in range(num_options):
                for x in range(num_states[j]):
                    later = states[j, x] + options[o, 0]
                    if later > options[o, 2]:
                        break
                    total = devices[j, states[j, x]] + options[o, 1]
                    if total <= num_devices and total < devices[i, later]:
                        devices[i, later] = total
                        back[i, later] = options[o, 3]
        best = NEVER
        for later in range(most + 1):
            if devices[i, later] < best:
                best = devices[i, later]
                states[i, num_states[i]] = later
                num_states[i] += 1
    return devices, back
