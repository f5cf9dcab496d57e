"""Batch stages: the graph of a plan's stages, what they hold, and the messages between them, compiled.

What :mod:`solver.lowering` finds for stages in mode ``data`` that share no device: every device computes an
interval of the samples of every block of its stage, so all sizes are in proportion to samples. Behind the
stages stand the owners of raw data, one for every stage and device that sends it some.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from solver.program import Floats, Longs
from solver.schedule import compiled

NODE = np.dtype(
    [
        *((name, np.int64) for name in ("first", "end", "members", "end_of_members", "user")),
        *((name, np.int64) for name in ("cap", "depth", "has_backward", "static", "trained")),
        *((name, np.int64) for name in ("kept", "shared", "output")),
    ]
)
"""A stage: its blocks and members; ``user`` is -1. The owner of raw data: no blocks, itself as the only
member, and the stage it sends to. Bytes of weights, gradients and optimizer states, and of trained weights;
per sample: what its blocks keep, what of that is counted elsewhere too, and outputs that leave the stage."""

MEMBER = np.dtype(
    [
        *((name, np.int64) for name in ("device", "samples", "first")),
        *((name, np.int64) for name in ("received", "gradients", "unsent")),
        *((name, np.float64) for name in ("forward_s", "backward_s")),
    ]
)
"""A device in a stage: its samples and the first of them; bytes of a micro-batch it receives, receives as
gradients and sends as gradients; seconds of its passes."""

MESSAGE = np.dtype(
    [(name, np.int64) for name in ("source", "target", "consumer", "size", "node", "direction")]
)
"""A message: members at both ends, the stage that needs it, bytes, and the operation it leaves after."""


@compiled
def open_stages(num: int, ends: Longs, shares: Longs, blocks: Any, nodes: Any, members: Any) -> Any:
    """Fill in the blocks and members of all stages, and what they hold; return the stage of every block."""
    stage_of = np.empty(len(blocks), np.int64)
    at = start = 0
    for s in range(num):
        node = nodes[s]
        node.first, node.end, node.members, node.user = start, ends[s], at, -1
        before = 0
        for d in range(shares.shape[1]):
            if shares[s, d] > 0:
                members[at].device, members[at].samples, members[at].first = d, shares[s, d], before
                before += shares[s, d]
                at += 1
        node.end_of_members = at
        for k in range(start, ends[s]):
            stage_of[k] = s
            node.has_backward |= blocks[k].has_backward
            node.static += blocks[k].static
            node.trained += blocks[k].trained
            node.kept += blocks[k].kept
        start = ends[s]
    return stage_of


@compiled
def find_times(num: int, nodes: Any, members: Any, rows: Longs, times: Floats, blocks: Any) -> Any:
    """Fill in the seconds of all passes, added up in the order in which blocks are computed."""
    for s in range(num):
        for m in range(nodes[s].members, nodes[s].end_of_members):
            table, forward_s, backward_s = times[rows[members[m].device]], 0.0, 0.0
            for k in range(nodes[s].first, nodes[s].end):
                forward_s += table[0, k]
            for k in range(nodes[s].end - 1, nodes[s].first - 1, -1):
                if blocks[k].has_backward:
                    backward_s += table[1, k]
            members[m].forward_s, members[m].backward_s = forward_s, backward_s


@compiled
def link_stages(edges: Longs, stage_of: Longs, succs: Longs, preds: Longs, counts: Longs) -> Any:
    """Fill in (V, V) the stages after and before every stage, in the order of the first edge between them.

    Parameters
    ----------
    edges, stage_of
        Edges between blocks, and the stage of every block.
    succs, preds, counts
        Filled; ``counts`` (2, V) how many of either.
    """
    known = np.zeros((len(succs), len(succs)), np.bool_)
    for e in range(len(edges)):
        s, t = stage_of[edges[e, 0]], stage_of[edges[e, 1]]
        if s != t and not known[s, t]:
            known[s, t] = True
            succs[s, counts[0, s]] = t
            preds[t, counts[1, t]] = s
            counts[0, s] += 1
            counts[1, t] += 1


@compiled
def set_depths_and_caps(
    num: int, caps: Longs, num_micro_batches: int, nodes: Any, succs: Longs, preds: Longs, counts: Longs
) -> Any:
    """Fill in depths, and caps that never grow along edges; a given cap of 0 is the default of 1F1B."""
    for s in range(num - 1, -1, -1):
        nodes[s].depth = 1
        for k in range(counts[0, s]):
            nodes[s].depth = max(nodes[s].depth, nodes[succs[s, k]].depth + 1)
    for s in range(num):
        cap = caps[s] if caps[s] > 0 else 2 * nodes[s].depth - 1
        if nodes[s].has_backward == 0:
            cap = num_micro_batches
        cap = min(cap, num_micro_batches)
        for k in range(counts[1, s]):
            cap = min(cap, nodes[preds[s, k]].cap)
        nodes[s].cap = cap


@compiled
def find_flows(
    blocks: Any,
    targets: Longs,
    stage_of: Longs,
    nodes: Any,
    succs: Longs,
    counts: Longs,
    flows: Longs,
    order: Longs,
) -> Any:
    """Find what goes from stage to stage, per sample, and what stages keep twice.

    Parameters
    ----------
    blocks, targets, stage_of
        Blocks, their readers, and their stages.
    nodes
        ``shared`` and ``output`` are filled in.
    succs, counts
        As :func:`link_stages` found them.
    flows
        (3, V, V), filled: bytes of activations, bytes of gradients, and whether there are gradients.
    order
        (V, V), filled: the stages that a stage sends to, in the order of its messages.
    """
    num = len(nodes)
    reads, keeps = np.zeros(num, np.int64), np.zeros(num, np.int64)
    listed = np.zeros((num, num), np.bool_)
    length = np.zeros(num, np.int64)
    for k in range(len(blocks)):
        block, s = blocks[k], stage_of[k]
        reads[:] = 0
        keeps[:] = 0
        for e in range(block.edges, block.end_of_edges):
            reader, t = blocks[targets[e]], stage_of[targets[e]]
            reads[t] = 1
            keeps[t] += reader.kept > 0 and reader.num_inputs == 1
        leaves = reads.sum() > reads[s]
        nodes[s].output += block.output * leaves
        for t in range(num):
            if keeps[t] > 0:
                # The tensor itself is counted once, where it is made or received.
                nodes[t].shared += (keeps[t] - (0 if t == s and leaves else 1)) * block.output
        for x in range(counts[0, s]):
            t = succs[s, x]
            if reads[t] == 0:
                continue
            flows[0, s, t] += block.output
            flows[1, s, t] += block.output * block.has_backward
            flows[2, s, t] |= block.has_backward
            if not listed[s, t]:
                listed[s, t] = True
                order[s, length[s]] = t
                length[s] += 1


@compiled
def add_owners(
    num: int, raw: Any, owns: Any, stage_of: Longs, links: Any, nodes: Any, members: Any, nearest: Longs
) -> Any:
    """Add the owners of raw data that stages must be sent, and return how many nodes there are.

    Parameters
    ----------
    num
        Stages.
    raw, owns, stage_of, links
        Blocks that read raw data, who has it, the stage of every block, and the ways between devices.
    nodes, members
        Stages; owners are added behind them.
    nearest
        (R,), filled: the owner that sends a block its data, as a node; -1 if nobody must.
    """
    total, at = num, nodes[num - 1].end_of_members
    for s in range(num):
        first = total
        for r in range(len(raw)):
            if stage_of[raw[r].block] != s:
                continue
            owner = _nearest_owner(nodes[s], members, owns[r], links)
            nearest[r] = -1
            for v in range(first, total):
                if owner >= 0 and members[nodes[v].members].device == owner:
                    nearest[r] = v
            if owner < 0 or nearest[r] >= 0:
                continue
            node = nodes[total]
            node.members, node.end_of_members, node.user = at, at + 1, s
            node.depth, node.cap = nodes[s].depth + 1, 0
            members[at].device = owner
            nearest[r] = total
            total += 1
            at += 1
    return total


@compiled
def _nearest_owner(node: Any, members: Any, owns: Any, links: Any) -> Any:
    """Return the owner nearest to all members of a stage; -1 if all of them have the data."""
    lacks = False
    for m in range(node.members, node.end_of_members):
        lacks |= not owns[members[m].device]
    best, least = -1, np.inf
    for d in range(len(owns) if lacks else 0):
        distance = 0.0
        for m in range(node.members, node.end_of_members):
            distance += links[d, members[m].device].distance
        if owns[d] and distance < least:
            best, least = d, distance
    return best


@compiled
def find_messages(
    num: int, nodes: Any, members: Any, order: Longs, preds: Longs, counts: Longs, flows: Longs, links: Any
) -> Any:
    """Return the messages between stages, in the order of the stages, activations before gradients.

    Notes
    -----
    Also fills in what members receive and send.
    """
    most = 0
    for s in range(num):
        for x in range(counts[0, s]):
            t = order[s, x]
            most += nodes[s].end_of_members - nodes[s].members + nodes[t].end_of_members - nodes[t].members
    messages = np.zeros(2 * most, MESSAGE)
    at = 0
    for s in range(num):
        for x in range(counts[0, s]):
            t = order[s, x]
            at = _add_messages(0, s, t, flows[0, s, t], nodes, members, links, messages, at)
        for x in range(counts[1, s]):
            t = preds[s, x]
            if flows[2, t, s]:
                at = _add_messages(1, s, t, flows[1, t, s], nodes, members, links, messages, at)
    return messages[:at]


@compiled
def _add_messages(
    direction: int,
    s: int,
    t: int,
    per_sample: int,
    nodes: Any,
    members: Any,
    links: Any,
    messages: Any,
    at: int,
) -> Any:
    """Add the messages of the samples that members of two stages share; a target hears its nearest first."""
    for k in range(nodes[t].members, nodes[t].end_of_members):
        target, begin = members[k], at
        for j in range(nodes[s].members, nodes[s].end_of_members):
            source = members[j]
            shared = min(source.first + source.samples, target.first + target.samples)
            shared -= max(source.first, target.first)
            if shared <= 0:
                continue
            size, distance = shared * per_sample, links[source.device, target.device].distance
            x = at
            while x > begin and distance < _distance(messages[x - 1], members, links):
                messages[x] = messages[x - 1]
                x -= 1
            message = messages[x]
            message.source, message.target, message.consumer = j, k, t
            message.size, message.node, message.direction = size, s, direction
            at += 1
            if direction == 0:
                target.received += size
            else:
                target.gradients += size
                source.unsent += size
    return at


@compiled
def _distance(message: Any, members: Any, links: Any) -> Any:
    return links[members[message.source].device, members[message.target].device].distance


@compiled
def find_raw_messages(
    num: int, total: int, raw: Any, owns: Any, nearest: Longs, nodes: Any, members: Any
) -> Any:
    """Return what owners of raw data send, owner by owner; devices that have it too are sent nothing."""
    most = 0
    for v in range(num, total):
        most += nodes[nodes[v].user].end_of_members - nodes[nodes[v].user].members
    messages = np.zeros(most, MESSAGE)
    at = 0
    for v in range(num, total):
        user, begin = nodes[v].user, at
        for r in range(len(raw)):
            for m in range(nodes[user].members, nodes[user].end_of_members):
                if nearest[r] != v or owns[r, members[m].device]:
                    continue
                x = begin
                while x < at and messages[x].target != m:
                    x += 1
                at = max(at, x + 1)
                size = raw[r].bytes_per_sample * members[m].samples
                messages[x].source, messages[x].target = nodes[v].members, m
                messages[x].consumer, messages[x].node = user, v
                messages[x].size += size
                members[m].received += size
    return messages[:at]
