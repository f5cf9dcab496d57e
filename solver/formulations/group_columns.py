"""Group columns: hybrid pipelines as paths of columns, a block interval on a group of devices each.

Given a limit T on the busy time of every lane per micro-batch, a *column* is an interval of blocks, the
number of stages behind it, and a group whose devices together can take the micro-batch below T; samples are
shared out inside. A pipeline is a path of columns that covers the chain and uses no device twice.

There are too many groups to list. The relaxation mixes paths: it asks for the mixture in which the most used
device is used least (a linear programme of one row a device, Dantzig & Wolfe, 1960). New paths are priced by
a knapsack for every interval (the cheapest group that can take the micro-batch, for prices on devices) and a
shortest path over them. If at some prices that add up to 1 the cheapest path costs more than 1, no pipeline
keeps T: that is a proof. If a mixture uses no device more than once in all, the relaxation says yes, and a
mixed-integer programme over the columns seen looks for a pipeline among them.

Loads are least ones (every message takes the best link), so what is refuted is refuted for the evaluator too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from solver.program import Floats, Longs
from solver.schedule import compiled
from solver.search.hybrid.group_caps import GroupCaps


class Column(NamedTuple):
    """A stage: interval of blocks, stages behind it and itself, and devices as bits of a number."""

    start: int
    end: int
    depth: int
    group: int

    def members(self) -> list[int]:
        """Numbers of the devices."""
        return [d for d in range(self.group.bit_length()) if self.group >> d & 1]


Path = tuple[Column, ...]


@dataclass
class Master:
    """The relaxation for one limit.

    Parameters
    ----------
    groups
        Least loads.
    limit_s
        T, seconds per micro-batch.
    paths
        Paths known to keep it.
    """

    groups: GroupCaps
    limit_s: float
    paths: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Find what every device can take."""
        self.caps = self.groups.caps(self.limit_s)
        self.paths = [path for path in self.paths if all(map(self.keeps, path))]

    def keeps(self, column: Column) -> bool:
        """Return whether a column keeps the limit."""
        room = self.caps[column.depth, column.start, column.end]
        return int(sum(room[d] for d in column.members())) >= self.groups.samples

    def price(self, prices: Floats) -> tuple[float, Path] | None:
        """Return the cheapest path and what it costs.

        Parameters
        ----------
        prices
            (D,), not negative.

        Returns
        -------
        tuple or None
            ``None`` if there is no path at all, whatever devices are shared.
        """
        group, best, ends = _price(self.caps, self.groups.samples, prices)
        if not np.isfinite(best[:, 0].min()):
            return None
        depth, start, path = int(best[:, 0].argmin()), 0, []
        total = float(best[depth, 0])
        while depth > 0:
            end = int(ends[depth, start])
            path.append(Column(start, end, depth, int(group[depth, start, end])))
            start, depth = end, depth - 1
        return total, tuple(path)

    def mix(self) -> tuple[float, Floats]:
        """Return how much the most used device is used in the best mixture, and prices on devices."""
        from scipy.optimize import linprog

        usage = np.array(
            [
                [sum(c.group >> d & 1 for c in path) for path in self.paths]
                for d in range(len(self.groups.devices))
            ],
            float,
        )
        count = len(self.paths)
        found = linprog(
            np.concatenate([np.zeros(count), [1.0]]),
            A_ub=np.column_stack([usage, -np.ones(len(usage))]),
            b_ub=np.zeros(len(usage)),
            A_eq=np.concatenate([np.ones(count), [0.0]])[None],
            b_eq=[1.0],
            method="highs",
        )
        prices = np.maximum(-found.ineqlin.marginals, 0.0)
        total = prices.sum()
        return float(found.fun), prices / total if total > 0 else np.full(len(usage), 1 / len(usage))

    def columns(self) -> list[Column]:
        """Return all columns of the paths known, each once."""
        return sorted({column for path in self.paths for column in path})


def build(master: Master) -> tuple[Any, dict[Column, Any]]:
    """Return the mixed-integer programme over the columns seen: a path that uses no device twice.

    Parameters
    ----------
    master
        A relaxation that was solved.

    Returns
    -------
    tuple
        The ``pulp.LpProblem``, and the variable of every column. Few devices are preferred.
    """
    import pulp

    problem = pulp.LpProblem("group_columns", pulp.LpMinimize)
    z = {c: problem.add_variable(f"z_{i}", cat="Binary") for i, c in enumerate(master.columns())}
    problem += pulp.lpSum(len(c.members()) * variable for c, variable in z.items())
    nodes = {(c.start, c.depth) for c in z} | {(c.end, c.depth - 1) for c in z}
    for start, depth in nodes:
        into = [v for c, v in z.items() if (c.start, c.depth) == (start, depth)]
        out = [v for c, v in z.items() if (c.end, c.depth - 1) == (start, depth)]
        if start > 0 and depth > 0:
            problem += pulp.lpSum(into) == pulp.lpSum(out)
        elif depth == 0:
            problem += pulp.lpSum(out) == 1
    for d in range(len(master.groups.devices)):
        users = [variable for c, variable in z.items() if c.group >> d & 1]
        if users:
            problem += pulp.lpSum(users) <= 1
    return problem, z


def invert(z: dict[Column, Any]) -> list[Column]:
    """Return the columns of the solution, from the first stage to the last."""
    return sorted(column for column, variable in z.items() if (variable.value() or 0) > 0.5)


@compiled
def _price(caps: Longs, samples: int, prices: Floats) -> Any:
    """Price every interval by a knapsack, and find the cheapest paths from every boundary to the end."""
    depths, length = caps.shape[0], caps.shape[1]
    group = np.zeros((depths, length, length), np.int64)
    best = np.full((depths, length), np.inf)
    ends = np.zeros((depths, length), np.int64)
    best[0, length - 1] = 0.0
    value, bits = np.empty(samples + 1), np.empty(samples + 1, np.int64)
    for depth in range(1, depths):
        for start in range(length - 1):
            for end in range(start + 1, length):
                if best[depth - 1, end] == np.inf:
                    continue
                _cover(caps[depth, start, end], samples, prices, value, bits)
                group[depth, start, end] = bits[samples]
                if value[samples] + best[depth - 1, end] < best[depth, start]:
                    best[depth, start] = value[samples] + best[depth - 1, end]
                    ends[depth, start] = end
    return group, best, ends


@compiled
def _cover(room: Longs, samples: int, prices: Floats, value: Floats, bits: Longs) -> Any:
    """Find for every number of samples the cheapest group that can take so many."""
    value[:] = np.inf
    bits[:] = 0
    value[0] = 0.0
    for d in range(len(room)):
        if room[d] == 0:
            continue
        for n in range(samples, 0, -1):
            before = max(0, n - room[d])
            if value[before] + prices[d] < value[n]:
                value[n] = value[before] + prices[d]
                bits[n] = bits[before] | (1 << d)
