"""Power completion: what the first blocks take at least before a stage, by the devices left for them.

Everything is a minimum over all chains of the first k blocks on some of a set of devices, each in some mode,
followed by a stage on a given device: taken apart for each quantity, so that any chain takes at least each.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from solver.program import Floats
from solver.schedule import compiled
from solver.search.power.costs import PowerCosts
from solver.search.step_limits import KEPT


class Completion(NamedTuple):
    """Least quantities by (set of devices that may be used, k, device of the next stage; D: none).

    Parameters
    ----------
    round_s
        (2^D, n, D + 1): passes, messages and gradients of one micro-batch, and the first stage's update.
    alone_s
        The same shape: the largest, over stages, of all its passes and what is before them.
    longest_s
        The same shape: the longest single pass or message.
    energy_j
        (2^D, n, D + 1, T): what stages and radios take above idle, and waiting beyond the base at times_s.
    other
        The same of the other account; T is 1 and all is 0 where nothing is counted there.
    times_s
        (T,), increasing from 0.
    """

    round_s: Floats
    alone_s: Floats
    longest_s: Floats
    energy_j: Floats
    other: Floats
    times_s: Floats


def complete(costs: PowerCosts, num_micro_batches: int, limit_s: float, times_s: Floats) -> Completion:
    """Return the tables.

    Parameters
    ----------
    costs
        Of stages and links.
    num_micro_batches
        Micro-batches of a step.
    limit_s
        Longest step that counts.
    times_s
        (T,), increasing from 0: step times at which energy is tabled.
    """
    num_devices = costs.link_s.shape[0] - 1
    shape = (1 << num_devices, costs.compute_s.shape[1], num_devices + 1)
    round_s, alone_s, longest_s = (np.full(shape, math.inf) for _ in range(3))
    energy_j = np.full((*shape, len(times_s)), math.inf)
    is_counted = costs.other.any() or costs.other_w.any() or costs.link_other.any()
    other = np.full((*shape, len(times_s)), math.inf) if is_counted else np.zeros((*shape, 1))
    found = Completion(round_s, alone_s, longest_s, energy_j, other, times_s)
    longest = np.minimum(limit_s, costs.most_s)
    possible = costs.fits.any(axis=0) & (num_micro_batches * costs.compute_s <= longest)
    _fill(costs, possible, num_micro_batches, found)
    return found


@compiled
def _fill(costs: PowerCosts, possible: Any, count: int, found: Completion) -> Any:
    num_devices, num = costs.link_s.shape[0] - 1, costs.compute_s.shape[1]
    energy, other = np.empty(len(found.times_s)), np.empty(found.other.shape[3])
    for mask in range(1, 1 << num_devices):
        for k in range(1, num):
            for d in range(num_devices):
                if not mask >> d & 1:
                    continue
                least = _last_stage(costs, possible, count, found, mask ^ (1 << d), k, d, energy, other)
                if least[0] == math.inf:
                    continue
                for head in range(num_devices + 1):
                    if (head < num_devices and mask >> head & 1) or costs.sent_down[d, head, k] > KEPT:
                        continue
                    _take(costs, found, (mask, k, head), d, least, energy, other)


@compiled
def _last_stage(
    costs: PowerCosts,
    possible: Any,
    count: int,
    found: Completion,
    rest: int,
    k: int,
    d: int,
    energy: Floats,
    other: Floats,
) -> Any:
    """Return least round, alone and longest seconds of chains that end in [j, k) on d; fill accounts."""
    round_s = alone_s = longest_s = math.inf
    energy[:], other[:] = math.inf, math.inf
    for v in range(len(costs.device)):
        if costs.device[v] != d:
            continue
        for j in range(k):
            if not possible[v, j, k] or (j > 0 and found.round_s[rest, j, d] == math.inf):
                continue
            passes = costs.compute_s[v, j, k]
            if j == 0:
                before, alone, longest = costs.update_s[v, j, k], 0.0, 0.0
            else:
                before, alone = found.round_s[rest, j, d], found.alone_s[rest, j, d]
                longest = found.longest_s[rest, j, d]
            round_s = min(round_s, before + passes)
            alone_s = min(alone_s, max(alone, before + count * passes))
            longest_s = min(longest_s, max(longest, costs.longest_s[v, j, k]))
            for t in range(len(energy)):
                joules = costs.stage_j[v, j, k] + costs.waiting_w[v] * found.times_s[t]
                if j > 0:
                    joules += found.energy_j[rest, j, d, t]
                energy[t] = min(energy[t], joules)
            for t in range(len(other)):
                part = costs.other[v, j, k] + costs.other_w[v] * found.times_s[t]
                if j > 0:
                    part += found.other[rest, j, d, t]
                other[t] = min(other[t], part)
    return round_s, alone_s, longest_s


@compiled
def _take(
    costs: PowerCosts, found: Completion, at: Any, d: int, least: Any, energy: Floats, other: Floats
) -> Any:
    """Lower what is tabled to that of chains whose last device is d."""
    mask, k, head = at
    round_s, alone_s, longest_s = least
    link = costs.link_s[d, head, k]
    found.round_s[mask, k, head] = min(found.round_s[mask, k, head], round_s + link)
    found.alone_s[mask, k, head] = min(found.alone_s[mask, k, head], alone_s)
    longest = max(longest_s, costs.link_longest_s[d, head, k])
    found.longest_s[mask, k, head] = min(found.longest_s[mask, k, head], longest)
    for t in range(len(energy)):
        joules = energy[t] + costs.link_j[d, head, k]
        found.energy_j[mask, k, head, t] = min(found.energy_j[mask, k, head, t], joules)
    for t in range(len(other)):
        part = other[t] + costs.link_other[d, head, k]
        found.other[mask, k, head, t] = min(found.other[mask, k, head, t], part)


@compiled
def least_at(times_s: Floats, least: Floats, step_s: float) -> Any:
    """Return the least that a completion counts in an account where a step takes so long at least.

    Parameters
    ----------
    times_s
        As of :class:`Completion`.
    least
        (T,) or (1,), at those times.
    step_s
        Seconds.

    Notes
    -----
    The least is a minimum of lines that do not fall: concave, so a chord lies below it.
    """
    last = len(least) - 1
    if step_s >= times_s[last]:
        return least[last]
    t = np.searchsorted(times_s[1:], step_s) + 1
    part = (step_s - times_s[t - 1]) / (times_s[t] - times_s[t - 1])
    return least[t - 1] + part * (least[t] - least[t - 1])
