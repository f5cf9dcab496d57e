"""Batch walk of graphs: score plan after plan of any DAG, compiled; see :mod:`solver.batch_graph`."""

from __future__ import annotations

from typing import Any

import numpy as np

from solver.batch_graph_rows import order_stages, walk_rows, write_rows
from solver.batch_graph_stages import (
    MEMBER,
    NODE,
    add_owners,
    find_flows,
    find_messages,
    find_raw_messages,
    find_times,
    link_stages,
    open_stages,
    set_depths_and_caps,
)
from solver.batch_walk import close_ring
from solver.program import Floats, Ints, Kind, Longs
from solver.schedule import compiled

_BACKWARD, _SEND = int(Kind.BACKWARD), int(Kind.SEND)


@compiled
def score_graphs(
    rule: Any, tables: Any, times: Floats, plans: Any, figures: Any, peaks: Longs, joules: Floats
) -> Any:
    """Score every plan.

    Parameters
    ----------
    rule
        Micro-batches of a step; how far ahead receives are posted; whether gradients are reduced and weights
        updated; whether energy and bytes are asked for.
    tables
        The fields of :class:`solver.batch_graph_tables.GraphTables`.
    times
        (K, 2, L), seconds of passes through blocks.
    plans
        (B,) number of stages, (B, S) ends, (B, S, D) shares, (B, S) caps, (B, D) rows of ``times``.
    figures, peaks, joules
        As :func:`solver.batch_walk.score_all` fills them.
    """
    num_micro_batches, prefetch, syncs, counts = rule
    boards, links, lanes, num_lanes = tables[5], tables[6], tables[7], tables[10]
    num_stages, ends, shares, caps, rows_of = plans
    # Behind the lanes of links the compute lane of every device.
    all_lanes = np.concatenate((lanes, np.arange(len(boards)))).astype(np.int32)
    free, busy, spent_j = np.zeros(num_lanes), np.zeros(num_lanes), np.zeros((2, len(boards)))
    for b in range(len(num_stages)):
        free[:] = 0
        spent_j[:] = 0
        plan = (num_stages[b], ends[b], shares[b], caps[b], rows_of[b])
        nodes, members, messages, graph = _open_plan(num_micro_batches, plan, tables, times)
        written = write_rows(nodes, members, messages, boards, links, len(lanes))
        units = members.device.copy()
        operations = order_stages(num_micro_batches, nodes, units, graph)
        walk = (num_micro_batches, prefetch, len(boards))
        memory, rows = walk_rows(walk, nodes, units, operations, written, all_lanes, free)
        figures[b].bottleneck_s = _count_busy(num_micro_batches, written[1], all_lanes, busy)
        _count_passes(num_micro_batches, messages, members, written, links, spent_j, figures[b])
        if syncs:
            places = _last_places(rows, written[1], all_lanes, num_lanes, len(boards))
            stages = (num_stages[b], nodes, units)
            _synchronise(stages, tables, all_lanes, places, free, busy, memory, spent_j, figures[b])
        figures[b].step_time_s = free.max()
        _count_peaks(num_stages[b], nodes, members, memory, peaks[b])
        if counts:
            _count_joules(figures[b].step_time_s, units, boards, spent_j, joules[b])


@compiled
def _open_plan(num_micro_batches: int, plan: Any, tables: Any, times: Floats) -> Any:
    """Return stages and owners of a plan, their devices, all messages, and who stands before whom."""
    blocks, edges, targets, raw, owns, _, links = tables[:7]
    num, ends, shares, caps, rows = plan
    nodes = np.zeros(num + len(raw), NODE)
    members = np.zeros(shares.shape[1] + len(raw), MEMBER)
    stage_of = open_stages(num, ends, shares, blocks, nodes, members)
    find_times(num, nodes, members, rows, times, blocks)
    succs, preds = np.zeros((num, num), np.int64), np.zeros((num, num), np.int64)
    counts = np.zeros((2, num + len(raw)), np.int64)
    link_stages(edges, stage_of, succs, preds, counts)
    set_depths_and_caps(num, caps, num_micro_batches, nodes, succs, preds, counts)
    flows, order = np.zeros((3, num, num), np.int64), np.zeros((num, num), np.int64)
    find_flows(blocks, targets, stage_of, nodes, succs, counts, flows, order)
    messages = find_messages(num, nodes, members, order, preds, counts, flows, links)
    nearest = np.full(len(raw), -1)
    total = add_owners(num, raw, owns, stage_of, links, nodes, members, nearest)
    if total > num:
        more = find_raw_messages(num, total, raw, owns, nearest, nodes, members)
        messages = np.concatenate((messages, more))
    used = nodes[total - 1].end_of_members
    return nodes[:total], members[:used], messages, (succs, preds, counts)


@compiled
def _count_busy(num_micro_batches: int, rows: Any, all_lanes: Ints, busy: Floats) -> Any:
    """Return how long the passes of a micro-batch occupy the busiest lane."""
    busy[:] = 0
    for row in rows:
        for x in range(row.lanes, row.end_of_lanes):
            busy[all_lanes[x]] += row.duration_s * num_micro_batches
    return busy.max() / num_micro_batches


@compiled
def _count_passes(
    num_micro_batches: int,
    messages: Any,
    members: Any,
    written: Any,
    links: Any,
    spent_j: Floats,
    figures: Any,
) -> Any:
    """Count the bytes of all passes, and their joules on every device, computing and on the air."""
    _, rows, watts, _, _ = written
    for r in range(len(rows)):
        spent_j[int(rows[r].kind > _BACKWARD), rows[r].device] += watts[r] * (
            rows[r].duration_s * num_micro_batches
        )
    for message in messages:
        link = links[members[message.source].device, members[message.target].device]
        figures.traffic_bytes += message.size * num_micro_batches
        figures.untrusted_bytes += message.size * num_micro_batches * link.is_down


@compiled
def _last_places(instructions: Any, rows: Any, all_lanes: Ints, num_lanes: int, num_devices: int) -> Any:
    """Return the place of the last instruction on every lane, and of the last backward pass, or message, of
    every device; -1 for none.
    """
    last = np.full(len(rows), -1)
    for i in range(len(instructions)):
        last[instructions[i]] = i
    on_lane, of_device = np.full(num_lanes, -1), np.full(num_devices, -1)
    for r in range(len(rows)):
        for x in range(rows[r].lanes, rows[r].end_of_lanes):
            on_lane[all_lanes[x]] = max(on_lane[all_lanes[x]], last[r])
        if rows[r].kind == _BACKWARD:
            of_device[rows[r].device] = max(of_device[rows[r].device], last[r])
        elif rows[r].kind == _SEND:
            for device in (rows[r].device, rows[r + 1].device):
                of_device[device] = max(of_device[device], last[r])
    return on_lane, of_device


@compiled
def _synchronise(
    stages: Any,
    tables: Any,
    all_lanes: Ints,
    places: Any,
    free: Floats,
    busy: Floats,
    memory: Any,
    spent_j: Floats,
    figures: Any,
) -> Any:
    """Walk the reductions in the order in which they stand in a Program, then the updates."""
    _, _, _, _, _, boards, links, _, memory_rates, num_passes, _, item_bytes = tables
    num, nodes, units = stages
    rings, after = np.zeros((num, len(boards)), np.int64), np.full(num, -1)
    reduced = np.zeros(len(boards))
    for s in range(num):
        group = units[nodes[s].members : nodes[s].end_of_members]
        if len(group) > 1 and nodes[s].trained > 0:
            close_ring(group, links, rings[s])
            after[s] = _stands_behind(rings[s], len(group), boards, links, all_lanes, places)
    # Those of the last stage first, but none before what it stands behind.
    for s in num - 1 - np.argsort(after[::-1], kind="mergesort"):
        if after[s] >= 0:
            size = nodes[s].end_of_members - nodes[s].members
            work = (nodes[s].trained, size, item_bytes)
            seconds = _reduce(work, boards, links, all_lanes, rings[s], free, busy, memory, reduced)
            _count_ring(work, seconds, boards, links, rings[s], spent_j, figures)
    for s in range(num):
        for m in range(nodes[s].members, nodes[s].end_of_members if nodes[s].trained > 0 else 0):
            d = units[m]
            seconds = boards[d].overhead_s + num_passes * nodes[s].trained / memory_rates[d]
            free[d] = max(free[d], reduced[d]) + seconds
            spent_j[0, d] += boards[d].busy_w * seconds


@compiled
def _stands_behind(ring: Longs, size: int, boards: Any, links: Any, all_lanes: Ints, places: Any) -> Any:
    """Return the place of the last instruction a reduction stands behind."""
    on_lane, of_device = places
    last = -1
    for i in range(size):
        board, link = boards[ring[i]], links[ring[i], ring[(i + 1) % size]]
        last = max(last, of_device[ring[i]], on_lane[board.send_lane], on_lane[board.recv_lane])
        for x in range(link.media, link.end_of_lanes):
            last = max(last, on_lane[all_lanes[x]])
    return last


@compiled
def _reduce(
    work: Any,
    boards: Any,
    links: Any,
    all_lanes: Ints,
    ring: Longs,
    free: Floats,
    busy: Floats,
    memory: Any,
    reduced: Floats,
) -> Any:
    """Walk a reduction, and return its seconds: a step lasts as its slowest hop, or its fullest medium."""
    trained, size, _ = work
    chunk, slowest, at = trained / size, 0.0, 0.0
    busy[:] = 0
    for i in range(size):
        d, link = ring[i], links[ring[i], ring[(i + 1) % size]]
        at = max(at, free[d], free[boards[d].send_lane], free[boards[d].recv_lane])
        seconds = link.latency_s + chunk / link.bytes_per_s
        slowest = max(slowest, seconds)
        for x in range(link.media, link.end_of_lanes):
            at = max(at, free[all_lanes[x]])
            busy[all_lanes[x]] += seconds
            slowest = max(slowest, busy[all_lanes[x]])
    total = 0.0
    for _ in range(size - 1):
        total += slowest
    total *= 2
    for i in range(size):
        d, link = ring[i], links[ring[i], ring[(i + 1) % size]]
        free[boards[d].send_lane] = free[boards[d].recv_lane] = reduced[d] = at + total
        for x in range(link.media, link.end_of_lanes):
            free[all_lanes[x]] = at + total
        memory[d].peak = max(memory[d].peak, memory[d].now - (-trained // size))
    return total


@compiled
def _count_ring(
    work: Any, seconds: float, boards: Any, links: Any, ring: Longs, spent_j: Floats, figures: Any
) -> Any:
    """Count the bytes of a reduction, and what radios take while their own link is busy."""
    trained, size, item_bytes = work
    items, odd = divmod(trained, item_bytes)
    base, rest = divmod(items, size)
    radio_j = np.zeros(size)
    for i in range(size):
        j = (i + 1) % size
        # Every member sends all chunks twice, but one it starts with and one it ends with.
        kept = (2 * base + (i < rest) + (j < rest)) * item_bytes + odd * ((i == size - 1) + (j == size - 1))
        link, sent = links[ring[i], ring[j]], 2 * trained - kept
        busy_s = 2 * (size - 1) * link.latency_s + sent / link.bytes_per_s
        radio_j[i] += boards[ring[i]].send_w * busy_s
        radio_j[j] += boards[ring[j]].recv_w * busy_s
        figures.traffic_bytes += sent
        figures.untrusted_bytes += sent * link.is_down
    for i in range(size if seconds > 0 else 0):
        spent_j[1, ring[i]] += radio_j[i] / seconds * seconds


@compiled
def _count_peaks(num: int, nodes: Any, members: Any, memory: Any, peaks: Longs) -> Any:
    """Find the peak memory of every device: what changes, and what does not."""
    for d in range(len(peaks)):
        peaks[d] = memory[d].peak
    for s in range(num):
        for m in range(nodes[s].members, nodes[s].end_of_members):
            peaks[members[m].device] += nodes[s].static


@compiled
def _count_joules(span_s: float, used: Longs, boards: Any, spent_j: Floats, joules: Floats) -> Any:
    """Find the energy of every device; ``used``: those that do something, some of them twice."""
    for d in range(len(boards)):
        joules[d] = boards[d].left_w * span_s
    for d in used:
        joules[d] = boards[d].idle_w * span_s
    for d in range(len(boards)):
        joules[d] = joules[d] + spent_j[0, d] + spent_j[1, d]
