"""latency_search: splits of a DAG over accelerators and processors with a small time of one sample.

Every accelerator is called once, so its set is convex and calls do not wait for one another; processor nodes
run beside one another. Runs of random topological orders by dynamic programming
(:mod:`solver.search.splits.latency_chain`) give starts; annealing of the exact latency improves them in turn
(:mod:`solver.search.splits.latency_moves`).

Source: the problem is that of Tarnawski et al., "Efficient algorithms for device placement of DNN graph
operators", NeurIPS 2020, arXiv 2006.16423, section 4 (with one call an accelerator); both methods are ours.

Assumes transfers through the host, memory of weights alone, and the rule that every device is called once for
all nodes; declines other problems. Claim: a plan, and the bound of the longest path at the fastest times.
"""

from __future__ import annotations

import numpy as np

from solver.errors import DeclinedError
from solver.problem import Problem
from solver.program import Ints
from solver.search.incumbent import Interrupted, Search
from solver.search.splits.host_graph import HostGraph, host_graph
from solver.search.splits.latency_chain import Parts, chain_split, make_parts
from solver.search.splits.latency_moves import anneal_latency
from solver.space import Space
from solver.status import Outcome

NUM_ORDERS, NUM_KEPT = 40, 6
"""Random orders, and how many of their splits are improved."""
MOST_ROUNDS, MOST_IDLE = 80, 24
"""Rounds of annealing, and how many in a row may find nothing."""
MOST_MOVES, MOVES_PER_NODE = 100_000, 1_000
"""Moves of a round."""
MOST_STEPS, STEPS_PER_TICK = 100_000_000, 2_000_000
"""Nodes and edges looked at in a round; nodes and edges looked at that count as one unit of work."""
TEMPERATURES = (0.02, 0.02, 0.1, 0.005)
COLD = 1e-5
"""First temperatures in turn, and the last one, relative to the latency."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Find a split with a small latency.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        With the reason.
    """
    host = host_graph(problem)
    if problem.objective != "latency":
        raise DeclinedError(f"for latency, not for {problem.objective}")
    if not host.forward.all():
        raise DeclinedError(
            "for problems in which every device is called once (Placement.convex: all blocks)"
        )
    under_way = _UnderWay(host, search)
    bound = path_s(host)
    try:
        reason = under_way.run(bound)
    except Interrupted as stop:
        reason = str(stop)
    return Outcome(Space(stages_per_device=len(host.names)), bound=bound, reason=reason)


def path_s(host: HostGraph) -> float:
    """Return the longest path if every node runs where it is fastest and nothing is copied, seconds.

    Parameters
    ----------
    host
        Arrays of the problem.
    """
    least = host.time_s.min(axis=1)
    done = np.zeros(len(least))
    for v in range(len(least)):
        before = host.into[host.in_start[v] : host.in_start[v + 1]]
        done[v] = least[v] + (done[before].max() if len(before) else 0.0)
    return float(done.max())


class _UnderWay:
    """The best split so far, and others to go on from."""

    def __init__(self, host: HostGraph, search: Search) -> None:
        self.host, self.search = host, search
        self.parts: Parts = make_parts(host)
        self.found: list[tuple[float, Ints]] = []
        size = len(host.names) + 2 * len(host.out)
        self.moves = min(MOST_MOVES, MOVES_PER_NODE * len(host.names), max(1, MOST_STEPS // size))
        self.ticks = max(1, self.moves * size // STEPS_PER_TICK)

    def run(self, bound_s: float) -> str:
        """Start and improve; return why it stopped."""
        for _ in range(NUM_ORDERS):
            self.search.tick()
            split = chain_split(self.host, self.parts, self.parts.order(self.search.rng))
            if split is not None and self.host.is_feasible(split):
                self._take(self.host.latency(split), split)
        if not self.found:
            return "no run of a random order keeps memory"
        idle = 0
        for turn in range(MOST_ROUNDS):
            before = self.found[0][0]
            self._round(turn)
            idle = 0 if self.found[0][0] < before else idle + 1
            if self.found[0][0] <= bound_s * (1 + 1e-10):
                return "the longest path is met"
            if idle >= MOST_IDLE:
                break
        return "nothing better was found for long"

    def _take(self, value: float, split: Ints) -> None:
        if any((split == other).all() for _, other in self.found):
            return
        if not self.found or value < self.found[0][0]:
            self.search.offer(self.host.plan(split))
        self.found = sorted([*self.found, (value, split)], key=lambda one: one[0])[:NUM_KEPT]

    def _round(self, turn: int) -> None:
        """Anneal from the best split, or from one of the others in turn."""
        self.search.tick(self.ticks)
        _, split = self.found[0 if turn % 2 == 0 else (turn // 2) % len(self.found)]
        rank = np.argsort(self.parts.order(self.search.rng))
        order = np.lexsort((np.arange(len(split)), rank[self.parts.of])).astype(np.int32)
        seed = int(self.search.rng.integers(2**31))
        hot = TEMPERATURES[turn // 2 % len(TEMPERATURES)]
        self._take(*anneal_latency(self.host, split, order, self.moves, seed, hot, COLD))
