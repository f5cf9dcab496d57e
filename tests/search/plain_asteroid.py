"""Asteroid's two algorithms written down as in the paper: lists of steps, sums over them, recursion."""

from __future__ import annotations

import math
from dataclasses import dataclass

from solver.search.literature.group_tables import GroupTables


@dataclass(frozen=True)
class Step:
    """A stage or a transfer: forward, backward and all-reduce seconds."""

    forward: float
    backward: float
    reduce: float = 0.0

    @property
    def both(self) -> float:
        return self.forward + self.backward


def round_latency(steps: list[Step], num_micro_batches: int) -> float:
    """Eq. 4 to 6 and 11."""
    weights = [num_micro_batches * step.both + sum(s.both for s in steps[:c]) for c, step in enumerate(steps)]
    dominant = weights.index(max(weights))
    latencies = []
    for s, step in enumerate(steps):
        wait = sum(other.forward for other in steps[:s])
        execution = num_micro_batches * steps[dominant].both
        if s < dominant:
            execution += sum(other.both for other in steps[s:dominant])
        else:
            execution -= sum(other.both for other in steps[dominant:s])
        latencies.append(wait + execution + step.reduce)
    return max(latencies)


def seconds(tables: GroupTables, v: int, n: int, h: int, i: int) -> tuple[float, float]:
    forward, backward = tables.times_s[:, v, n, i] - tables.times_s[:, v, n, h]
    return float(forward), float(backward)


def shares_of(tables: GroupTables, group: tuple[int, ...], h: int, i: int, depth: int) -> list[int] | None:
    """Algorithm 1; None where the group has no room."""
    static = int(tables.static_bytes[i] - tables.static_bytes[h])
    caps = []
    for v in group:
        if static > tables.limit_bytes[v] or not tables.allowed[v, h, i]:
            return None
        fitting = [
            n
            for n in range(tables.samples + 1)
            if static + n * tables.held_bytes[depth, h, i] <= tables.limit_bytes[v]
        ]
        caps.append(max(fitting))
    if sum(caps) < tables.samples:
        return None
    shares = balanced(tables, group, h, i, caps)
    while True:
        times = [sum(seconds(tables, v, n, h, i)) for v, n in zip(group, shares, strict=True)]
        slow = max((j for j in range(len(group)) if shares[j]), key=lambda j: (times[j], -j))
        roomy = [j for j in range(len(group)) if shares[j] < caps[j]]
        if not roomy:
            return shares
        fast = min(roomy, key=lambda j: (times[j], j))
        if fast == slow:
            return shares
        moved = list(shares)
        moved[slow], moved[fast] = moved[slow] - 1, moved[fast] + 1
        after = [sum(seconds(tables, v, n, h, i)) for v, n in zip(group, moved, strict=True)]
        if max(after) >= times[slow]:
            return shares
        shares = moved


def balanced(tables: GroupTables, group: tuple[int, ...], h: int, i: int, caps: list[int]) -> list[int]:
    whole = [max(sum(seconds(tables, v, tables.samples, h, i)), 1e-30) for v in group]
    shares, open_, left = [0] * len(group), {j for j in range(len(group)) if caps[j]}, tables.samples
    while left:
        total = sum(1 / whole[j] for j in sorted(open_))
        quota = {j: left / whole[j] / total for j in sorted(open_)}
        full = [j for j in sorted(open_) if quota[j] >= caps[j]]
        if not full:
            for j in quota:
                shares[j] = int(quota[j] + 1e-9)
            for _ in range(left - sum(shares[j] for j in quota)):
                lacking = [j for j in quota if shares[j] < caps[j]]
                best = max(quota[j] - shares[j] for j in lacking)
                shares[next(j for j in lacking if quota[j] - shares[j] >= best - 1e-9)] += 1
            return shares
        for j in full:
            shares[j] = caps[j]
            left -= caps[j]
            open_.remove(j)
    return shares


def plan(
    tables: GroupTables, devices: tuple[int, ...], depth: int, h: int = 0
) -> tuple[float, list[Step], list[tuple[tuple[int, ...], int, int]]] | None:
    """Algorithm 2: the kept plan of blocks from h on all of some devices, in so many stages."""
    best: tuple[float, list[Step], list[tuple[tuple[int, ...], int, int]]] | None = None
    last = tables.num_blocks
    for size in range(1, len(devices) + 1):
        group, after = devices[:size], devices[size:]
        for i in range(h + 1, last + 1):
            if (depth == 1) != (i == last) or (depth == 1) != (not after):
                continue
            shares = shares_of(tables, group, h, i, depth)
            rest = plan(tables, after, depth - 1, i) if depth > 1 else (0.0, [], [])
            if shares is None or rest is None:
                continue
            steps = [stage_step(tables, group, shares, h, i), *rest[1]]
            if depth > 1:
                steps.insert(1, transfer_step(tables, group, rest[2][0][0], i))
            latency = round_latency(steps, tables.num_micro_batches)
            if best is None or latency < best[0] * (1 - 1e-12):
                best = (latency, steps, [(group, h, i), *rest[2]])
    return best


def stage_step(tables: GroupTables, group: tuple[int, ...], shares: list[int], h: int, i: int) -> Step:
    times = [seconds(tables, v, n, h, i) for v, n in zip(group, shares, strict=True)]
    rate, latency = tables.links
    num, moved = len(group), float(tables.reduced_bytes[i] - tables.reduced_bytes[h])
    pairs = [(u, v) for u in group for v in group if u != v]
    ring = 0.0
    if pairs and moved:
        slowest, longest = min(rate[p] for p in pairs), max(latency[p] for p in pairs)
        ring = 2 * (num - 1) / num * moved / slowest + 2 * (num - 1) * longest
    return Step(max(f for f, _ in times), max(b for _, b in times), float(ring))


def transfer_step(tables: GroupTables, group: tuple[int, ...], other: tuple[int, ...], i: int) -> Step:
    rate, latency = tables.links
    pairs = [(u, v) for u in group for v in other]
    once = tables.cut_bytes[i] / min(rate[p] for p in pairs) + max(latency[p] for p in pairs)
    return Step(float(once), float(once) if tables.gradients[i] else 0.0)


def best_latency(tables: GroupTables, devices: tuple[int, ...]) -> float:
    most = min(len(devices), tables.num_blocks)
    found = [plan(tables, devices, depth) for depth in range(1, most + 1)]
    return min((one[0] for one in found if one is not None), default=math.inf)
