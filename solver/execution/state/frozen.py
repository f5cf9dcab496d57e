"""Frozen: weights that never change come to whoever keeps copies of them once, before the first step."""

from __future__ import annotations

import json
from collections.abc import Iterator

import torch

from solver.execution.network.transport import Transport
from solver.execution.passes.replica import Replica
from solver.execution.state.copies import Copies, frozen_of
from solver.lowering.context import Context
from solver.lowering.sync import frozen_bytes
from solver.plan import Plan, share_devices

_TAG = 2**30 + 4
"""Tags beyond those of a Program's instructions: what is asked for, and what is sent."""


def share_frozen(context: Context, replica: Replica, copies: Copies, transport: Transport) -> None:
    """Bring the frozen weights of all stages that have backups to where the copies are kept.

    Parameters
    ----------
    context
        The plan; all its workers call this.
    replica, copies
        What this worker holds, and keeps for others; what it keeps already does not travel again.
    transport
        To the others.

    Notes
    -----
    Control traffic, as the weights of a checkpoint or those that move between plans: it is no part of a step.
    """
    found = [one for one in _copied(context) if one[0] != one[1] and one[1] in transport.rank]
    own = transport.device
    coming: dict[str, str] = {}
    for source, target, blocks in found:
        if target == own:
            missing = [block for block in blocks if block not in copies.frozen and block not in coming]
            coming |= dict.fromkeys(missing, source)
            text = json.dumps(missing).encode()
            transport.tell_bytes(source, _TAG, torch.frombuffer(bytearray(text), dtype=torch.uint8))
    for source, target, _ in found:
        if source == own:
            for block in json.loads(transport.hear_bytes(target, _TAG).numpy().tobytes()):
                transport.tell_bytes(target, _TAG + 1, frozen_of(replica, block))
    for block, source in coming.items():
        copies.frozen[block] = transport.hear_bytes(source, _TAG + 1)
    transport.flush()


def kept_blocks(plan: Plan, device: str) -> frozenset[str]:
    """Return the blocks of others of which a device keeps a copy.

    Parameters
    ----------
    plan, device
        The plan, and whose they are.
    """
    kept = [plan.pipelines[b.stage[0]].stages[b.stage[1]] for b in plan.backup if b.on == device]
    return frozenset(block for stage in kept for block in stage.blocks)


def _copied(context: Context) -> Iterator[tuple[str, str, list[str]]]:
    """Yield (holder, keeper, blocks with frozen weights) of every backup that has some."""
    for backup in context.plan.backup:
        p, s = backup.stage
        stage = context.plan.pipelines[p].stages[s]
        blocks = [name for name in context.workload.order if name in set(stage.blocks)]
        frozen = [name for name in blocks if frozen_bytes(context, name)]
        if frozen:
            yield share_devices(stage.shares)[0], backup.on, frozen
