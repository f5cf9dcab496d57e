"""Game: what every group of devices is worth, from what its best plan costs.

A group's cost is the figure of the best plan known in which nobody else takes part; members may be left out,
so a larger group never costs more. Its value is one of two:

- ``saved``: the reference minus the cost, in the objective's unit; nobody, and a group without a plan that
  keeps every limit, are worth nothing: they are as good as the reference, which is the largest cost of any
  group that has a plan.
- ``rate``: samples per unit of cost, as samples per second; nobody, and a group without a plan, have none.

Those outside a group count as the problem's ``left_out`` says, as in every plan.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from solver.participation.kinds import Counts

Costs = Mapping[Counts, float]
"""What groups cost by themselves; infinite where they have no plan."""


@dataclass(frozen=True)
class Game:
    """Groups and what they cost.

    Parameters
    ----------
    sizes
        Devices of each kind.
    costs
        By group, no larger for a larger one; infinite without a plan.
    reference
        What is saved is counted from it, in the objective's unit.
    samples
        Samples of a step.
    """

    sizes: Counts
    costs: Costs
    reference: float
    samples: int

    def saved(self, counts: Counts) -> float:
        """Return what a group saves, in the objective's unit."""
        cost = self.costs.get(counts, math.inf)
        return 0.0 if math.isinf(cost) else self.reference - cost

    def rate(self, counts: Counts) -> float:
        """Return the samples per unit of cost of a group."""
        cost = self.costs.get(counts, math.inf)
        return 0.0 if math.isinf(cost) or cost <= 0 else self.samples / cost


def closed(sizes: Sequence[int], known: Costs) -> dict[Counts, float]:
    """Return the least cost of every group and its parts, the empty one included.

    Parameters
    ----------
    sizes
        Devices of each kind.
    known
        What groups cost in which everybody takes part.
    """
    found: dict[Counts, float] = {}
    for counts in sorted(product(*(range(size + 1) for size in sizes)), key=sum):
        parts = [found[less] for less in one_less(counts)]
        found[counts] = min([known.get(counts, math.inf), *parts])
    return found


def one_less(counts: Counts) -> list[Counts]:
    """Return a group without one device, for each kind it has."""
    return [(*counts[:k], num - 1, *counts[k + 1 :]) for k, num in enumerate(counts) if num]


def largest_cost(costs: Costs) -> float:
    """Return the largest cost of any group that has a plan; 0 if none has."""
    return max((cost for cost in costs.values() if math.isfinite(cost)), default=0.0)
