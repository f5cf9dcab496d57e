"""Ring and star: all-reduce of a flat tensor as point-to-point messages, in uneven chunks, nothing padded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from solver.collective import chunks
from solver.execution.transport import Transport


def parts_of(flat: Tensor, num_parts: int) -> list[Tensor]:
    """Return the views of a flat tensor that are passed on one by one.

    Parameters
    ----------
    flat
        One dimension.
    num_parts
        How many; they differ by one item at most.
    """
    item = flat.element_size()
    sizes = chunks(flat.numel() * item, num_parts, item)
    return list(flat.split([size // item for size in sizes]))


def scratch_for(flat: Tensor, num_parts: int) -> Tensor:
    """Return a buffer for the largest part."""
    return torch.empty(max(part.numel() for part in parts_of(flat, num_parts)), dtype=flat.dtype)


def ring_all_reduce(
    transport: Transport, ring: Sequence[str], flat: Tensor, scratch: Tensor, tag: int
) -> None:
    """Add a tensor up over the members of a ring, in place.

    Parameters
    ----------
    transport
        Of this worker, which is one of the ring.
    ring
        Members; each sends to the next.
    flat, scratch
        The tensor, and a buffer for its largest part.
    tag
        Number of its messages.

    Notes
    -----
    Reduce-scatter, then all-gather: member k first passes on every part but its own, then every part but its
    successor's, as :func:`solver.collective.sent_bytes` counts.
    """
    n = len(ring)
    k = list(ring).index(transport.device)
    after, before = ring[(k + 1) % n], ring[(k - 1) % n]
    parts = parts_of(flat, n)
    for step in range(n - 1):
        arriving = parts[(k - step - 2) % n]
        work = transport.receive(before, tag, scratch[: arriving.numel()])
        transport.send(after, tag, parts[(k - step - 1) % n])
        transport.wait(before, work)
        arriving += scratch[: arriving.numel()]
    for step in range(n - 1):
        work = transport.receive(before, tag, parts[(k - step - 1) % n])
        transport.send(after, tag, parts[(k - step) % n])
        transport.wait(before, work)


def star_all_reduce(
    transport: Transport, ring: Sequence[str], flat: Tensor, scratch: Tensor, tag: int
) -> None:
    """Add a tensor up at a server and send the sum back, in place, part by part.

    Parameters
    ----------
    transport, flat, scratch, tag
        As for :func:`ring_all_reduce`; a server that takes no part brings zeros.
    ring
        Server first.
    """
    server, others = ring[0], ring[1:]
    for part in parts_of(flat, len(ring)):
        if transport.device != server:
            # The server answers only when it has the part, so the answer may overwrite it.
            transport.send(server, tag, part)
            transport.wait(server, transport.receive(server, tag, part))
            continue
        arriving = scratch[: part.numel()]
        for name in others:
            transport.wait(name, transport.receive(name, tag, arriving))
            part += arriving
        for name in others:
            transport.send(name, tag, part)
