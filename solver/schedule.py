"""Schedule: one global order of all operations, by list scheduling in unit time, compiled.

An *operation* is the forward or backward pass of one stage for one micro-batch. Its order depends on the
structure of the plan only (stages, caps, who shares a device), never on durations: a faster device or link
cannot reorder anything, so it cannot make a step slower, and what scores plans in batches finds the same order.

Within a stage the order is fixed by the rule: ``min(cap, micro-batches)`` forwards, then one backward and one
forward in turn (1F1B), which with a cap of all micro-batches is GPipe. Between stages that share a device the
operation that can start first in unit time (every operation and every transfer takes one unit) goes first;
ties: backward first, then the smaller micro-batch, then the stage nearer to the sink.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from solver.program import Ints, Kind

_SEND = int(Kind.SEND)
_HANDOVER = int(Kind.HANDOVER)


@njit(cache=True)
def list_schedule(
    num_micro_batches: Ints,
    cap: Ints,
    has_backward: Ints,
    pred_start: Ints,
    pred: Ints,
    pred_lag: Ints,
    succ_start: Ints,
    succ: Ints,
    succ_lag: Ints,
    unit_start: Ints,
    unit: Ints,
    num_classes: int,
    class_start: Ints,
    class_of: Ints,
    depth: Ints,
    on_unit_start: Ints,
    on_unit: Ints,
    num_units: int,
) -> Any:
    """Order all operations of a step.

    Parameters
    ----------
    num_micro_batches, cap, has_backward, depth
        (num_stages,) of every stage; caps must not grow along edges.
    pred_start, pred, pred_lag
        Stages each stage waits for in the forward pass, packed; lag 1 if something is sent.
    succ_start, succ, succ_lag
        Stages each stage waits for in the backward pass, packed.
    unit_start, unit
        Compute lanes of stage s and class c: ``unit[unit_start[s * num_classes + c]:...]``.
    num_classes, class_start, class_of
        Class of micro-batch i of stage s: ``class_of[class_start[s] + i]``.
    on_unit_start, on_unit
        Stages that use each compute lane, packed.
    num_units
        Number of compute lanes.

    Returns
    -------
    tuple of arrays
        (num_operations,) stage, micro-batch, direction (0 forward, 1 backward), start in unit time.

    Notes
    -----
    O(num_operations x num_stages).
    """
    num_stages = len(num_micro_batches)
    offset = np.zeros(num_stages + 1, np.int64)
    total = 0
    for s in range(num_stages):
        offset[s + 1] = offset[s] + num_micro_batches[s]
        total += num_micro_batches[s] * (1 + has_backward[s])
    forward_end = np.full(offset[num_stages], -1, np.int64)
    backward_end = np.full(offset[num_stages], -1, np.int64)
    forwards = np.zeros(num_stages, np.int64)
    backwards = np.zeros(num_stages, np.int64)
    free = np.zeros(num_units, np.int64)
    earliest = np.full(num_stages, -1, np.int64)
    is_backward = np.zeros(num_stages, np.int64)
    stale = np.ones(num_stages, np.bool_)
    out_stage = np.empty(total, np.int32)
    out_micro_batch = np.empty(total, np.int32)
    out_direction = np.empty(total, np.int32)
    out_start = np.empty(total, np.int64)
    for n in range(total):
        best = -1
        for s in range(num_stages):
            if stale[s]:
                stale[s] = False
                earliest[s] = -1
                f, b = forwards[s], backwards[s]
                m = num_micro_batches[s]
                direction = 0
                if has_backward[s] == 1 and (f == m or f - b >= cap[s]):
                    direction = 1
                i = b if direction == 1 else f
                if i >= m:
                    continue
                ready = np.int64(0)
                if direction == 0:
                    for k in range(pred_start[s], pred_start[s + 1]):
                        end = forward_end[offset[pred[k]] + i]
                        if end < 0:
                            ready = np.int64(-1)
                            break
                        ready = max(ready, end + pred_lag[k])
                else:
                    for k in range(succ_start[s], succ_start[s + 1]):
                        end = backward_end[offset[succ[k]] + i]
                        if end < 0:
                            ready = np.int64(-1)
                            break
                        ready = max(ready, end + succ_lag[k])
                if ready < 0:
                    continue
                c = s * num_classes + class_of[class_start[s] + i]
                for k in range(unit_start[c], unit_start[c + 1]):
                    ready = max(ready, free[unit[k]])
                earliest[s] = ready
                is_backward[s] = direction
            if earliest[s] < 0:
                continue
            if best < 0 or earliest[s] < earliest[best]:
                best = s
            elif earliest[s] == earliest[best]:
                if is_backward[s] != is_backward[best]:
                    if is_backward[s] == 1:
                        best = s
                    continue
                i = backwards[s] if is_backward[s] == 1 else forwards[s]
                j = backwards[best] if is_backward[best] == 1 else forwards[best]
                if i < j or (i == j and depth[s] < depth[best]):
                    best = s
        s = best
        direction = is_backward[s]
        i = backwards[s] if direction == 1 else forwards[s]
        out_stage[n], out_micro_batch[n], out_direction[n] = s, i, direction
        out_start[n] = earliest[s]
        end = earliest[s] + 1
        if direction == 1:
            backward_end[offset[s] + i] = end
            backwards[s] += 1
        else:
            forward_end[offset[s] + i] = end
            forwards[s] += 1
        for t in range(num_stages):
            stale[t] = stale[t] or earliest[t] < 0
        stale[s] = True
        c = s * num_classes + class_of[class_start[s] + i]
        for k in range(unit_start[c], unit_start[c + 1]):
            u = unit[k]
            free[u] = end
            for j in range(on_unit_start[u], on_unit_start[u + 1]):
                stale[on_unit[j]] = True
    return out_stage, out_micro_batch, out_direction, out_start


@njit(cache=True)
def emit(
    op_stage: Ints,
    op_micro_batch: Ints,
    op_direction: Ints,
    op_start: Ints,
    template_of: Ints,
    num_classes: int,
    class_start: Ints,
    class_of: Ints,
    unit_start: Ints,
    unit: Ints,
    compute_start: Ints,
    message_start: Ints,
    message_end: Ints,
    kind: Ints,
    row_unit: Ints,
    wait_type: Ints,
    wait_offset: Ints,
    consumer_start: Ints,
    consumer_type: Ints,
    consumer_offset: Ints,
    consumer_place: Ints,
    slot_base: Ints,
    slot_stride: Ints,
    ordinal_base: Ints,
    ordinal_stride: Ints,
    num_ordinals: int,
    num_units: int,
    prefetch: int,
) -> Any:
    """Write the instructions of ordered operations.

    Parameters
    ----------
    op_stage, op_micro_batch, op_direction, op_start
        What :func:`list_schedule` returned.
    template_of
        Template of (stage, direction, class): ``template_of[(2 s + direction) * num_classes + class]``.
    compute_start, message_start, message_end
        (num_templates,): computations and collectives of template t are the rows from ``compute_start[t]``
        to ``message_start[t]``; its messages those up to ``message_end[t]``, a send followed by its receive,
        or a handover alone.
    kind, row_unit
        (num_rows,) kind and compute lane of each row.
    wait_type, wait_offset
        (num_rows,) slot a computation waits for: operation type 2 s + direction, and offset.
    consumer_start, consumer_type, consumer_offset, consumer_place
        Computations that need what message row r carries, packed: operation type, slot offset, and
        place of the device in that stage. The first of them in the device's order waits for it.
    slot_base, slot_stride
        (2 num_stages,) slots of operation type p, micro-batch i: from ``slot_base[p] + i * slot_stride[p]``.
    ordinal_base, ordinal_stride, num_ordinals
        The same for places of an operation in the order of its devices.
    num_units
        Number of compute lanes.
    prefetch
        Computations ahead of its use that a receive is posted at the latest.

    Returns
    -------
    tuple of arrays
        (num_instructions,) row, micro-batch, slot, mate.

    Notes
    -----
    A message leaves when its operation ends in unit time; that order is the order of all lanes. Its
    receive stands before the computation ``prefetch`` places ahead of its use, and never after the send.
    O(num_instructions).
    """
    num_ops = len(op_stage)
    ordinal = np.zeros(num_ordinals, np.int32)
    count = np.zeros(num_units, np.int32)
    num_instructions = 0
    num_messages = 0
    for n in range(num_ops):
        s, i, p = op_stage[n], op_micro_batch[n], 2 * op_stage[n] + op_direction[n]
        c = class_of[class_start[s] + i]
        t = template_of[p * num_classes + c]
        place = 0
        for k in range(unit_start[s * num_classes + c], unit_start[s * num_classes + c + 1]):
            ordinal[ordinal_base[p] + i * ordinal_stride[p] + place] = count[unit[k]]
            count[unit[k]] += 1
            place += 1
        num_instructions += message_end[t] - compute_start[t]
        for r in range(message_start[t], message_end[t]):
            if kind[r] == _SEND:
                num_messages += 1
    # First pass: where each receive is posted.
    target = np.empty(num_messages, np.int32)
    post = np.empty(num_messages, np.int32)
    message_slot = np.empty(num_messages, np.int64)
    count[:] = 0
    head = 0
    m = 0
    for n in range(num_ops + 1):
        while head < n and (n == num_ops or op_start[head] + 1 <= op_start[n]):
            s, i, p = op_stage[head], op_micro_batch[head], 2 * op_stage[head] + op_direction[head]
            t = template_of[p * num_classes + class_of[class_start[s] + i]]
            for r in range(message_start[t], message_end[t]):
                if kind[r] != _SEND:
                    continue
                first = np.int32(2147483647)
                message_slot[m] = -1
                for k in range(consumer_start[r], consumer_start[r + 1]):
                    q = consumer_type[k]
                    at = ordinal[ordinal_base[q] + i * ordinal_stride[q] + consumer_place[k]]
                    if at < first:
                        first = at
                        message_slot[m] = slot_base[q] + i * slot_stride[q] + consumer_offset[k]
                u = row_unit[r + 1]
                target[m] = u
                post[m] = min(count[u], max(0, first - prefetch))
                m += 1
            head += 1
        if n < num_ops:
            s, i = op_stage[n], op_micro_batch[n]
            c = s * num_classes + class_of[class_start[s] + i]
            for k in range(unit_start[c], unit_start[c + 1]):
                count[unit[k]] += 1
    # A lane serves messages in their order, so none is posted after its successor.
    latest = np.full(num_units, 2147483647, np.int32)
    for j in range(num_messages - 1, -1, -1):
        u = target[j]
        if latest[u] < post[j]:
            post[j] = latest[u]
        latest[u] = post[j]
    queue_start = np.zeros(num_units + 1, np.int64)
    for j in range(num_messages):
        queue_start[target[j] + 1] += 1
    for u in range(num_units):
        queue_start[u + 1] += queue_start[u]
    queue = np.empty(num_messages, np.int64)
    fill = queue_start[:num_units].copy()
    for j in range(num_messages):
        queue[fill[target[j]]] = j
        fill[target[j]] += 1
    # Second pass: write.
    receive_row = np.empty(num_messages, np.int32)
    receive_micro_batch = np.empty(num_messages, np.int32)
    head = 0
    m = 0
    for n in range(num_ops + 1):
        while head < n and (n == num_ops or op_start[head] + 1 <= op_start[n]):
            s, i, p = op_stage[head], op_micro_batch[head], 2 * op_stage[head] + op_direction[head]
            t = template_of[p * num_classes + class_of[class_start[s] + i]]
            for r in range(message_start[t], message_end[t]):
                if kind[r] == _SEND:
                    receive_row[m] = r + 1
                    receive_micro_batch[m] = i
                    m += 1
            head += 1
    row = np.empty(num_instructions, np.int32)
    micro_batch = np.empty(num_instructions, np.int32)
    slot = np.full(num_instructions, -1, np.int32)
    mate = np.full(num_instructions, -1, np.int32)
    received_at = np.empty(num_messages, np.int32)
    waiting = queue_start[:num_units].copy()
    count[:] = 0
    head = 0
    m = 0
    x = 0
    for n in range(num_ops + 1):
        while head < n and (n == num_ops or op_start[head] + 1 <= op_start[n]):
            s, i, p = op_stage[head], op_micro_batch[head], 2 * op_stage[head] + op_direction[head]
            t = template_of[p * num_classes + class_of[class_start[s] + i]]
            for r in range(message_start[t], message_end[t]):
                if kind[r] == _SEND:
                    u = target[m]
                    while waiting[u] < queue_start[u + 1] and queue[waiting[u]] <= m:
                        j = queue[waiting[u]]
                        row[x], micro_batch[x] = receive_row[j], receive_micro_batch[j]
                        received_at[j] = x
                        waiting[u] += 1
                        x += 1
                    row[x], micro_batch[x], slot[x] = r, i, message_slot[m]
                    mate[x] = received_at[m]
                    mate[received_at[m]] = x
                    m += 1
                    x += 1
                elif kind[r] == _HANDOVER:
                    q = consumer_type[consumer_start[r]]
                    row[x], micro_batch[x] = r, i
                    slot[x] = slot_base[q] + i * slot_stride[q] + consumer_offset[consumer_start[r]]
                    x += 1
            head += 1
        if n == num_ops:
            break
        s, i, p = op_stage[n], op_micro_batch[n], 2 * op_stage[n] + op_direction[n]
        c = class_of[class_start[s] + i]
        t = template_of[p * num_classes + c]
        for k in range(unit_start[s * num_classes + c], unit_start[s * num_classes + c + 1]):
            u = unit[k]
            while waiting[u] < queue_start[u + 1] and post[queue[waiting[u]]] <= count[u]:
                j = queue[waiting[u]]
                row[x], micro_batch[x] = receive_row[j], receive_micro_batch[j]
                received_at[j] = x
                waiting[u] += 1
                x += 1
            count[u] += 1
        for r in range(compute_start[t], message_start[t]):
            q = wait_type[r]
            row[x], micro_batch[x] = r, i
            slot[x] = slot_base[q] + i * slot_stride[q] + wait_offset[r]
            x += 1
    return row[:x], micro_batch[:x], slot[:x], mate[:x]
