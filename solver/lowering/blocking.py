"""Blocking messages: a device computes nothing while it sends or receives.

The cost rule of runtimes that exchange activations between two passes and wait for them (Narayanan et al.,
"Efficient large-scale language model training on GPU clusters using Megatron-LM", SC 2021, arXiv
2104.04473: ``send_forward_recv_backward`` and its kin). A computation lasts messages in + compute + messages
out, each message as long as its way through the network, at both of its ends; messages carry bytes and take
no time of their own. Nobody waits for the other end to be ready beyond the order of the passes.
"""

from __future__ import annotations

from collections.abc import Iterable

from solver.lowering.context import Context
from solver.lowering.messages import Message


def blocked_s(context: Context, device: str, messages: Iterable[Message]) -> float:
    """Return the seconds a device is held up by messages, one after another.

    Parameters
    ----------
    context
        The plan, and what it names.
    device
        One end of all messages.
    messages
        What it sends after a computation, or receives before one.
    """
    away = [message for message in messages if message.source != message.target]
    assert all(device in (message.source, message.target) for message in away), "one end is the device"
    return sum(context.transfer(m.source, m.target, m.num_bytes)[0] for m in away)
