"""Dynamic programming over subsets of devices, from the last stage to the first, compiled.

A state is the set of devices that hold the last blocks, and where these blocks begin; its number of devices
is the depth of its first stage, which the memory of a stage depends on. Sets are bit masks, visited in order
of their number, so that every part of a set comes before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solver.program import Floats, Ints
from solver.search.chains.chain import Bools

Words = NDArray[np.uint64]


def pack(allowed: Bools) -> Words:
    """Pack the first axis after depth: bit h of word h // 64 of ``[v, depth, i]`` says [h, i) is allowed.

    Parameters
    ----------
    allowed
        (D, depths, L + 1, L + 1), by device, depth, first block h, and end i.
    """
    ends = np.swapaxes(allowed, 2, 3)
    padded = np.zeros((*ends.shape[:3], 64 * (-(-ends.shape[3] // 64))), bool)
    padded[..., : ends.shape[3]] = ends
    words: Words = np.packbits(padded, axis=-1, bitorder="little").view(np.uint64)
    return words


@njit(cache=True)
def extend_reach(first: int, last: int, allowed: Words, reach: Words) -> int:
    """Find where the stages of a set of devices can begin, for the sets from ``first`` to ``last``.

    Parameters
    ----------
    first, last
        Range of masks; ``reach`` of the masks before is known.
    allowed
        See :func:`pack`.
    reach
        (2 ** D, words): bit i says that the blocks from i on can be held by the set; filled in.

    Returns
    -------
    int
        The first mask that reaches block 0; -1 if none does.
    """
    num_devices, num_depths, num_ends, num_words = allowed.shape
    one = np.uint64(1)
    for mask in range(first, last):
        depth = 0
        rest = mask
        while rest:
            rest &= rest - 1
            depth += 1
        if depth >= num_depths:
            continue
        for v in range(num_devices):
            if not mask >> v & 1:
                continue
            before = mask ^ (1 << v)
            for i in range(num_ends):
                if reach[before, i // 64] >> np.uint64(i % 64) & one:
                    for word in range(num_words):
                        reach[mask, word] |= allowed[v, depth, i, word]
        if reach[mask, 0] & one:
            return mask
    return -1


@njit(cache=True)
def extend_slack(
    first: int,
    last: int,
    allowed: Bools,
    cap: Floats,
    own: Floats,
    pay: Floats,
    slack: Floats,
    choice: Ints,
) -> None:
    """Find the most slack of every state, for the sets from ``first`` to ``last``.

    Parameters
    ----------
    first, last
        Range of masks; ``slack`` of the masks before is known.
    allowed
        (D, depths, L + 1, L + 1): whether a stage may stand at a depth.
    cap, own
        (D, L + 1, L + 1): slack that stage [h, i) leaves itself, and what it takes of the slack after it.
    pay
        (D, F, L + 1): what boundary i takes of it, between the device before and the front after it; F is 1
        where all links are alike.
    slack
        (2 ** D, F, L + 1): filled in; negative: cannot be reached.
    choice
        The same shape: device, front and boundary before, as ``(v * F + f) * (L + 1) + i``.
    """
    num_devices, num_depths, num_ends, _ = allowed.shape
    num_fronts = pay.shape[1]
    for mask in range(first, last):
        depth = 0
        rest = mask
        while rest:
            rest &= rest - 1
            depth += 1
        if depth >= num_depths:
            continue
        for v in range(num_devices):
            if not mask >> v & 1:
                continue
            before = mask ^ (1 << v)
            front = v if num_fronts > 1 else 0
            for f in range(num_fronts):
                for i in range(1, num_ends):
                    left = slack[before, f, i]
                    if left < 0:
                        continue
                    left -= pay[v, f, i]
                    for h in range(i - 1, -1, -1):
                        if not allowed[v, depth, h, i]:
                            continue
                        value = min(cap[v, h, i], left - own[v, h, i])
                        if value > slack[mask, front, h]:
                            slack[mask, front, h] = value
                            choice[mask, front, h] = (v * num_fronts + f) * num_ends + i


@njit(cache=True)
def extend_labels(
    mask: int,
    limit: float,
    overlap: bool,
    allowed: Bools,
    compute: Floats,
    message: Floats,
    gradients: Bools,
    media: Bools,
    heads: Ints,
    following: Ints,
    origin: Ints,
    state: Ints,
    pending: Floats,
    loads: Floats,
    count: int,
) -> Any:
    """Find the labels of one set of devices that no other label of the same state beats.

    Parameters
    ----------
    mask
        The set; those of all its parts are known.
    limit
        No lane may be busier than it, seconds.
    overlap
        Whether a device computes, sends and receives at once.
    allowed, compute, message, gradients, media
        See :class:`solver.search.chains.chain.ChainTables`; messages take as long one way as the other.
    heads
        (2 ** D * D * (L + 1),): first label of state (set, front, boundary); -1 for none.
    following, origin, state
        (capacity,): next label of the same state; label it was made from; its state.
    pending, loads
        (capacity,), (capacity, K): how busy the lane of the front is that its boundary will fill; how busy
        every shared medium is.
    count
        Labels made so far.

    Returns
    -------
    int
        Labels made; -1 if there is no room for them: give more and call again.
    """
    num_devices, num_depths, num_ends, _ = allowed.shape
    num_media = len(media)
    depth = 0
    rest = mask
    while rest:
        rest &= rest - 1
        depth += 1
    if depth >= num_depths:
        return count
    for v in range(num_devices):
        if not mask >> v & 1:
            continue
        before = mask ^ (1 << v)
        for f in range(num_devices):
            if (depth > 1 and not before >> f & 1) or (depth == 1 and f > 0):
                continue
            for i in range(1, num_ends):
                x = heads[(before * num_devices + f) * num_ends + i]
                while x >= 0:
                    forward = backward = 0.0
                    if depth > 1:
                        forward = message[v, f, i]
                        backward = message[f, v, i] if gradients[i] else 0.0
                    both = forward if overlap else forward + backward
                    fine = both <= limit and pending[x] + both <= limit
                    for k in range(num_media):
                        if depth > 1 and media[k, v, f] and loads[x, k] + forward + backward > limit:
                            fine = False
                    if fine:
                        for h in range(i - 1, -1, -1):
                            if not allowed[v, depth, h, i]:
                                continue
                            if count + 1 >= len(pending):
                                return -1
                            pending[count] = backward if overlap else compute[v, h, i] + both
                            if not overlap and pending[count] > limit:
                                continue
                            for k in range(num_media):
                                loads[count, k] = loads[x, k]
                                if depth > 1 and media[k, v, f]:
                                    loads[count, k] += forward + backward
                            place = (mask * num_devices + v) * num_ends + h
                            if _insert(place, count, heads, following, pending, loads):
                                origin[count], state[count] = x, place
                                count += 1
                    x = following[x]
    return count


@njit(cache=True)
def _insert(place: int, new: int, heads: Ints, following: Ints, pending: Floats, loads: Floats) -> bool:
    """Put a label into the list of its state unless another is as good; drop those it beats."""
    num_media = loads.shape[1]
    x = heads[place]
    last = -1
    while x >= 0:
        worse, better = pending[new] >= pending[x], pending[new] <= pending[x]
        for k in range(num_media):
            worse = worse and loads[new, k] >= loads[x, k]
            better = better and loads[new, k] <= loads[x, k]
        if worse:
            return False
        if better:
            if last < 0:
                heads[place] = following[x]
            else:
                following[last] = following[x]
        else:
            last = x
        x = following[x]
    following[new] = heads[place]
    heads[place] = new
    return True
