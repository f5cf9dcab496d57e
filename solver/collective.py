"""Collectives as rings or stars of point-to-point messages: who sends how much, and how long it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Hop(NamedTuple):
    """What lies between two members of a ring.

    Parameters
    ----------
    bytes_per_s, latency_s
        Rate and latency.
    media
        Shared media on the way: their transfers come one after another.
    """

    bytes_per_s: float
    latency_s: float
    media: tuple[str, ...]


def ring_order(members: Sequence[str], hop: Callable[[str, str], Hop]) -> tuple[str, ...]:
    """Return members as a ring, each followed by its nearest one that is left; the first stays first."""
    ring, rest = [members[0]], list(members[1:])
    while rest:
        nearest = min(rest, key=lambda name: -hop(ring[-1], name).bytes_per_s)
        ring.append(nearest)
        rest.remove(nearest)
    return tuple(ring)


def chunks(size: int, parts: int, item: int) -> list[int]:
    """Cut a size in bytes into parts of whole items that differ by one item at most."""
    items, odd = divmod(size, item)
    base, rest = divmod(items, parts)
    sizes = [(base + (i < rest)) * item for i in range(parts)]
    sizes[-1] += odd
    return sizes


def sent_bytes(operation: str, sizes: Sequence[int]) -> list[int]:
    """Return the bytes each member of a ring sends.

    Parameters
    ----------
    operation
        ``all_reduce``, ``all_gather`` or ``reduce_scatter``.
    sizes
        (num_members,), bytes of each member's chunk, in ring order.

    Notes
    -----
    Reduce-scatter: member k passes on every chunk but its own. All-gather: every chunk but its
    successor's. All-reduce is the one, then the other.
    """
    n, total = len(sizes), sum(sizes)
    scatter = [total - sizes[k] for k in range(n)]
    gather = [total - sizes[(k + 1) % n] for k in range(n)]
    if operation == "reduce_scatter":
        return scatter
    if operation == "all_gather":
        return gather
    return [a + b for a, b in zip(scatter, gather, strict=True)]


def chunk_sizes(operation: str, sent: Sequence[int]) -> list[float]:
    """Return the bytes of each member's chunk, from what each sends: :func:`sent_bytes` the other way round.

    Parameters
    ----------
    operation
        ``all_reduce``, ``all_gather`` or ``reduce_scatter``.
    sent
        (num_members,), bytes each member of a ring sends, in ring order.

    Notes
    -----
    All chunks of an all-reduce count as equal.
    """
    n = len(sent)
    if operation == "all_reduce":
        return [sum(sent) / (2 * (n - 1) * n)] * n
    total = sum(sent) // (n - 1)
    if operation == "reduce_scatter":
        return [total - size for size in sent]
    return [total - sent[k - 1] for k in range(n)]


def ring_s(operation: str, sizes: Sequence[float], hops: Sequence[Hop]) -> float:
    """Return the seconds a ring takes.

    Parameters
    ----------
    operation
        ``all_reduce``, ``all_gather`` or ``reduce_scatter``.
    sizes
        (num_members,), bytes of each chunk in ring order.
    hops
        (num_members,), from each member to the next.

    Notes
    -----
    In each of its steps every member passes one chunk to the next; a step lasts as long as its slowest
    hop, or as the sum of the transfers through one shared medium.
    """
    n = len(sizes)
    total = 0.0
    first = 1 if operation == "reduce_scatter" else 0
    equal = _step_s(sizes, hops) if len(set(sizes)) == 1 else None
    for step in range(first, first + n - 1):
        total += equal or _step_s([sizes[(k - step) % n] for k in range(n)], hops)
    return 2 * total if operation == "all_reduce" else total


def _step_s(sent: Sequence[float], hops: Sequence[Hop]) -> float:
    times = [hop.latency_s + size / hop.bytes_per_s for size, hop in zip(sent, hops, strict=True)]
    shared: dict[str, float] = {}
    for time, hop in zip(times, hops, strict=True):
        for medium in hop.media:
            shared[medium] = shared.get(medium, 0.0) + time
    return max([*times, *shared.values()])
