"""Contiguous splits: the least largest load over chains of down-sets, exact below a limit.

The devices of a contiguous split, in an order in which edges go forward, hold differences of a chain of
down-sets. A state is a down-set and how many devices of each kind have been used for it; its value is the
least largest load of those devices. From each down-set with a state, its supersets are walked depth first
over the covers, atom by atom, and what the next device would hold is costed on the way:

- time + cost of the nets it cuts + for every free group the cheaper of hosting it and not;
- left as soon as, on every kind of device, time + nets that are cut for good (some atoms before the device
  and some on it), or the weights, are too much: both only grow;
- a state is dropped if what remains is more than the devices that are left can take below the limit, where
  devices of other kinds than the most common take the atoms they relieve it of most (a fractional knapsack).

After Tarnawski et al., NeurIPS 2020 (arXiv 2006.16423), section 5.1: the same states; the limit, the nets,
the pruning and the incremental costs are ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from solver.program import Floats, Ints, Longs
from solver.schedule import compiled
from solver.search.chains.subsets import Words
from solver.search.splits.atoms import Atoms
from solver.search.splits.contiguous_bound import remaining_s, room_s
from solver.search.splits.downsets import Downsets
from solver.search.splits.host_graph import HostGraph

WORK = 300_000
"""Supersets between two looks at the clock."""


@dataclass(frozen=True)
class Chain:
    """A contiguous split of atoms.

    Parameters
    ----------
    value_s
        Largest load; a lower bound of it where there are free groups.
    parts
        (kind, atoms) of every device that is used, in order.
    """

    value_s: float
    parts: tuple[tuple[int, Ints], ...]


def least_chain(
    graph: HostGraph, atoms: Atoms, downsets: Downsets, limit_s: float, tick: Callable[[int], None]
) -> Chain | None:
    """Return the chain with the least largest load, if that is below a limit.

    Parameters
    ----------
    graph, atoms
        What is split; ``atoms`` made for the limit.
    downsets
        Chains are made of these; exact over them.
    limit_s
        The limit, above zero.
    tick
        Called with work done, in supersets; may raise to stop.
    """
    counts = np.bincount(graph.kind, minlength=len(graph.kind_names)).astype(np.int64)
    strides = np.concatenate(([1], np.cumprod(counts + 1)[:-1])).astype(np.int64)
    num_states = int(np.prod(counts + 1))
    digits = (np.arange(num_states)[:, None] // strides) % (counts + 1)
    common = int(counts.argmax())
    memory = np.array([graph.memory_bytes[graph.kind == k].min() for k in range(len(counts))])
    value = np.full((downsets.num, num_states), math.inf)
    value[0, 0] = 0.0
    parent = np.full(value.shape, -1, np.int32)
    via = np.full(value.shape, -1, np.int8)
    remaining, room = remaining_s(atoms, downsets, common), room_s(atoms, counts - digits, common, limit_s)
    stamp = np.full(downsets.num, -1, np.int32)
    first = 0
    while first < downsets.num - 1:
        first, work = _extend(
            first, WORK, limit_s, downsets.words, downsets.start, downsets.child, downsets.added,
            atoms.time_s, atoms.size_bytes, memory, atoms.net_cost_s, atoms.net_size, atoms.own_start,
            atoms.own, atoms.free_time_s, atoms.free_total_s, atoms.link_start, atoms.link,
            atoms.link_cost_s, digits, counts, strides, remaining, room, value, parent, via, stamp,
        )  # fmt: skip
        tick(int(work))
    state = int(value[-1].argmin())
    if not value[-1, state] < limit_s:
        return None
    return Chain(float(value[-1, state]), _unwind(downsets, atoms.num, parent, via, strides, state))


def device_of(graph: HostGraph, atoms: Atoms, chain: Chain) -> Ints:
    """Return (N,) device of every node under a chain; -1 for nodes of free groups.

    Parameters
    ----------
    graph, atoms, chain
        What is split, and how.
    """
    device = np.full(atoms.num + 1, -1, np.int32)
    for d, (_, members) in zip(chain_devices(graph, chain), chain.parts, strict=True):
        device[members] = d
    found: Ints = device[atoms.atom[graph.group]]
    return found


def chain_devices(graph: HostGraph, chain: Chain) -> list[int]:
    """Return the device of every part of a chain.

    Parameters
    ----------
    graph, chain
        What is split, and how.
    """
    left = {k: np.flatnonzero(graph.kind == k).tolist()[::-1] for k in range(len(graph.kind_names))}
    return [left[kind].pop() for kind, _ in chain.parts]


def _unwind(
    downsets: Downsets, num: int, parent: Ints, via: Any, strides: Longs, state: int
) -> tuple[tuple[int, Ints], ...]:
    parts: list[tuple[int, Ints]] = []
    here = downsets.num - 1
    while here > 0:
        before, kind = int(parent[here, state]), int(via[here, state])
        both = downsets.words[here] & ~downsets.words[before]
        bits = np.unpackbits(both.view(np.uint8), bitorder="little")[:num]
        parts.append((kind, np.flatnonzero(bits).astype(np.int32)))
        here, state = before, state - int(strides[kind])
    return tuple(reversed(parts))


@compiled
def _extend(
    first: int,
    budget: int,
    limit_s: float,
    words: Words,
    start: Ints,
    child: Ints,
    added: Ints,
    time_s: Floats,
    size_bytes: Longs,
    memory: Longs,
    net_cost: Floats,
    net_size: Ints,
    own_start: Ints,
    own: Ints,
    free_time: Floats,
    free_total: Floats,
    link_start: Ints,
    link: Ints,
    link_cost: Floats,
    digits: Longs,
    counts: Longs,
    strides: Longs,
    remaining: Floats,
    room: Floats,
    value: Floats,
    parent: Ints,
    via: Any,
    stamp: Ints,
) -> Any:
    """Extend all states from a down-set on, until a budget of supersets is spent; return the next and it."""
    num_atoms, kinds = time_s.shape
    num_states = value.shape[1]
    before = np.zeros(len(net_size), np.int32)
    inside = np.zeros(len(net_size), np.int32)
    joined = np.zeros(free_time.shape)
    # Per depth: time and nets cut for good; nets cut; free groups; weights.
    hard = np.zeros((num_atoms + 1, kinds))
    load = np.zeros((num_atoms + 1, kinds))
    size = np.zeros(num_atoms + 1, np.int64)
    at = np.zeros(num_atoms + 1, np.int64)
    edge = np.zeros(num_atoms + 1, np.int64)
    atom = np.zeros(num_atoms + 1, np.int64)
    useful = np.zeros(num_states, np.int64)
    work = 0
    i = first
    while i < len(value) - 1 and work < budget:
        num_useful = _useful(i, limit_s, value, digits, strides, remaining, room, useful)
        if num_useful > 0:
            _count_members(words[i], own_start, own, before)
            joined[:] = 0.0
            depth = 0
            at[0], edge[0] = i, start[i]
            while depth >= 0:
                if edge[depth] == start[at[depth] + 1]:
                    if depth > 0:
                        _take_back(atom[depth], own_start, own, inside, link_start, link, link_cost, joined)
                    depth -= 1
                    continue
                e = edge[depth]
                edge[depth] += 1
                j = child[e]
                if stamp[j] == i:
                    continue
                stamp[j] = i
                work += 1
                a = added[e]
                alive = _put(
                    a, depth, limit_s, time_s, size_bytes, memory, net_cost, net_size, own_start, own,
                    free_time, free_total, link_start, link, link_cost, before, inside, joined, hard,
                    load, size,
                )  # fmt: skip
                if not alive:
                    _take_back(a, own_start, own, inside, link_start, link, link_cost, joined)
                    continue
                depth += 1
                at[depth], edge[depth], atom[depth] = j, start[j], a
                for k in range(kinds):
                    if load[depth, k] < limit_s and hard[depth, k] < limit_s and size[depth] <= memory[k]:
                        for n in range(num_useful):
                            s = useful[n]
                            if digits[s, k] == counts[k]:
                                continue
                            new = max(value[i, s], load[depth, k])
                            after = s + strides[k]
                            if new < value[j, after] and remaining[j] <= room[after]:
                                value[j, after], parent[j, after], via[j, after] = new, i, k
        i += 1
    return i, work


@compiled
def _useful(
    i: int, limit_s: float, value: Floats, digits: Longs, strides: Longs, remaining: Floats, room: Floats,
    useful: Longs,
) -> Any:  # fmt: skip
    """List the states of a down-set that may lead below the limit and that no other beats."""
    found = 0
    for s in range(value.shape[1]):
        if not value[i, s] < limit_s or remaining[i] > room[s]:
            continue
        is_beaten = False
        for k in range(len(strides)):
            if digits[s, k] > 0 and value[i, s - strides[k]] <= value[i, s]:
                is_beaten = True
        if not is_beaten:
            useful[found] = s
            found += 1
    return found


@compiled
def _count_members(members: Words, own_start: Ints, own: Ints, before: Ints) -> Any:
    """Count the atoms of every net that a down-set has."""
    before[:] = 0
    for a in range(len(own_start) - 1):
        if (members[a // 64] >> np.uint64(a % 64)) & np.uint64(1) != np.uint64(0):
            for n in range(own_start[a], own_start[a + 1]):
                before[own[n]] += 1


@compiled
def _put(
    a: int,
    depth: int,
    limit_s: float,
    time_s: Floats,
    size_bytes: Longs,
    memory: Longs,
    net_cost: Floats,
    net_size: Ints,
    own_start: Ints,
    own: Ints,
    free_time: Floats,
    free_total: Floats,
    link_start: Ints,
    link: Ints,
    link_cost: Floats,
    before: Ints,
    inside: Ints,
    joined: Floats,
    hard: Floats,
    load: Floats,
    size: Longs,
) -> Any:
    """Put an atom on the device; return whether any kind of device may still take it all."""
    kinds = time_s.shape[1]
    size[depth + 1] = size[depth] + size_bytes[a]
    for k in range(kinds):
        hard[depth + 1, k] = hard[depth, k] + time_s[a, k]
        load[depth + 1, k] = load[depth, k] + time_s[a, k]
    for n in range(own_start[a], own_start[a + 1]):
        e = own[n]
        inside[e] += 1
        if inside[e] == 1:
            for k in range(kinds):
                load[depth + 1, k] += net_cost[e, k]
            if before[e] > 0:
                for k in range(kinds):
                    hard[depth + 1, k] += net_cost[e, k]
        elif inside[e] == net_size[e]:
            for k in range(kinds):
                load[depth + 1, k] -= net_cost[e, k]
    for x in range(link_start[a], link_start[a + 1]):
        f = link[x]
        for k in range(kinds):
            old = joined[f, k]
            new = old + link_cost[x, k]
            joined[f, k] = new
            whole = free_time[f, k] + free_total[f, k]
            load[depth + 1, k] += min(new, max(whole - new, 0.0)) - min(old, max(whole - old, 0.0))
    alive = False
    for k in range(kinds):
        alive |= hard[depth + 1, k] < limit_s and size[depth + 1] <= memory[k]
    return alive


@compiled
def _take_back(
    a: int, own_start: Ints, own: Ints, inside: Ints, link_start: Ints, link: Ints, link_cost: Floats,
    joined: Floats,
) -> Any:  # fmt: skip
    for n in range(own_start[a], own_start[a + 1]):
        inside[own[n]] -= 1
    for x in range(link_start[a], link_start[a + 1]):
        for k in range(joined.shape[1]):
            joined[link[x], k] -= link_cost[x, k]
