"""Ring and star: collectives as point-to-point messages, in uneven parts, nothing padded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from solver.collective import chunks
from solver.execution.network.transport import Transport


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


def ring_collective(
    transport: Transport, operation: str, ring: Sequence[str], parts: list[Tensor], scratch: Tensor, tag: int
) -> None:
    """Add parts up over the members of a ring, or pass them round, in place.

    Parameters
    ----------
    transport
        Of this worker, which is one of the ring.
    operation
        ``all_reduce``: every member gets the sum of all parts. ``reduce_scatter``: of its own part.
        ``all_gather``: it brings its own part and gets all.
    ring
        Members; each sends to the next.
    parts, scratch
        The part of each member, in ring order, of any sizes; a buffer for the largest, where parts are added.
    tag
        Number of its messages.

    Notes
    -----
    Member k first passes on every part but its own (reduce-scatter), then every part but its successor's
    (all-gather), as :func:`solver.collective.sent_bytes` counts.
    """
    if operation != "all_gather":
        _reduce_scatter(transport, ring, parts, scratch, tag)
    if operation != "reduce_scatter":
        _all_gather(transport, ring, parts, tag)


def _reduce_scatter(
    transport: Transport, ring: Sequence[str], parts: list[Tensor], scratch: Tensor, tag: int
) -> None:
    n, k = len(ring), list(ring).index(transport.device)
    after, before = ring[(k + 1) % n], ring[(k - 1) % n]
    for step in range(n - 1):
        arriving = parts[(k - step - 2) % n]
        room = scratch[: arriving.numel()]
        work = transport.receive(before, tag, room)
        transport.send(after, tag, parts[(k - step - 1) % n])
        transport.wait(before, work)
        arriving += room.view_as(arriving)


def _all_gather(transport: Transport, ring: Sequence[str], parts: list[Tensor], tag: int) -> None:
    n, k = len(ring), list(ring).index(transport.device)
    after, before = ring[(k + 1) % n], ring[(k - 1) % n]
    # All at once: who has posted a receive in time is not asked for it when the part is there.
    works = [transport.receive(before, tag, parts[(k - step - 1) % n]) for step in range(n - 1)]
    for step, work in enumerate(works):
        transport.send(after, tag, parts[(k - step) % n])
        transport.wait(before, work)


def star_all_reduce(
    transport: Transport, ring: Sequence[str], parts: list[Tensor], scratch: Tensor, tag: int
) -> None:
    """Add a tensor up at a server and send the sum back, in place, part by part.

    Parameters
    ----------
    transport, parts, scratch, tag
        As for :func:`ring_collective`; a server that takes no part brings zeros.
    ring
        Server first.
    """
    server, others = ring[0], ring[1:]
    for part in parts:
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
