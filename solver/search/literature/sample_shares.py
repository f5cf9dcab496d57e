"""Sample shares: Asteroid's Algorithm 1, who of a group computes how many samples of a micro-batch."""

from __future__ import annotations

import numpy as np

from solver.program import Floats, Longs
from solver.schedule import compiled


@compiled
def share_samples(
    members: Longs, caps: Longs, first: int, end: int, times: Floats, samples: int, shares: Longs
) -> bool:
    """Share the samples of a micro-batch out over a group for a stage.

    Parameters
    ----------
    members
        (G,), devices of the group.
    caps
        (G,), most samples that fit into the memory of each.
    first, end
        The stage's first block, and the one after its last.
    times
        (2, D, B + 1, L + 1), seconds of all blocks before one, see :class:`GroupTables`.
    samples
        B.
    shares
        (G,), filled in; a device may get none.

    Returns
    -------
    bool
        Whether there is room for all samples.

    Notes
    -----
    Asteroid (arXiv:2408.08015), Algorithm 1. (1) Samples go in proportion to the capacity 1 / time of a whole
    micro-batch (Eq. 9), each device up to its cap, the rest to those with headroom; whole samples by largest
    remainder, which the paper leaves open. (2) Samples move one by one from the slowest device to the fastest
    with headroom as long as that makes the slowest time shorter.
    """
    room = 0
    for j in range(len(members)):
        room += caps[j]
    if room < samples:
        return False
    whole = np.empty(len(members))
    for j in range(len(members)):
        whole[j] = max(stage_s(members[j], samples, first, end, times), 1e-30)
    _in_proportion(whole, caps, samples, shares)
    _offload(members, caps, first, end, times, shares)
    return True


@compiled
def stage_s(device: int, count: int, first: int, end: int, times: Floats) -> float:
    """Return forward and backward seconds of a number of samples."""
    forward = times[0, device, count, end] - times[0, device, count, first]
    return float(forward + times[1, device, count, end] - times[1, device, count, first])


@compiled
def _in_proportion(whole: Floats, caps: Longs, samples: int, shares: Longs) -> None:
    """Share samples in proportion to 1 / seconds of the whole micro-batch, up to the caps."""
    num, left = len(whole), samples
    shares[:] = 0
    while True:
        total, full, given = 0.0, False, left
        for j in range(num):
            if shares[j] < caps[j]:
                total += 1 / whole[j]
        for j in range(num):
            if shares[j] < caps[j] and given / whole[j] / total >= caps[j]:
                shares[j], left, full = caps[j], left - caps[j], True
        if left == 0:
            return
        if not full:
            break
    given = left
    for j in range(num):
        if shares[j] < caps[j]:
            shares[j] = min(left, int(given / whole[j] / total + 1e-9))
            left -= shares[j]
    while left > 0:
        chosen, most = -1, -1e300
        for j in range(num):
            lack = given / total / whole[j] - shares[j]
            if shares[j] < caps[j] and lack > most + 1e-9:
                chosen, most = j, lack
        shares[chosen] += 1
        left -= 1


@compiled
def _offload(members: Longs, caps: Longs, first: int, end: int, times: Floats, shares: Longs) -> None:
    """Move samples from the slowest device to the fastest with headroom while that helps."""
    num = len(members)
    seconds = np.empty(num)
    for j in range(num):
        seconds[j] = stage_s(members[j], shares[j], first, end, times)
    while True:
        slow, fast = -1, -1
        for j in range(num):
            if shares[j] > 0 and (slow < 0 or seconds[j] > seconds[slow]):
                slow = j
            if shares[j] < caps[j] and (fast < 0 or seconds[j] < seconds[fast]):
                fast = j
        if fast < 0 or fast == slow:
            return
        slowest = seconds[slow]
        if stage_s(members[fast], shares[fast] + 1, first, end, times) >= slowest:
            return
        if stage_s(members[slow], shares[slow] - 1, first, end, times) >= slowest:
            return
        for j in range(num):
            if j != slow and j != fast and seconds[j] >= slowest:
                return
        shares[slow] -= 1
        shares[fast] += 1
        for j in (slow, fast):
            seconds[j] = stage_s(members[j], shares[j], first, end, times)
