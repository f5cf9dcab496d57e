"""Batch walk: score plan after plan along the order of its shape, compiled.

One plan at a time, in memory that is used again. Durations, messages and peaks of a plan are found first;
then the walk follows :func:`solver.simulate.simulate`, one stage with all its devices at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from solver.program import Floats, Longs
from solver.schedule import compiled

PLACE = np.dtype(
    [
        *(
            (name, np.int64)
            for name in ("samples", "first", "kept", "output", "received", "gradients", "unsent")
        ),
        *((name, np.float64) for name in ("forward_s", "backward_s", "reduced_s")),
    ]
)
"""A device in its stage: its samples and the first of them; bytes of a micro-batch it keeps, passes on,
receives, receives as gradients and sends as gradients; its times; when its gradients are reduced."""

PIECE = np.dtype(
    [
        *((name, np.int64) for name in ("source", "target", "lanes", "end_of_lanes", "size")),
        ("seconds", np.float64),
    ]
)
"""A message from one device to another."""

FIGURES = np.dtype(
    [(name, np.float64) for name in ("step_time_s", "bottleneck_s", "traffic_bytes", "untrusted_bytes")]
)


@compiled
def score_all(
    rule: Any, tables: Any, orders: Any, plans: Any, figures: Any, peaks: Longs, joules: Floats
) -> Any:
    """Score every plan.

    Parameters
    ----------
    rule
        Micro-batches of a step; whether gradients are reduced and weights updated; whether energy and
        bytes are asked for.
    tables
        The fields of :class:`solver.batch_tables.Tables`.
    orders
        The order of each plan, (B,); events of all orders, and where those of an order begin; moments of
        all orders, and where those of an order's stages begin.
    plans
        (B,) number of stages, (B, S) ends, (B, S, D) shares.
    figures, peaks, joules
        (B,) of ``FIGURES``, (B, D), bytes, and (B, D), joules of a step on every device: filled.
    """
    num_micro_batches, syncs, counts = rule
    times, sums, message_bytes, has_backward, boards, links, lanes, _, num_lanes, item_bytes = tables
    shape_of, events, event_start, holds, holds_start = orders
    num_stages, ends, shares = plans
    most, num_devices = ends.shape[1], len(boards)
    places, ring = np.zeros(num_devices, PLACE), np.zeros(num_devices, np.int64)
    member, member_start = np.zeros(num_devices, np.int64), np.zeros(most + 1, np.int64)
    pieces, piece_start = np.zeros(4 * num_devices, PIECE), np.zeros((2, most + 1), np.int64)
    free, busy = np.zeros(num_lanes), np.zeros(num_lanes)
    ready, over = np.zeros((2, num_devices, 2 * num_micro_batches))
    first, reduced = np.zeros(most + 1, np.int64), sums[2] * syncs
    for b in range(len(num_stages)):
        num, shape = num_stages[b], shape_of[b]
        first[1:] = ends[b]
        _open_groups(num, shares[b], places, member, member_start)
        _find_costs(num, first, times, sums, member, member_start, places)
        _find_pieces(
            num, first, message_bytes, has_backward, links, member, member_start, places, pieces, piece_start
        )
        moments, peak = holds_start[shape], peaks[b]
        _find_peaks(
            num, first, sums, reduced, has_backward, holds, moments, member, member_start, places, peak
        )
        mine = pieces[: piece_start[1, num - 1]]
        _count_busy(places, mine, lanes, busy)
        figures[b].bottleneck_s = busy.max()
        own = events[event_start[shape] : event_start[shape + 1]]
        _walk(own, member, member_start, places, pieces, piece_start, lanes, free, ready, over)
        if syncs:
            _synchronise(
                num, first, sums, boards, links, lanes, member, member_start, places, ring, free, busy
            )
        figures[b].step_time_s = free.max()
        if counts:
            _count_passes(num_micro_batches, places, mine, boards, links, joules[b], figures[b])
            _count_syncs(
                *(num, first, reduced, item_bytes, boards, links, member, member_start, ring),
                *(joules[b], figures[b]),
            )
            for d in range(num_devices):
                waiting_w = boards[d].idle_w if places[d].samples > 0 else boards[d].left_w
                joules[b, d] += waiting_w * figures[b].step_time_s


@compiled
def _open_groups(num: int, shares: Longs, places: Any, member: Longs, member_start: Longs) -> Any:
    """Find the devices of every stage, in the order of the cluster, and their samples."""
    for d in range(len(places)):
        places[d].samples = 0
        places[d].forward_s = places[d].backward_s = places[d].reduced_s = 0.0
    at = 0
    for s in range(num):
        start = 0
        for d in range(len(places)):
            if shares[s, d] > 0:
                places[d].samples, places[d].first = shares[s, d], start
                start += shares[s, d]
                member[at] = d
                at += 1
        member_start[s + 1] = at


@compiled
def _find_costs(
    num: int, first: Longs, times: Floats, sums: Longs, member: Longs, member_start: Longs, places: Any
) -> Any:
    """Find the times of every device, and what it keeps."""
    for s in range(num):
        h, e = first[s], first[s + 1]
        for k in range(member_start[s], member_start[s + 1]):
            d = member[k]
            place = places[d]
            n = place.samples
            place.forward_s = times[0, d, n, e] - times[0, d, n, h]
            place.backward_s = times[1, d, n, e] - times[1, d, n, h]
            place.kept = n * (sums[0, e] - sums[0, h])
            place.output = place.received = place.gradients = place.unsent = 0


@compiled
def _find_pieces(
    num: int,
    first: Longs,
    message_bytes: Longs,
    has_backward: Any,
    links: Any,
    member: Longs,
    member_start: Longs,
    places: Any,
    pieces: Any,
    piece_start: Longs,
) -> Any:
    """Find the messages between every stage and the next: activations, then gradients."""
    at = 0
    for direction in range(2):
        for s in range(num - 1):
            piece_start[direction, s] = at
            boundary = first[s + 1]
            if direction == 1 and not has_backward[boundary]:
                continue
            source, target = (s + 1, s) if direction == 1 else (s, s + 1)
            for k in range(member_start[target], member_start[target + 1]):
                begin = at
                for j in range(member_start[source], member_start[source + 1]):
                    at = _add_piece(
                        direction,
                        member[j],
                        member[k],
                        message_bytes[boundary],
                        links,
                        places,
                        pieces,
                        begin,
                        at,
                    )
        piece_start[direction, num - 1] = at
    for s in range(num - 1):
        for k in range(member_start[s], member_start[s + 1]):
            places[member[k]].output = message_bytes[first[s + 1], places[member[k]].samples]


@compiled
def _add_piece(
    direction: int,
    source: int,
    target: int,
    message_bytes: Longs,
    links: Any,
    places: Any,
    pieces: Any,
    begin: int,
    at: int,
) -> Any:
    """Add the message for the samples that two devices share, if any; a target hears its nearest first."""
    a, b = places[source], places[target]
    shared = min(a.first + a.samples, b.first + b.samples) - max(a.first, b.first)
    if shared <= 0:
        return at
    size, link = message_bytes[shared], links[source, target]
    if direction == 0:
        b.received += size
    else:
        b.gradients += size
        a.unsent += size
    x = at
    while x > begin and link.distance < links[pieces[x - 1].source, target].distance:
        pieces[x] = pieces[x - 1]
        x -= 1
    piece = pieces[x]
    piece.source, piece.target = source, target
    piece.lanes, piece.end_of_lanes = link.lanes, link.end_of_lanes
    piece.size = size
    piece.seconds = link.latency_s + size / link.bytes_per_s
    return at + 1


@compiled
def _find_peaks(
    num: int,
    first: Longs,
    sums: Longs,
    reduced: Longs,
    has_backward: Any,
    holds: Longs,
    holds_start: Longs,
    member: Longs,
    member_start: Longs,
    places: Any,
    peaks: Longs,
) -> Any:
    """Find the peak memory of every device: the largest of its moments, or the buffer of its reduction."""
    peaks[:] = 0
    for s in range(num):
        h, e = first[s], first[s + 1]
        group = member_start[s + 1] - member_start[s]
        buffer = -(-(reduced[e] - reduced[h]) // group) if group > 1 else 0
        for k in range(member_start[s], member_start[s + 1]):
            place = places[member[k]]
            kept, extra = place.output, place.output
            if has_backward[e]:
                kept += place.kept
                extra += max(place.kept - place.received, 0)
            peak = buffer
            for m in range(holds_start[s], holds_start[s + 1]):
                now = holds[m, 0] * place.received + holds[m, 1] * kept + holds[m, 2] * place.gradients
                peak = max(peak, now + holds[m, 3] * place.unsent + holds[m, 4] * extra)
            peaks[member[k]] = sums[1, e] - sums[1, h] + peak


@compiled
def _count_busy(places: Any, pieces: Any, lanes: Longs, busy: Floats) -> Any:
    """Count how long the passes of a micro-batch occupy every lane."""
    busy[:] = 0
    for d in range(len(places)):
        busy[d] = places[d].forward_s + places[d].backward_s
    for piece in pieces:
        for x in range(piece.lanes, piece.end_of_lanes):
            busy[lanes[x]] += piece.seconds


@compiled
def _walk(
    events: Any,
    member: Longs,
    member_start: Longs,
    places: Any,
    pieces: Any,
    piece_start: Longs,
    lanes: Longs,
    free: Floats,
    ready: Floats,
    over: Floats,
) -> Any:
    """Walk all passes; ``ready`` and ``over`` (D, 2M): an operation's messages are there, and it ends."""
    free[:] = 0
    ready[:] = 0
    for event in events:
        s, number = event.stage, event.number
        if event.is_message == 0:
            for k in range(member_start[s], member_start[s + 1]):
                d = member[k]
                duration = places[d].backward_s if event.direction == 1 else places[d].forward_s
                free[d] = max(free[d], ready[d, number]) + duration
                over[d, number] = free[d]
            continue
        for k in range(piece_start[event.direction, s], piece_start[event.direction, s + 1]):
            piece = pieces[k]
            at = free[piece.source]
            if event.post > 0:
                at = max(at, over[piece.target, event.post - 1])
            for x in range(piece.lanes, piece.end_of_lanes):
                at = max(at, free[lanes[x]])
            at += piece.seconds
            for x in range(piece.lanes, piece.end_of_lanes):
                free[lanes[x]] = at
            ready[piece.target, number] = max(ready[piece.target, number], at)


@compiled
def _synchronise(
    num: int,
    first: Longs,
    sums: Longs,
    boards: Any,
    links: Any,
    lanes: Longs,
    member: Longs,
    member_start: Longs,
    places: Any,
    ring: Longs,
    free: Floats,
    busy: Floats,
) -> Any:
    """Walk the reductions, last stage first, then the updates."""
    for s in range(num - 1, -1, -1):
        trained = sums[2, first[s + 1]] - sums[2, first[s]]
        group = member_start[s + 1] - member_start[s]
        if group < 2 or trained <= 0:
            continue
        close_ring(member[member_start[s] : member_start[s + 1]], links, ring)
        at = 0.0
        for i in range(group):
            board, link = boards[ring[i]], links[ring[i], ring[(i + 1) % group]]
            at = max(at, free[ring[i]], free[board.send_lane], free[board.recv_lane])
            for x in range(link.media, link.end_of_lanes):
                at = max(at, free[lanes[x]])
        at += _ring_s(trained, group, links, lanes, ring, busy)
        for i in range(group):
            board, link = boards[ring[i]], links[ring[i], ring[(i + 1) % group]]
            free[board.send_lane] = free[board.recv_lane] = places[ring[i]].reduced_s = at
            for x in range(link.media, link.end_of_lanes):
                free[lanes[x]] = at
    for s in range(num):
        trained = sums[2, first[s + 1]] - sums[2, first[s]]
        for k in range(member_start[s], member_start[s + 1] if trained > 0 else 0):
            d = member[k]
            free[d] = max(free[d], places[d].reduced_s) + _update_s(boards[d], trained)


@compiled
def _update_s(board: Any, trained: int) -> Any:
    return board.overhead_s + board.update_s_per_byte * trained


@compiled
def close_ring(group: Longs, links: Any, ring: Longs) -> Any:
    """Order a group as a ring, as :func:`solver.collective.ring_order` does."""
    size = len(group)
    ring[:size] = group
    for i in range(1, size):
        best = i
        for j in range(i + 1, size):
            if links[ring[i - 1], ring[j]].bytes_per_s > links[ring[i - 1], ring[best]].bytes_per_s:
                best = j
        chosen = ring[best]
        # The rest keep their order: ties go to the first.
        for j in range(best, i, -1):
            ring[j] = ring[j - 1]
        ring[i] = chosen


@compiled
def _ring_s(trained: int, group: int, links: Any, lanes: Longs, ring: Longs, busy: Floats) -> Any:
    """Return the seconds of an all-reduce: every step lasts as long as its slowest hop or fullest medium."""
    chunk, slowest = trained / group, 0.0
    busy[:] = 0
    for i in range(group):
        link = links[ring[i], ring[(i + 1) % group]]
        seconds = link.latency_s + chunk / link.bytes_per_s
        slowest = max(slowest, seconds)
        for x in range(link.media, link.end_of_lanes):
            busy[lanes[x]] += seconds
            slowest = max(slowest, busy[lanes[x]])
    return 2 * (group - 1) * slowest


@compiled
def _count_passes(
    num_micro_batches: int, places: Any, pieces: Any, boards: Any, links: Any, joules: Floats, figures: Any
) -> Any:
    """Add the bytes of all passes, and their joules on every device, idle power aside."""
    for d in range(len(places)):
        joules[d] = num_micro_batches * boards[d].busy_w * (places[d].forward_s + places[d].backward_s)
    for piece in pieces:
        seconds, size = num_micro_batches * piece.seconds, num_micro_batches * piece.size
        joules[piece.source] += boards[piece.source].send_w * seconds
        joules[piece.target] += boards[piece.target].recv_w * seconds
        figures.traffic_bytes += size
        figures.untrusted_bytes += size * links[piece.source, piece.target].is_down


@compiled
def _count_syncs(
    num: int,
    first: Longs,
    reduced: Longs,
    item_bytes: int,
    boards: Any,
    links: Any,
    member: Longs,
    member_start: Longs,
    ring: Longs,
    joules: Floats,
    figures: Any,
) -> Any:
    """Add the bytes of reductions, and the joules of these and of updates, idle power aside."""
    for s in range(num):
        trained = reduced[first[s + 1]] - reduced[first[s]]
        group = member[member_start[s] : member_start[s + 1]]
        if trained <= 0:
            continue
        for d in group:
            joules[d] += boards[d].busy_w * _update_s(boards[d], trained)
        size = len(group)
        if size < 2:
            continue
        close_ring(group, links, ring)
        items, odd = divmod(trained, item_bytes)
        base, rest = divmod(items, size)
        for i in range(size):
            j = (i + 1) % size
            # Every member sends all chunks twice, but one it starts with and one it ends with.
            kept = (2 * base + (i < rest) + (j < rest)) * item_bytes + odd * (
                (i == size - 1) + (j == size - 1)
            )
            link, sent = links[ring[i], ring[j]], 2 * trained - kept
            seconds = 2 * (size - 1) * link.latency_s + sent / link.bytes_per_s
            joules[ring[i]] += boards[ring[i]].send_w * seconds
            joules[ring[j]] += boards[ring[j]].recv_w * seconds
            figures.traffic_bytes += sent
            figures.untrusted_bytes += sent * link.is_down
