"""Host copies: outputs that cross devices go through host memory, within the devices' computations.

The cost rule of Tarnawski et al., "Efficient algorithms for device placement of DNN graph operators",
NeurIPS 2020, arXiv 2006.16423, for accelerators without links of their own. A device whose output another
device needs copies it once out to host memory, at the end of the computation that makes it, and every device
that needs it copies it once in, at the beginning of its first computation that does. A computation lasts
copies in + compute + copies out; messages carry bytes and take no time. What one copy takes is measured, see
``copy_s`` of :class:`models.workload.TimeProfile`; a device without such times (a processor whose memory is
the host's) copies free of charge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from solver.layout import Box, union
from solver.lowering.context import Context
from solver.lowering.messages import Message
from solver.lowering.stages import StageView


def copies_s(context: Context, device: str, messages: Iterable[Message]) -> float:
    """Return the seconds a device copies what some messages carry, each part of a tensor once.

    Parameters
    ----------
    context
        The plan, and what it names.
    device
        One end of all messages.
    messages
        What it sends after a computation, or what it needs for one.
    """
    boxes: dict[str, list[Box]] = {}
    for message in messages:
        if message.source != message.target and not message.raw:
            for part in message.slices:
                boxes.setdefault(part.block, []).append(part.box)
    board = context.devices[device]
    total = 0.0
    for name, parts in boxes.items():
        block = context.workload.by_name[name]
        for box in union(parts):
            samples = box.samples[1] - box.samples[0]
            share = box.size / (samples * block.tokens * block.columns)
            total += context.costs.copy_s(name, board, samples) * share
    return total


def first_user(message: Message, views: Sequence[StageView]) -> int:
    """Return the stage that copies a message in: of those on its target that need it, the first to run.

    Parameters
    ----------
    message
        With its consumers, by index.
    views
        All stages.

    Notes
    -----
    A stage that comes before another in the stages' graph is deeper; among equals the plan's order decides.
    """
    return max(message.consumers, key=lambda t: (views[t].depth, -t))
