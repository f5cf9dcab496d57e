"""Collectives of a plan as rows: one instruction per member, in which all take part at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.workload import NUM_BYTES
from solver.collective import chunks, ring_order, ring_s, sent_bytes
from solver.lowering.context import Context
from solver.program import Kind, Row


@dataclass(frozen=True)
class _Share:
    """What one member of a collective does in it.

    Parameters
    ----------
    sent_bytes
        Bytes it sends.
    send_s, receive_s
        How long its own link is busy, each way.
    buffer_bytes
        What it needs to receive into.
    """

    sent_bytes: int
    send_s: float
    receive_s: float
    buffer_bytes: int


@dataclass(frozen=True)
class _Exchange:
    """A collective: its members in order with their shares, how long it takes, and its shared lanes."""

    members: dict[str, _Share]
    seconds: float
    lanes: frozenset[int]


def collective_rows(
    context: Context,
    members: Sequence[str],
    operation: str,
    sizes: Sequence[int],
    server: str | None = None,
    *,
    ring: Sequence[str] = (),
) -> list[Row]:
    """Return the rows of a collective, one per member, the first with the number of members.

    Parameters
    ----------
    context
        The plan.
    members
        Devices, in the order of ``sizes``.
    operation
        ``all_reduce``, ``all_gather`` or ``reduce_scatter``.
    sizes
        Bytes of each member's chunk; an all-reduce is cut anew into equal chunks.
    server
        Centre of a star; ``None`` for a ring.
    ring
        The order in which a ring joins them, others among them; empty: each its nearest.

    Notes
    -----
    All members take part until the last is done, but a radio costs power only while its own link is busy:
    the power of a row is the mean over its duration.
    """
    if server is None:
        joined = tuple(name for name in ring if name in members) or ring_order(members, context.hop)
        exchange = _ring(context, joined, dict(zip(members, sizes, strict=True)), operation)
    else:
        exchange = _star(context, members, server, sum(sizes))
    order = tuple(exchange.members)
    rows = []
    for i, (device, share) in enumerate(exchange.members.items()):
        own = {context.lane(device, "send"), context.lane(device, "recv")}
        radio_j = context.radio_w(device) * share.send_s
        radio_j += context.devices[device].radio_w.value * share.receive_s
        rows.append(
            Row(
                kind=Kind.COLLECTIVE,
                device=device,
                duration_s=exchange.seconds,
                num_bytes=share.sent_bytes,
                alloc_bytes=share.buffer_bytes,
                free_bytes=share.buffer_bytes,
                power_w=radio_j / exchange.seconds if exchange.seconds else 0.0,
                unit=context.unit_of[device],
                lanes=tuple(sorted(own | (exchange.lanes if i == 0 else frozenset()))),
                members=len(order) if i == 0 else 0,
                operation=operation,
                topology="ring" if server is None else "star",
                ring=order,
            )
        )
    return rows


def _ring(context: Context, ring: Sequence[str], size_of: dict[str, int], operation: str) -> _Exchange:
    n, total = len(ring), sum(size_of.values())
    hops = [context.hop(a, b) for a, b in zip(ring, (*ring[1:], ring[0]), strict=True)]
    item = NUM_BYTES[context.plan.job.precision]
    reduces = operation == "all_reduce"
    sent = sent_bytes(operation, chunks(total, n, item) if reduces else [size_of[name] for name in ring])
    seconds = ring_s(operation, [total / n if reduces else size_of[name] for name in ring], hops)
    steps = (n - 1) * (2 if reduces else 1)
    busy = [steps * hop.latency_s + size / hop.bytes_per_s for size, hop in zip(sent, hops, strict=True)]
    shares = {}
    for i, name in enumerate(ring):
        buffer = -(-total // n) if reduces else total - size_of[name]
        shares[name] = _Share(sent[i], busy[i], busy[i - 1], buffer)
    lanes = frozenset(context.lane_of[f"{medium}:medium"] for hop in hops for medium in hop.media)
    return _Exchange(shares, seconds, lanes)


def _star(context: Context, members: Sequence[str], server: str, total: int) -> _Exchange:
    """An all-reduce through a server: all send to it, then it sends to all.

    Notes
    -----
    Transfers through one lane follow one another; members with a share of the spectrum send at once. The
    sum is formed part by part; a server that is no member needs room for all of it as well.
    """
    others = [name for name in members if name != server]
    ways = {
        name: (context.transfer(name, server, total), context.transfer(server, name, total))
        for name in others
    }
    up_s, down_s = ({name: way[k][0] for name, way in ways.items()} for k in (0, 1))
    seconds, lanes = 0.0, set()
    for k in (0, 1):
        busy: dict[int, float] = {}
        for way in ways.values():
            for lane in way[k][1]:
                busy[lane] = busy.get(lane, 0.0) + way[k][0]
        seconds += max(busy.values(), default=0.0)
        lanes |= {lane for lane in busy if context.lanes[lane].endswith(":medium")}
    part = -(-total // (len(others) + 1))
    room = part if server in members else total + part
    shares = {server: _Share(total * len(others), sum(down_s.values()), sum(up_s.values()), room)}
    shares |= {name: _Share(total, up_s[name], down_s[name], part) for name in others}
    return _Exchange(shares, seconds, frozenset(lanes))
