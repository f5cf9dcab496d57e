"""Sample shares: Asteroid's Algorithm 1, who of a group computes how many samples of a micro-batch."""

from __future__ import annotations

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
    _in_proportion(members, caps, first, end, times, samples, shares)
    _offload(members, caps, first, end, times, shares)
    return True


@compiled
def stage_s(device: int, count: int, first: int, end: int, times: Floats) -> float:
    """Return forward and backward seconds of a number of samples."""
    forward = times[0, device, count, end] - times[0, device, count, first]
    return float(forward + times[1, device, count, end] - times[1, device, count, first])


@compiled
def _in_proportion(
    members: Longs, caps: Longs, first: int, end: int, times: Floats, samples: int, shares: Longs
) -> None:
    num, left = len(members), samples
    shares[:] = 0
    while True:
        total = 0.0
        for j in range(num):
            if shares[j] < caps[j]:
                total += 1 / max(stage_s(members[j], samples, first, end, times), 1e-30)
        full, given = False, left
        for j in range(num):
            if shares[j] < caps[j]:
                quota = given / max(stage_s(members[j], samples, first, end, times), 1e-30) / total
                if quota >= caps[j]:
                    shares[j], left, full = caps[j], left - caps[j], True
        if not full:
            break
        if left == 0:
            return
    given = left
    for j in range(num):
        if shares[j] < caps[j]:
            quota = given / max(stage_s(members[j], samples, first, end, times), 1e-30) / total
            shares[j] = min(left, int(quota + 1e-9))
            left -= shares[j]
    _remainders(members, caps, first, end, times, samples, given / total, left, shares)


@compiled
def _remainders(
    members: Longs,
    caps: Longs,
    first: int,
    end: int,
    times: Floats,
    samples: int,
    scale: float,
    left: int,
    shares: Longs,
) -> None:
    """Give each sample left to the device that lacks most of its quota."""
    while left > 0:
        chosen, most = -1, -1e300
        for j in range(len(members)):
            if shares[j] < caps[j]:
                lack = scale / max(stage_s(members[j], samples, first, end, times), 1e-30) - shares[j]
                if lack > most + 1e-9:
                    chosen, most = j, lack
        shares[chosen] += 1
        left -= 1


@compiled
def _offload(members: Longs, caps: Longs, first: int, end: int, times: Floats, shares: Longs) -> None:
    num = len(members)
    while True:
        slow, fast, slowest, fastest = -1, -1, -1.0, 1e300
        for j in range(num):
            seconds = stage_s(members[j], shares[j], first, end, times)
            if shares[j] > 0 and seconds > slowest:
                slow, slowest = j, seconds
            if shares[j] < caps[j] and seconds < fastest:
                fast, fastest = j, seconds
        if fast < 0 or fast == slow:
            return
        shares[slow] -= 1
        shares[fast] += 1
        after = 0.0
        for j in range(num):
            after = max(after, stage_s(members[j], shares[j], first, end, times))
        if after >= slowest:
            shares[slow] += 1
            shares[fast] -= 1
            return
