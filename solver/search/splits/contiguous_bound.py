"""Bounds of contiguous splits: how much work the devices that are left can take below a limit.

Work is counted in seconds on the most common kind of device. Devices of another kind relieve it of most per
second of their own by the atoms on which they are relatively fastest: a fractional knapsack, over all atoms.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from solver.program import Floats, Ints, Longs
from solver.schedule import compiled
from solver.search.splits.atoms import Atoms
from solver.search.splits.downsets import Downsets
from solver.search.splits.host_graph import HostGraph

HALVINGS = 60


def remaining_s(atoms: Atoms, downsets: Downsets, common: int) -> Floats:
    """Return (I,) seconds on the most common kind of the atoms outside each down-set.

    Parameters
    ----------
    atoms, downsets
        What is split, and its down-sets.
    common
        The most common kind; atoms that may not run on it count nothing.
    """
    seconds = _finite(atoms.time_s[:, common])
    found = np.zeros(downsets.num)
    parents = np.repeat(np.arange(downsets.num), np.diff(downsets.start))
    _add_up(parents, downsets.child, downsets.added, seconds, found)
    remaining: Floats = seconds.sum() - found
    return remaining


def room_s(atoms: Atoms, left: Longs, common: int, limit_s: float) -> Floats:
    """Return (S,) seconds of the most common kind that some devices can take, each below a limit.

    Parameters
    ----------
    atoms
        What there is.
    left
        (S, K) devices of every kind.
    common
        The most common kind.
    limit_s
        Most seconds of a device.
    """
    room = (left[:, common] * limit_s).astype(float)
    for k in range(left.shape[1]):
        if k != common:
            most = int(left[:, k].max(initial=0))
            table = np.array([relief_s(atoms, common, k, n * limit_s) for n in range(most + 1)])
            room += table[left[:, k]]
    return room * (1 + 1e-9) + 1e-12


def relief_s(atoms: Atoms, common: int, kind: int, budget_s: float) -> float:
    """Return the most seconds of one kind that another kind of device can take over in a time.

    Parameters
    ----------
    atoms
        What there is.
    common, kind
        The kind that is relieved, and the one that relieves it.
    budget_s
        Time of the relieving devices, all together.
    """
    theirs, own = _finite(atoms.time_s[:, common]), atoms.time_s[:, kind]
    usable = (theirs > 0) & np.isfinite(own)
    theirs, own = theirs[usable], own[usable]
    order = np.argsort(own / theirs, kind="stable")
    taken = np.cumsum(own[order])
    whole = int(np.searchsorted(taken, budget_s, side="right"))
    total = float(theirs[order][:whole].sum())
    if whole < len(order):
        rest = budget_s - (taken[whole - 1] if whole else 0.0)
        last = order[whole]
        total += float(theirs[last] * rest / own[last])
    return total


def work_bound_s(graph: HostGraph, atoms: Atoms) -> float:
    """Return a lower bound of the largest load: all work over all devices, and the longest atom.

    Parameters
    ----------
    graph, atoms
        What is split.
    """
    counts = np.bincount(graph.kind, minlength=len(graph.kind_names)).astype(np.int64)
    common = int(counts.argmax())
    work = float(_finite(atoms.time_s[:, common]).sum())
    low, high = 0.0, max(work, 1e-300)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if room_s(atoms, counts[None], common, middle)[0] < work:
            low = middle
        else:
            high = middle
    return max(low, float(atoms.time_s.min(axis=1).max(initial=0.0)))


def _finite(seconds: Floats) -> Floats:
    return np.where(np.isfinite(seconds), seconds, 0.0)


@compiled
def _add_up(parents: Longs, child: Ints, added: Ints, seconds: Floats, found: Floats) -> Any:
    for e in range(len(child)):
        found[child[e]] = found[parents[e]] + seconds[added[e]]
