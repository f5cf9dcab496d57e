"""assignment_search: splits of a DAG over accelerators and processors with a small largest load, any sets.

Devices need not hold convex sets. Starts from a contiguous split (``convex_dp``, over nodes that look like
forward nodes) and from annealing on hypergraphs in which dear hyperedges are merged, dearest last; then asks
CP-SAT for anything better, which proves the best one or gives a bound; then anneals and frees a few devices
of the best split for CP-SAT in turn, until time is up.

Source: the problem, and local search as its baseline, are those of Tarnawski et al., "Efficient algorithms
for device placement of DNN graph operators", NeurIPS 2020, arXiv 2006.16423; large neighbourhood search after
Shaw, CP 1998. The hypergraph, its merging, and annealing towards a target are ours.

Assumes transfers through the host and memory of weights alone; declines other problems, latency, and the
rule of contiguity (``convex_dp``). Claim: a plan and a valid bound; exact if CP-SAT finishes.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace

import numpy as np

from models.errors import InputError
from solver.errors import DeclinedError
from solver.problem import Problem
from solver.program import Ints
from solver.search.incumbent import Interrupted, Search
from solver.search.splits.host_graph import HostGraph, host_graph
from solver.search.splits.load_graph import LoadGraph, coarsened, even_bound_s, load_graph, reduced
from solver.search.splits.load_proof import Proof, improve_part, prove
from solver.search.splits.load_search import anneal, greedy
from solver.search.splits.ordered_nodes import forward_like
from solver.space import Space
from solver.split import split_of
from solver.status import Outcome

QUANTILES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Hyperedges as dear as this part of all are merged, in one start each."""
STEPS = (0.5, 0.3, 0.1, 0.03)
"""Targets, as parts of the way from the best load to the even share."""
MOVES, MOVES_PER_VERTEX, MOVES_PER_TICK = 300_000, 3_000, 10_000
LONGER = 8
"""How much longer rounds from the best split are."""
NUM_FREED, FREED_S = 3, 5.0
"""Devices whose vertices CP-SAT shares out anew, and seconds for that."""
CONTIGUOUS_SHARE, PROOF_SHARE = 0.3, 0.75
"""Parts of the time left for contiguous splits, and then for CP-SAT."""
MOST_ROUNDS = 400
"""Rounds of annealing after CP-SAT, if it had not finished."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Find a split with a small largest load.

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
    if problem.objective != "bottleneck":
        raise DeclinedError(f"for the largest load (bottleneck), not for {problem.objective}")
    if host.is_contiguous:
        raise DeclinedError("for splits without a rule of contiguity; convex_dp has that rule")
    space = Space(stages_per_device=len(host.names))
    under_way = _UnderWay(host, search)
    try:
        under_way.run()
        reason = "none is better" if under_way.proof.finished else "all rounds are done"
    except Interrupted as stop:
        reason = str(stop)
    proof = under_way.proof
    if proof.finished and proof.split is None:
        return Outcome(space, infeasible=True, reason="no split keeps the memory of every device")
    return Outcome(space, bound=proof.bound_s or None, reason=reason)


class _UnderWay:
    """The best split so far."""

    def __init__(self, host: HostGraph, search: Search) -> None:
        self.host, self.search = host, search
        self.split: Ints | None = None
        self.value_s = math.inf
        self.floor_s = even_bound_s(load_graph(host))
        self.proof = Proof(None, self.floor_s, False)
        self.seed = int(search.rng.integers(2**31))

    def run(self) -> None:
        """Start, improve, prove, improve."""
        self._contiguous()
        self._levels()
        self.proof = prove(self.host, self.split, self.search, PROOF_SHARE, self.floor_s)
        if self.proof.split is not None:
            self._take(self.proof.split)
        for turn in range(0 if self.proof.finished or self.split is None else MOST_ROUNDS):
            if turn % 4:
                self._round(reduced(self.host, self.value_s))
            elif self.split is not None:
                freed = improve_part(self.host, self.split, self.search, NUM_FREED, FREED_S)
                self._take(freed)
            if self.value_s <= self.proof.bound_s * (1 + 1e-9):
                return

    def _take(self, split: Ints) -> None:
        value = self.host.load(split)
        if value < self.value_s * (1 - 1e-12) and self.host.is_feasible(split):
            self.split, self.value_s = split, value
            self.search.offer(self.host.plan(split))

    def _contiguous(self) -> None:
        """Ask for the best contiguous split."""
        search, problem = self.search, self.search.problem
        if search.call is None or problem.placement is None:
            return
        convex = frozenset(np.array(self.host.names)[forward_like(self.host)].tolist())
        narrow = replace(problem, placement=replace(problem.placement, convex=convex))
        work = None
        if search.work_limit is not None:
            work = max(1, round(CONTIGUOUS_SHARE * (search.work_limit - search.work)))
        seconds = math.inf if work is not None else CONTIGUOUS_SHARE * search.remaining_s
        inner = Search(narrow, search.seed, min(seconds, search.remaining_s), work, call=search.call)
        # It declines, is not there, or its time was up: what it offered counts.
        with suppress(DeclinedError, InputError, Interrupted):
            search.call("convex_dp", inner)
        placed = split_of(inner.best_plan) if inner.best_plan is not None else None
        if placed is not None:
            self._take(self.host.split(placed))
        search.tick(inner.work if work is not None else 1)

    def _levels(self) -> None:
        """Anneal on hypergraphs with fewer and fewer merged hyperedges."""
        whole = reduced(self.host, math.inf)
        costs = whole.cost_s.max(axis=1, initial=0.0)
        for dear_s in np.unique(np.quantile(costs, QUANTILES)).tolist() if len(costs) else [math.inf]:
            graph = coarsened(whole, dear_s)
            heavy = np.where(np.isfinite(graph.time_s), graph.time_s, 0.0).max(axis=1)
            place = greedy(graph, np.argsort(-heavy, kind="stable").astype(np.int32))
            for _ in range(2 * len(STEPS)):
                place = self._anneal(graph, place)
            self._take(graph.split(place))
        for _ in STEPS if self.split is not None else ():
            self._round(reduced(self.host, self.value_s))

    def _round(self, graph: LoadGraph) -> None:
        """Anneal from the best split."""
        place = None if self.split is None else graph.place(self.split)
        if place is None:
            graph = reduced(self.host, math.inf)
            place = graph.place(self.split) if self.split is not None else greedy(graph, _all(graph))
        if place is not None:
            self._take(graph.split(self._anneal(graph, place, LONGER)))

    def _anneal(self, graph: LoadGraph, place: Ints, longer: int = 1) -> Ints:
        moves = longer * min(MOVES, MOVES_PER_VERTEX * graph.num_vertices)
        self.search.tick(max(1, moves // MOVES_PER_TICK))
        self.seed = (self.seed + 1) % 2**31
        even_s = _even_s(graph)
        value = float(graph.loads(place).max())
        target = value - STEPS[self.seed % len(STEPS)] * max(0.0, value - even_s)
        found, better = anneal(graph, place, max(target, 1e-12), moves, self.seed)
        return better if found < value or not _fits(graph, place) else place


def _fits(graph: LoadGraph, place: Ints) -> bool:
    return bool((graph.host.used_bytes(graph.split(place)) <= graph.host.memory_bytes).all())


def _all(graph: LoadGraph) -> Ints:
    return np.arange(graph.num_vertices, dtype=np.int32)


def _even_s(graph: LoadGraph) -> float:
    """Return the load if all devices shared the least possible work evenly, seconds."""
    return float(graph.time_s.min(axis=1).sum()) / max(1, len(graph.host.kind))
