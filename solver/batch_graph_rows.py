"""Batch rows: the rows of a plan's passes and messages, their order, and the walk through them, compiled.

The rows are those of :mod:`solver.lowering.templates`; they are put in order, written and walked by the very
functions that a Program goes through.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from solver.lowering.emit import ROW, SLOTS, TEMPLATE, USER, write_instructions
from solver.program import Floats, Ints, Kind, Longs
from solver.schedule import OPERATION, STAGE, compiled, order_operations
from solver.simulate import MEMORY, WALKED, walk_instructions

_SEND, _RECV = int(Kind.SEND), int(Kind.RECV)


@compiled
def write_rows(nodes: Any, members: Any, messages: Any, boards: Any, links: Any, first_lane: int) -> Any:
    """Write the rows of all passes and messages.

    Parameters
    ----------
    nodes, members, messages
        Stages and owners of raw data, their devices, and what these send.
    boards, links
        Devices, and the ways between them.
    first_lane
        Where the compute lanes of all devices stand in the table of lanes.

    Returns
    -------
    tuple of arrays
        Rows for the order and for the walk, extra power of each, users of messages, and templates.
    """
    count = 2 * len(messages)
    for node in nodes:
        count += (node.end_of_members - node.members) * (1 + node.has_backward)
    rows, walked, watts = np.zeros(count, ROW), np.zeros(count, WALKED), np.zeros(count)
    users, templates = np.zeros(len(messages), USER), np.zeros(2 * len(nodes), TEMPLATE)
    at = m = 0
    for p in range(len(templates)):
        v, direction = p // 2, p % 2
        template, node = templates[p], nodes[v]
        template.compute = at
        template.lanes, template.end_of_lanes = node.members, node.end_of_members
        if direction == 0 or node.has_backward:
            for k in range(node.members, node.end_of_members):
                rows[at].kind, rows[at].unit = direction, members[k].device
                rows[at].wait_type, rows[at].wait_offset = p, k - node.members
                _write_pass(direction, node, members[k], first_lane, walked[at])
                watts[at] = boards[members[k].device].busy_w
                at += 1
        template.messages = at
        while m < len(messages) and messages[m].node == v and messages[m].direction == direction:
            _write_message(m, messages, nodes, members, boards, links, rows, walked, watts, users, at)
            at += 2
            m += 1
        template.end = at
    return rows, walked, watts, users, templates


@compiled
def _write_pass(direction: int, node: Any, member: Any, first_lane: int, row: Any) -> Any:
    """Write a pass of one device: what it takes and gives back is what the templates of a lowering say."""
    row.kind = direction
    row.device = row.unit = member.device
    row.lanes, row.end_of_lanes = first_lane + member.device, first_lane + member.device + 1
    row.duration_s = member.backward_s if direction == 1 else member.forward_s
    if node.user >= 0:
        return
    kept, output = member.samples * (node.kept - node.shared), member.samples * node.output
    kept = max(0, kept)
    if direction == 1:
        row.alloc_bytes = member.unsent
        row.free_bytes, row.buffer_bytes = kept + output + member.gradients, -member.gradients
    elif node.has_backward:
        # What was received is the input that blocks keep.
        there = member.received + member.samples * node.shared
        grown = max(0, member.samples * node.kept - there)
        row.alloc_bytes = grown + output
        row.free_bytes, row.buffer_bytes = max(0, member.received + grown - kept), -member.received
    else:
        row.alloc_bytes, row.free_bytes, row.buffer_bytes = output, member.received, -member.received


@compiled
def _write_message(
    m: int,
    messages: Any,
    nodes: Any,
    members: Any,
    boards: Any,
    links: Any,
    rows: Any,
    walked: Any,
    watts: Floats,
    users: Any,
    at: int,
) -> Any:
    """Write a send and its receive."""
    message, send, receive = messages[m], walked[at], walked[at + 1]
    source, target = members[message.source].device, members[message.target].device
    link, place = links[source, target], message.target - nodes[message.consumer].members
    users[m].type, users[m].offset, users[m].place = 2 * message.consumer + message.direction, place, place
    for r in range(at, at + 2):
        rows[r].kind, rows[r].unit = (_SEND, source) if r == at else (_RECV, target)
        rows[r].wait_type, rows[r].users, rows[r].end_of_users = -1, m, m + 1
        walked[r].kind, walked[r].device, walked[r].unit = rows[r].kind, rows[r].unit, rows[r].unit
        walked[r].duration_s = link.latency_s + message.size / link.bytes_per_s
    send.lanes, send.end_of_lanes = link.lanes, link.end_of_lanes
    send.free_bytes = _given_back(m, messages, nodes, members)
    receive.alloc_bytes = receive.buffer_bytes = message.size
    watts[at], watts[at + 1] = boards[source].send_w, boards[target].recv_w


@compiled
def _given_back(m: int, messages: Any, nodes: Any, members: Any) -> Any:
    """Return what the sender gives back: gradients with each message, outputs of a stage without a backward
    pass with the last one.
    """
    message, node = messages[m], nodes[messages[m].node]
    if message.direction == 1:
        return message.size
    if node.user >= 0 or node.has_backward:
        return 0
    for x in range(m + 1, len(messages)):
        if messages[x].node == message.node and messages[x].source == message.source:
            return 0
    return members[message.source].samples * node.output


@compiled
def order_stages(num_micro_batches: int, nodes: Any, lanes: Longs, graph: Any) -> Any:
    """Put the passes of all stages in order, as :func:`solver.schedule.list_schedule` does.

    Parameters
    ----------
    num_micro_batches
        Micro-batches of a step.
    nodes, lanes
        Stages and owners, and the compute lanes of all members.
    graph
        Stages after and before every stage, and how many of either.
    """
    succs, preds, counts = graph
    num = len(nodes)
    stages, waits, at = np.zeros(num, STAGE), np.zeros((2 * num * num, 2), np.int64), 0
    touches = np.zeros((num, num), np.bool_)
    lane_start, cells = np.zeros(num + 1, np.int64), np.zeros(num * num_micro_batches, np.int64)
    operations = 0
    for v in range(num):
        node, stage = nodes[v], stages[v]
        stage.num_micro_batches, stage.cap = num_micro_batches, node.cap
        stage.has_backward, stage.depth = node.has_backward, node.depth
        stage.offset, stage.forward_waits = v * num_micro_batches, at
        operations += num_micro_batches * (1 + node.has_backward)
        lane_start[v + 1] = node.end_of_members
        cells[stage.offset : stage.offset + num_micro_batches] = v
        touches[v, v] = True
        for u in range(num):
            # An owner of raw data stands before its user, and shares a lane with a stage on its device.
            if nodes[u].user == v:
                waits[at, 0], waits[at, 1], touches[u, v] = u, 1, True
                at += 1
            if node.user >= 0 and _meet(node, nodes[u], lanes):
                touches[u, v] = touches[v, u] = True
        for x in range(counts[1, v]):
            waits[at, 0], waits[at, 1], touches[preds[v, x], v] = preds[v, x], 1, True
            at += 1
        stage.backward_waits = at
        for x in range(counts[0, v] if node.has_backward else 0):
            if nodes[succs[v, x]].has_backward:
                waits[at, 0], waits[at, 1], touches[succs[v, x], v] = succs[v, x], 1, True
                at += 1
        stage.end_of_waits = at
    touched = np.nonzero(touches)[1]
    at = 0
    for v in range(num):
        stages[v].touched, stages[v].end_of_touched = at, at + touches[v].sum()
        at = stages[v].end_of_touched
    return order_operations(stages, cells, waits, touched, lane_start, lanes, np.zeros(operations, OPERATION))


@compiled
def _meet(node: Any, other: Any, lanes: Longs) -> Any:
    """Return whether a device is in both."""
    return (lanes[other.members : other.end_of_members] == lanes[node.members]).any()


@compiled
def walk_rows(
    walk: Any, nodes: Any, lanes: Longs, operations: Any, written: Any, all_lanes: Ints, free: Floats
) -> Any:
    """Write the instructions of ordered passes and walk them.

    Parameters
    ----------
    walk
        Micro-batches of a step, how far ahead a receive is posted, and how many devices there are.
    nodes, lanes
        Stages and owners, and the compute lanes of all members.
    operations, written
        What :func:`order_stages` and :func:`write_rows` returned.
    all_lanes
        The table of lanes that rows point into.
    free
        When lanes are free: filled.

    Returns
    -------
    tuple of arrays
        Memory of every device, and the row of every instruction.
    """
    num_micro_batches, prefetch, num_devices = walk
    rows, walked, _, users, templates = written
    slots = np.zeros(len(templates), SLOTS)
    base = places = 0
    for p in range(len(templates)):
        node = nodes[p // 2]
        size = node.end_of_members - node.members
        slots[p].base, slots[p].places, slots[p].places_stride = base, places, size
        slots[p].stride = size if p % 2 == 0 or node.has_backward else 0
        base += slots[p].stride * num_micro_batches
        places += size * num_micro_batches
    out = write_instructions(operations, templates, lanes, rows, users, slots, places, prefetch)
    memory = np.zeros(num_devices, MEMORY)
    walk_instructions(out[0], out[2], out[3], walked, all_lanes, np.zeros(base + 1), free, memory)
    return memory, out[0]
