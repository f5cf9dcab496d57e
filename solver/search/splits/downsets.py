"""Down-sets of a DAG of atoms, with bitsets: all of them, or the prefixes of one order.

A down-set (ideal) holds all predecessors of its members. Down-sets are numbered by size, so that a set comes
before all its supersets, and joined by *covers*: a down-set, an atom that may be added, and what that makes.
:mod:`solver.search.measured.ideals` has the same sets as Python integers, for graphs with few of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from solver.program import Ints
from solver.schedule import compiled
from solver.search.chains.subsets import Words
from solver.search.splits.atoms import Atoms


@dataclass(frozen=True)
class Downsets:
    """Down-sets and their covers; I sets of A atoms.

    Parameters
    ----------
    words
        (I, ceil(A / 64)) members; the first set is empty, the last one has all atoms.
    start, child, added
        Covers of set i are those from ``start[i]`` to ``start[i + 1]``: the larger set, and the atom.
    """

    words: Words
    start: Ints
    child: Ints
    added: Ints

    @property
    def num(self) -> int:
        """Number of sets."""
        return len(self.words)


def all_downsets(atoms: Atoms, most: int, tick: Callable[[int], None]) -> Downsets | None:
    """Return all down-sets; ``None`` if there are more than ``most``.

    Parameters
    ----------
    atoms
        The DAG.
    most
        How many there may be.
    tick
        Called with work done, in covers; may raise to stop.

    Notes
    -----
    Layer by layer, one hash table a layer. O(num_covers (num_atoms / 64 + degree)).
    """
    num_words = max(1, -(-atoms.num // 64))
    needs = np.diff(atoms.pred_start)
    layer = np.zeros((1, num_words), np.uint64)
    ready = np.zeros((1, num_words), np.uint64)
    for a in np.flatnonzero(needs == 0).tolist():
        ready[0, a // 64] |= np.uint64(1) << np.uint64(a % 64)
    layers, counts, children, added = [layer], [np.zeros(0, np.int32)], [], []
    total = 1
    for _ in range(atoms.num):
        count, child, atom, layer, ready = _next_layer(
            layer, ready, atoms.pred_start, atoms.pred, atoms.succ_start, atoms.succ
        )
        counts.append(count)
        children.append(child + total)
        added.append(atom)
        layers.append(layer)
        total += len(layer)
        tick(len(child))
        if total > most:
            return None
    counts.append(np.zeros(1, np.int32))
    start = np.concatenate(([0], np.cumsum(np.concatenate(counts)))).astype(np.int32)
    return Downsets(
        np.concatenate(layers),
        start,
        np.concatenate([*children, np.zeros(0, np.int64)]).astype(np.int32),
        np.concatenate([*added, np.zeros(0, np.int32)]).astype(np.int32),
    )


def prefixes(atoms: Atoms, order: Ints) -> Downsets:
    """Return the down-sets that are prefixes of an order.

    Parameters
    ----------
    atoms
        The DAG.
    order
        (A,) a topological order.
    """
    num = atoms.num
    words = np.zeros((num + 1, max(1, -(-num // 64))), np.uint64)
    for i, a in enumerate(order.tolist()):
        words[i + 1] = words[i]
        words[i + 1, a // 64] |= np.uint64(1) << np.uint64(a % 64)
    start = np.minimum(np.arange(num + 2), num).astype(np.int32)
    return Downsets(words, start, np.arange(1, num + 1, dtype=np.int32), order.astype(np.int32))


def some_order(atoms: Atoms, rng: np.random.Generator | None = None, place: Ints | None = None) -> Ints:
    """Return (A,) a topological order that goes deep before it goes wide.

    Parameters
    ----------
    atoms
        The DAG.
    rng
        Chooses among what is ready; ``None``: the smallest number goes first.
    place
        (A,) what goes first; it must not fall along an edge. ``None``: nothing does.
    """
    waiting = np.diff(atoms.pred_start).tolist()
    rank = (-np.arange(atoms.num) if rng is None else rng.permutation(atoms.num)).tolist()
    at = np.zeros(atoms.num, np.int32).tolist() if place is None else place.tolist()
    ready: list[list[int]] = [[] for _ in range(max(at, default=0) + 1)]
    for a in sorted((a for a in range(atoms.num) if waiting[a] == 0), key=rank.__getitem__):
        ready[at[a]].append(a)
    order = []
    for stack in ready:
        while stack:
            a = stack.pop()
            order.append(a)
            after = atoms.succ[atoms.succ_start[a] : atoms.succ_start[a + 1]].tolist()
            for b in sorted(after, key=rank.__getitem__):
                waiting[b] -= 1
                if waiting[b] == 0:
                    ready[at[b]].append(b)
    return np.array(order, np.int32)


@compiled
def _next_layer(
    layer: Words, ready: Words, pred_start: Ints, pred: Ints, succ_start: Ints, succ: Ints
) -> Any:
    """Return (covers of each set, child in the next layer, atom) and the next layer with its ready atoms."""
    one, zero = np.uint64(1), np.uint64(0)
    num_words = layer.shape[1]
    count = np.zeros(len(layer), np.int32)
    for i in range(len(layer)):
        for w in range(num_words):
            bits = ready[i, w]
            while bits != zero:
                bits &= bits - one
                count[i] += 1
    num_covers = count.sum()
    child, atom = np.empty(num_covers, np.int64), np.empty(num_covers, np.int32)
    size = 16
    while size < 2 * num_covers:
        size *= 2
    table = np.full(size, -1, np.int64)
    sets = np.empty((num_covers, num_words), np.uint64)
    free = np.empty((num_covers, num_words), np.uint64)
    made, e = 0, 0
    for i in range(len(layer)):
        for w in range(num_words):
            bits = ready[i, w]
            while bits != zero:
                low = bits & (~bits + one)
                bits ^= low
                b = 0
                while (low >> np.uint64(b)) != one:
                    b += 1
                a = 64 * w + b
                sets[made] = layer[i]
                sets[made, w] |= low
                at = _place(sets, made, table)
                if table[at] < 0:
                    table[at] = made
                    free[made] = ready[i]
                    free[made, w] ^= low
                    _free_successors(sets[made], free[made], a, pred_start, pred, succ_start, succ)
                    made += 1
                child[e], atom[e] = table[at], a
                e += 1
    return count, child, atom, sets[:made].copy(), free[:made].copy()


@compiled
def _place(sets: Words, which: int, table: Any) -> Any:
    """Return where a set stands in the table, or may be put."""
    mixed = np.uint64(0)
    for w in range(sets.shape[1]):
        mixed = (mixed ^ sets[which, w]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    at = np.int64(mixed & np.uint64(len(table) - 1))
    while table[at] >= 0:
        same = True
        for w in range(sets.shape[1]):
            if sets[table[at], w] != sets[which, w]:
                same = False
                break
        if same:
            return at
        at = (at + 1) & (len(table) - 1)
    return at


@compiled
def _free_successors(
    members: Words, ready: Words, a: int, pred_start: Ints, pred: Ints, succ_start: Ints, succ: Ints
) -> Any:
    """Mark the successors of an atom that have become ready."""
    one = np.uint64(1)
    for s in range(succ_start[a], succ_start[a + 1]):
        b = succ[s]
        is_ready = True
        for p in range(pred_start[b], pred_start[b + 1]):
            if (members[pred[p] // 64] >> np.uint64(pred[p] % 64)) & one == np.uint64(0):
                is_ready = False
                break
        if is_ready:
            ready[b // 64] |= one << np.uint64(b % 64)
