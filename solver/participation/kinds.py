"""Kinds: devices that can be exchanged for one another, so that groups which differ by that count once.

Two devices are of one kind if they have equal cards and equal links to every other device: exchanging them
leaves the cluster as it is. Symmetries that move more than two devices at once (two equal rooms) are not
looked for; they would save work and change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from itertools import product

from models.cluster import Cluster
from solver.problem import Problem

Counts = tuple[int, ...]
"""A group as how many devices of each kind it has."""
Kinds = tuple[tuple[str, ...], ...]
"""Names of the devices of every kind, in the order of the cluster."""


def kinds_of(problem: Problem) -> Kinds:
    """Return the usable devices of a problem by kind.

    Parameters
    ----------
    problem
        Rules of placement name single devices: with them every device is a kind of its own.
    """
    found: list[list[str]] = []
    for name in problem.usable:
        same = (kind for kind in found if _alike(problem.cluster, kind[0], name))
        home = next(same, None) if problem.placement is None else None
        if home is None:
            found.append([name])
        else:
            home.append(name)
    return tuple(tuple(kind) for kind in found)


def _alike(cluster: Cluster, a: str, b: str) -> bool:
    """Return whether exchanging two devices leaves the cluster as it is."""
    same_card = cluster.by_name[a] == cluster.by_name[b].model_copy(update={"name": a})
    if not same_card or cluster.link(a, b) != cluster.link(b, a):
        return False
    others = [device.name for device in cluster.devices if device.name not in (a, b)]
    same_links = all(
        cluster.link(a, c) == cluster.link(b, c) and cluster.link(c, a) == cluster.link(c, b) for c in others
    )
    radios = [segment.spectrum for segment in cluster.segments if segment.spectrum is not None]
    return same_links and all(radio.gain.get(a) == radio.gain.get(b) for radio in radios)


def counts_of(kinds: Kinds, group: Collection[str]) -> Counts:
    """Return how many devices of each kind a group has."""
    return tuple(sum(name in group for name in kind) for kind in kinds)


def group_of(kinds: Kinds, counts: Sequence[int]) -> frozenset[str]:
    """Return the group that stands for all with these counts: the first devices of each kind."""
    return frozenset(name for kind, num in zip(kinds, counts, strict=True) for name in kind[:num])


def all_counts(kinds: Kinds) -> Iterator[Counts]:
    """Yield every group once up to exchanges of equal devices, small ones first; not the empty one."""
    every = product(*(range(len(kind) + 1) for kind in kinds))
    yield from sorted((counts for counts in every if sum(counts)), key=lambda c: (sum(c), c))


def within(inner: Counts, outer: Counts) -> bool:
    """Return whether a group can be found inside another, up to exchanges of equal devices."""
    return all(a <= b for a, b in zip(inner, outer, strict=True))


def num_groups(kinds: Kinds) -> int:
    """Return how many groups there are up to exchanges of equal devices, without the empty one."""
    return math.prod(len(kind) + 1 for kind in kinds) - 1
