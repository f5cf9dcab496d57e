"""Ring orders: in which order devices of a group form rings of least time, by the evaluator's formula.

Groups of up to ``MOST_EXACT`` devices are searched whole; larger ones by 2-opt (Croes, Operations Research
6(6), 1958, doi:10.1287/opre.6.6.791): a part of the ring is turned round as long as that helps. It begins
with the order given, and where devices are not many with the nearest next from each of them. Claim: the least
time of all orders, up to ``MOST_EXACT`` devices; a local optimum beyond.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, permutations

from solver.collective import Hop, ring_order, ring_s

MOST_EXACT = 8
"""Devices of a group whose rings are all looked at: (n - 1)! / 2, twice that where direction counts."""
MOST_BEGUN = 24
"""Devices of a group up to which 2-opt begins with each."""
BETTER = 1e-9
"""Relative difference that counts."""

Hops = Mapping[tuple[str, str], Hop]


@dataclass(frozen=True)
class Joint:
    """A collective of devices of a group.

    Parameters
    ----------
    operation
        ``all_reduce``, ``all_gather`` or ``reduce_scatter``.
    sizes
        (device, bytes of its chunk).
    count
        How often a step has it.
    """

    operation: str
    sizes: tuple[tuple[str, float], ...]
    count: int


@dataclass(frozen=True)
class RingOrders:
    """The rings of one group.

    Parameters
    ----------
    joints
        Its collectives, each of which goes round in the group's order.
    hops
        What lies between every two of its devices, each way.
    """

    joints: tuple[Joint, ...]
    hops: Hops

    def seconds(self, order: Sequence[str]) -> float:
        """Return the seconds a step's collectives take one after another.

        Parameters
        ----------
        order
            All devices of the group.
        """
        return sum(joint.count * self._joint_s(joint, order) for joint in self.joints)

    def best(self, order: tuple[str, ...]) -> tuple[str, ...]:
        """Return the order that takes least time, as far as is known.

        Parameters
        ----------
        order
            All devices of the group, in an order to begin from.
        """
        if len(order) <= MOST_EXACT:
            return min(self._all(order), key=self.seconds)
        begun = [order]
        if len(order) <= MOST_BEGUN:
            rings = ((name, *(other for other in order if other != name)) for name in order)
            begun += [ring_order(ring, lambda a, b: self.hops[a, b]) for ring in rings]
        return min((self._turned(one) for one in dict.fromkeys(begun)), key=self._value)

    def _joint_s(self, joint: Joint, order: Sequence[str]) -> float:
        size_of = dict(joint.sizes)
        ring = [name for name in order if name in size_of]
        hops = [self.hops[a, b] for a, b in zip(ring, (*ring[1:], ring[0]), strict=True)]
        return ring_s(joint.operation, [size_of[name] for name in ring], hops)

    @cached_property
    def _has_direction(self) -> bool:
        """Whether a ring may take longer one way round than the other."""
        uneven = any(len({size for _, size in joint.sizes}) > 1 for joint in self.joints)
        return uneven or any(hop != self.hops[b, a] for (a, b), hop in self.hops.items())

    def _all(self, order: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """Yield every ring once: where it is said to begin makes no difference."""
        first, *others = order
        for rest in permutations(range(len(others))):
            if self._has_direction or rest[0] <= rest[-1]:
                yield (first, *(others[k] for k in rest))

    def _turned(self, order: tuple[str, ...]) -> tuple[str, ...]:
        """Turn parts of the ring round until none helps; slow hops that do not count are avoided too."""
        value, before = self._value(order), None
        while value != before:
            before = value
            for i, j in combinations(range(1, len(order) + 1), 2):
                if j - i > 1:
                    turned = (*order[:i], *reversed(order[i:j]), *order[j:])
                    if (found := self._value(turned)) < value:
                        order, value = turned, found
        return order

    def _value(self, order: tuple[str, ...]) -> tuple[float, float]:
        ways = zip(order, (*order[1:], order[0]), strict=True)
        return self.seconds(order), sum(1 / self.hops[way].bytes_per_s for way in ways)
