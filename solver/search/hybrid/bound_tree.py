"""Branch and bound over the last stages of hybrid pipelines, compiled.

Stages are placed from the last to the first: a group and an interval of blocks, depth first. A branch ends
when what is placed, with the least way through any first stages, takes as long as the cut-off:

- M times what a stage computes, with one way there and back through all before it;
- M messages over a boundary, on the lane of the sender, of the receiver, or on a medium, with the same;
- the way of one micro-batch through all that is placed, as often as the memory of the first stage placed asks
  for: a micro-batch waits there until one so many before it is back;
- the walk of the stages placed under their caps, with the way there and back.

A whole pipeline is walked with all lanes; if that is below the cut-off, it is a leaf: its shares are to be
looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from solver.program import Floats, Longs
from solver.schedule import compiled
from solver.search.hybrid.bound_walk import CROSSING, set_crossing, walk_passes, walk_step

DONE, OUT_OF_NODES, LEAVES_FULL = 0, 1, 2


class Branches:
    """Where a search stands: a branch of placed stages, and what is to be tried at each.

    Parameters
    ----------
    max_depth, num_devices, num_blocks, num_micro_batches, num_media
        Size of the problem.
    num_leaves
        Leaves there is room for.
    """

    def __init__(
        self,
        max_depth: int,
        num_devices: int,
        num_blocks: int,
        num_micro_batches: int,
        num_media: int,
        num_leaves: int = 1024,
    ) -> None:
        most = max_depth + 1
        full = (1 << num_devices) - 1
        # Of each number of stages placed: first block, devices used, group of the first, next group and
        # next block to try.
        self.state = np.zeros((most, 5), np.int64)
        self.state[0] = num_blocks, 0, 0, full, num_blocks - 1
        self.level = np.zeros(1, np.int64)
        self.values = np.zeros((most, 6 + num_media))
        self.crossings = np.zeros((2, most), CROSSING)
        self.room = (
            np.zeros((2, most)),
            np.zeros((2, most), CROSSING),
            np.zeros(most),
            np.zeros(most, np.int64),
            np.zeros((3, most)),
            np.zeros(num_media),
            np.zeros((most, 2 * num_micro_batches)),
            np.zeros((most, 2 * num_micro_batches)),
            np.zeros(most),
            np.zeros((2, most, num_micro_batches)),
        )
        # Of each leaf: number of stages, then first block and group of every stage, from the first on.
        self.leaves = np.zeros((num_leaves, 1 + 2 * most), np.int64)
        self.leaf_s = np.zeros(num_leaves)


@compiled
def grow(
    limit_s: float,
    budget: int,
    count: int,
    rule: Any,
    stages: Any,
    finish: Floats,
    link: Any,
    media_of: Longs,
    most_caps: Longs,
    has_backward: Any,
    pairs: Longs,
    ends: Floats,
    ways: Floats,
    all_orders: Any,
    state: Longs,
    at: Longs,
    values: Floats,
    crossings: Any,
    room: Any,
    leaves: Longs,
    leaf_s: Floats,
) -> Any:
    """Search on until all is covered, nodes run out, or there is no room for more leaves.

    Parameters
    ----------
    limit_s, budget
        Cut-off, and nodes at most.
    count
        Micro-batches M.
    rule
        Whether a device computes, sends and receives at once, and whether the caps are known.
    stages, finish, link, pairs, ends, ways
        See :func:`solver.search.hybrid.bound_heads.find_heads`.
    media_of
        (2 ** D, 2 ** D) bit sets of media.
    most_caps
        (2 ** D, L + 1, L + 1): most micro-batches in flight for which a stage fits.
    has_backward
        (L + 1,).
    all_orders
        See :func:`solver.search.hybrid.bound_walk.orders`.
    state, at, values, crossings, room, leaves, leaf_s
        Of :class:`Branches`.

    Returns
    -------
    tuple of int
        Why it stopped, nodes, and leaves.
    """
    kind_of = stages[5]
    full = len(media_of) - 1
    most = len(kind_of) - 1
    nodes = num_leaves = 0
    while at[0] >= 0:
        level = at[0]
        i, used, after, group, h = state[level]
        if group == 0:
            at[0] -= 1
            continue
        left = full ^ used ^ group
        if h == i - 1 and _is_hopeless(limit_s, level, i, after, group, left, link, pairs, ends, values):
            h = -1
        if h < 0:
            state[level, 3] = (group - 1) & (full ^ used)
            state[level, 4] = i - 1
            nodes += 1
            continue
        if nodes >= budget:
            return OUT_OF_NODES, nodes, num_leaves
        if num_leaves == len(leaf_s):
            return LEAVES_FULL, nodes, num_leaves
        state[level, 4] = h - 1
        if np.isinf(stages[2][kind_of[level + 1], group, h, i]):
            continue
        if h > 0 and (left == 0 or level + 1 == most):
            continue
        place = min(level, len(ends) - 1)
        passed = finish[group, 0, i] if h == 0 else ways[place, pairs[left] + 2 * pairs[group], h]
        if passed >= limit_s:
            continue
        nodes += 1
        state[level + 1] = h, used | group, group, left, h - 1
        if not _place(
            limit_s, passed, level, count, stages, link, media_of, most_caps, state, values, crossings
        ):
            continue
        if h > 0:
            if (
                level == 0
                or not rule[1]
                or _walk_last(
                    limit_s,
                    passed,
                    level + 1,
                    has_backward,
                    finish,
                    all_orders,
                    state,
                    values,
                    crossings,
                    room,
                )
            ):
                at[0] = level + 1
            continue
        seconds = values[level + 1, 0] + passed
        if rule[1]:
            seconds = _walk_all(
                level + 1, rule[0], has_backward, finish, all_orders, state, values, crossings, room
            )
        if seconds < limit_s:
            leaf_s[num_leaves] = seconds
            leaves[num_leaves, 0] = level + 1
            for s in range(level + 1):
                leaves[num_leaves, 1 + 2 * s] = state[level + 1 - s, 0]
                leaves[num_leaves, 2 + 2 * s] = state[level + 1 - s, 2]
            num_leaves += 1
    return DONE, nodes, num_leaves


@compiled
def _is_hopeless(
    limit_s: float,
    level: int,
    i: int,
    after: int,
    group: int,
    left: int,
    link: Any,
    pairs: Longs,
    ends: Floats,
    values: Floats,
) -> Any:
    """Whether no stage of a group that ends at a boundary can stand before what is placed."""
    passed = ends[min(level, len(ends) - 1), pairs[left] + 2 * pairs[group], i]
    if level > 0:
        rates, latencies, size_bytes, way_back = link
        spread = values[level, 4] / 2
        passed += latencies[group, after] + size_bytes[i] * spread / rates[group, after]
        if way_back[i] > 0:
            passed += latencies[after, group] + size_bytes[i] * spread / rates[after, group]
    return passed + values[level, 0] >= limit_s


@compiled
def _place(
    limit_s: float,
    passed: float,
    level: int,
    count: int,
    stages: Any,
    link: Any,
    media_of: Longs,
    most_caps: Longs,
    state: Longs,
    values: Floats,
    crossings: Any,
) -> Any:
    """Place a stage before the others; return whether what is placed can be below the cut-off.

    Values of a level: seconds from and to the way before; seconds of both passes; forward; backward; spread;
    the way of a micro-batch to the last stage and back; then seconds on every medium.
    """
    forward, backward, compute, _, spread, kind_of = stages
    rates, latencies, size_bytes, way_back = link
    kind, h, group = kind_of[level + 1], state[level + 1, 0], state[level + 1, 2]
    i, after = state[level, 0], state[level, 2]
    own = compute[kind, group, h, i]
    new, old = values[level + 1], values[level]
    new[1], new[2] = own, forward[kind, group, h, i]
    new[3], new[4] = backward[kind, group, h, i], spread[kind, group, h, i]
    new[0], new[5] = count * own, own
    for x in range(6, len(new)):
        new[x] = old[x]
    if level > 0:
        pieces = max(_size(group), _size(after))
        to, back = crossings[0, level], crossings[1, level]
        media = media_of[group, after]
        set_crossing(
            to, size_bytes[i], rates[group, after], latencies[group, after], media, new[4], old[4], pieces
        )
        way = to.way_s
        # M messages one way, with the way of one micro-batch there and back, on the busier of two lanes.
        lane = (count - 1) * max(to.send_s, to.recv_s)
        load = to.medium_s
        if way_back[i] > 0:
            set_crossing(
                back,
                size_bytes[i],
                rates[after, group],
                latencies[after, group],
                media_of[after, group],
                old[4],
                new[4],
                pieces,
            )
            way += back.way_s
            lane = max(lane, (count - 1) * max(back.send_s, back.recv_s))
            load += back.medium_s
        new[0] = max(new[0], own + way + max(old[0], lane + old[1]))
        new[5] += way + old[5]
        for x in range(6, len(new)):
            if media >> (x - 6) & 1:
                new[x] += count * load
                if new[x] >= limit_s:
                    return False
    if way_back[i] > 0 or level == 0:
        # A micro-batch waits until one so many before it is back.
        cap = min(count, most_caps[group, h, i])
        new[0] = max(new[0], -(-count // cap) * new[5])
    return passed + new[0] < limit_s


@compiled
def _size(group: int) -> Any:
    size = 0
    while group:
        group &= group - 1
        size += 1
    return size


@compiled
def _collect(
    num: int, has_backward: Any, finish: Floats, state: Longs, values: Floats, crossings: Any, room: Any
) -> Any:
    """Put the durations of what is placed in order, from the first stage on; return its frozen stages."""
    durations, ordered = room[0], room[1]
    frozen = 0
    for s in range(num):
        level = num - s
        durations[0, s], durations[1, s] = values[level, 2], values[level, 3]
        group = state[level, 2]
        room[2][s] = finish[group, state[level, 0], state[level - 1, 0]]
        room[3][s] = _size(group) > 1
        if not has_backward[state[level - 1, 0]]:
            frozen += 1
        if s < num - 1:
            ordered[0, s] = crossings[0, level - 1]
            ordered[1, s] = crossings[1, level - 1]
    return frozen


@compiled
def _walk_last(
    limit_s: float,
    passed: float,
    num: int,
    has_backward: Any,
    finish: Floats,
    all_orders: Any,
    state: Longs,
    values: Floats,
    crossings: Any,
    room: Any,
) -> Any:
    """Return whether the walk of the last stages, after and before the way to them, is below the cut-off."""
    frozen = _collect(num, has_backward, finish, state, values, crossings, room)
    first, last = all_orders[3][num, frozen]
    order = all_orders[2][first:last]
    seconds = walk_passes(order, num, room[0], room[1], room[8], room[9])
    if frozen > 0:
        # No gradient comes back over the first boundary: any stage may be the last to end.
        for s in range(num):
            seconds = max(seconds, room[8][s])
    return passed + seconds < limit_s


@compiled
def _walk_all(
    num: int,
    overlap: bool,
    has_backward: Any,
    finish: Floats,
    all_orders: Any,
    state: Longs,
    values: Floats,
    crossings: Any,
    room: Any,
) -> Any:
    frozen = _collect(num, has_backward, finish, state, values, crossings, room)
    first, last = all_orders[1][num, frozen]
    events = all_orders[0][first:last]
    return walk_step(
        events, num, room[0], room[1], room[2], room[3], overlap, room[4], room[5], room[6], room[7]
    )
