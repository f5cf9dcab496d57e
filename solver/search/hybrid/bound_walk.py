"""Walks of pipelines at mean durations: what a step of groups takes at least, compiled.

The walk of :mod:`solver.batch_walk` for one device a stage; where a stage is a group, the device is the one
that a sample passes, and every duration a lower bound of its mean over the samples (see
:mod:`solver.search.hybrid.bound_tables`). Plans of single devices are walked exactly.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solver.batch_order import Shape, order_of
from solver.program import Floats, Longs
from solver.schedule import StageNode, compiled, list_schedule
from solver.search.hybrid.bound_tables import HybridTables

CROSSING = np.dtype(
    [
        *((name, np.float64) for name in ("way_s", "send_s", "recv_s", "medium_s")),
        ("media", np.int64),
    ]
)
"""What leaves for the next stage or the one before: from the end of its pass to its arrival; how long it
occupies the lanes of sender and receiver, and every medium of a bit set."""


def caps_of(tables: HybridTables, num_stages: int, num_frozen: int) -> tuple[int, ...]:
    """Return (num_stages,) most micro-batches in flight under the rule of the schedule.

    Parameters
    ----------
    tables, num_stages
        What is decided, and how many stages.
    num_frozen
        First stages without a backward pass.
    """
    count = tables.num_micro_batches
    if tables.problem.schedule == "gpipe":
        return (count,) * num_stages
    rule = (min(2 * (num_stages - s) - 1, count) for s in range(num_stages))
    return tuple(count if s < num_frozen else cap for s, cap in enumerate(rule))


@lru_cache(maxsize=1024)
def pass_order(count: int, caps: tuple[int, ...], num_frozen: int) -> Longs:
    """Return (num_passes, 3): stage, micro-batch and direction of passes, each after those it waits for.

    Parameters
    ----------
    count
        Micro-batches.
    caps, num_frozen
        See :func:`caps_of`.
    """
    num = len(caps)
    nodes = [
        StageNode(
            class_of=np.zeros(count, np.int32),
            lanes=[[s]],
            cap=caps[s],
            has_backward=s >= num_frozen,
            depth=num - s,
            preds=[(s - 1, 1)] if s > 0 else [],
            succs=[(s + 1, 1)] if num_frozen <= s < num - 1 else [],
        )
        for s in range(num)
    ]
    found = list_schedule(nodes)
    return np.column_stack([found["stage"], found["micro_batch"], found["direction"]]).astype(np.int64)


def orders(tables: HybridTables) -> tuple[NDArray[Any], Longs, Longs, Longs]:
    """Return all orders: events and where they begin, passes and where they begin.

    Parameters
    ----------
    tables
        What is decided.

    Returns
    -------
    tuple
        Events of :data:`solver.batch_order.EVENT`; (S + 1, S + 1, 2) first and last of a number of stages,
        the first so many of which have no backward pass; the same of passes.
    """
    most = tables.max_depth
    events, passes = [], []
    event_place, pass_place = np.zeros((2, most + 1, most + 1, 2), np.int64)
    at = [0, 0]
    count, prefetch = tables.num_micro_batches, tables.problem.settings.prefetch
    for num in range(1, most + 1):
        for frozen in range(num):
            caps = caps_of(tables, num, frozen)
            order = order_of(Shape(count, prefetch, frozen, caps)).events
            plain = pass_order(count, caps, frozen)
            events.append(order)
            passes.append(plain)
            event_place[num, frozen] = at[0], at[0] + len(order)
            pass_place[num, frozen] = at[1], at[1] + len(plain)
            at = [at[0] + len(order), at[1] + len(plain)]
            if not _any_frozen(tables):
                break
    return np.concatenate(events), event_place, np.concatenate(passes), pass_place


def _any_frozen(tables: HybridTables) -> bool:
    return not bool(tables.has_backward[1:].all())


@compiled
def walk_passes(order: Longs, num: int, durations: Floats, crossings: Any, free: Floats, over: Floats) -> Any:
    """Return when the first of some last stages is through, were all micro-batches there at once.

    Parameters
    ----------
    order
        Passes of the stages.
    num
        How many stages there are.
    durations
        (2, num): forward and backward seconds.
    crossings
        (2, num - 1) of ``CROSSING``: to the next stage, and back.
    free, over
        (num,) and (2, num, M), room.
    """
    free[:num] = 0.0
    for x in range(len(order)):
        s, m, way = order[x]
        at = free[s]
        if way == 0 and s > 0:
            at = max(at, over[0, s - 1, m] + crossings[0, s - 1].way_s)
        elif way == 1 and s < num - 1:
            at = max(at, over[1, s + 1, m] + crossings[1, s].way_s)
        free[s] = over[way, s, m] = at + durations[way, s]
    return free[0]


@compiled
def walk_step(
    events: Any,
    num: int,
    durations: Floats,
    crossings: Any,
    finish: Floats,
    in_group: Longs,
    overlap: bool,
    lanes: Floats,
    media: Floats,
    ready: Floats,
    over: Floats,
) -> Any:
    """Return the seconds of a step.

    Parameters
    ----------
    events
        The order of the pipeline.
    num, durations, crossings
        As for :func:`walk_passes`.
    finish, in_group
        (num,): reduction and update of a stage; whether it has several devices.
    overlap
        Whether a device computes, sends and receives at once.
    lanes, media, ready, over
        (3, num), (num_media,), (num, 2 M) and (num, 2 M), room.
    """
    lanes[:] = 0.0
    media[:] = 0.0
    ready[:num] = 0.0
    send, recv = (1, 2) if overlap else (0, 0)
    for event in events:
        s, number, way = event.stage, event.number, event.direction
        if event.is_message == 0:
            lanes[0, s] = max(lanes[0, s], ready[s, number]) + durations[way, s]
            over[s, number] = lanes[0, s]
            continue
        source, target = (s, s + 1) if way == 0 else (s + 1, s)
        crossing = crossings[way, s]
        there = max(lanes[0, source], lanes[send, source])
        here = lanes[recv, target]
        if event.post > 0:
            here = max(here, over[target, event.post - 1])
        arrival = max(there + crossing.way_s, here + crossing.recv_s)
        gone = max(there + crossing.send_s, here + crossing.way_s)
        for x in range(len(media)):
            if crossing.media >> x & 1:
                arrival = max(arrival, media[x] + crossing.recv_s)
                gone = max(gone, media[x] + crossing.send_s)
        for x in range(len(media)):
            if crossing.media >> x & 1:
                media[x] = max(media[x] + crossing.medium_s, max(arrival, gone))
        lanes[recv, target] = max(lanes[recv, target], arrival)
        lanes[send, source] = max(lanes[send, source], gone)
        ready[target, number] = max(ready[target, number], arrival)
    last = 0.0
    for s in range(num - 1, -1, -1):
        at = lanes[0, s]
        if in_group[s] and finish[s] > 0:
            at = max(at, max(lanes[send, s], lanes[recv, s]))
        last = max(last, at + finish[s])
    return last


@compiled
def set_crossing(
    crossing: Any,
    size_bytes: float,
    rate: float,
    latency: float,
    media: int,
    sender: float,
    receiver: float,
    pieces: int,
) -> Any:
    """Fill in a crossing.

    Parameters
    ----------
    crossing
        Of ``CROSSING``.
    size_bytes, rate, latency, media
        Bytes of a micro-batch; best rate and latency of the links; media all of them pass.
    sender, receiver
        Spread of the samples over either group.
    pieces
        Least number of messages.
    """
    whole = size_bytes / rate
    crossing.way_s = latency + whole * (sender + receiver) / 2
    crossing.send_s = latency + whole * sender
    crossing.recv_s = latency + whole * receiver
    crossing.medium_s = latency * pieces + whole
    crossing.media = media
    return 0
