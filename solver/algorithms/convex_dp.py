"""convex_dp: exact contiguous splits of a DAG over accelerators and processors, by their largest load.

Source: the dynamic program over ideals of Tarnawski et al., "Efficient algorithms for device placement of
DNN graph operators", NeurIPS 2020, arXiv 2006.16423, section 5.1; colours and backward nodes as there. Ours
are the merging of nodes without loss, the limit under which states and supersets are pruned, and costs kept
along a walk of supersets (:mod:`solver.search.splits.atoms`, :mod:`solver.search.splits.contiguous`).

First prefixes of a few topological orders give a split; then the chains of all down-sets are searched for
a better one. Where there are many down-sets, limits between a lower bound and that split come first, so that
there is a bound when time is up. Where there are too many, nets that are dear to cut are kept whole until
there are few enough: a split, and the bound of all work over all devices.

Assumes that transfers go through the host and that only weights take memory, as in the suite
``dnn-partitioning``. Declines other problems, and those without the rule of contiguity. Claim: exact. If
that takes too many down-sets because of groups about which the rule says nothing, those are placed greedily
and the bound is valid.
"""

from __future__ import annotations

import math

import numpy as np

from solver.errors import DeclinedError
from solver.problem import Problem
from solver.program import Ints
from solver.search.incumbent import Interrupted, Search
from solver.search.splits.atoms import Atoms, make_atoms
from solver.search.splits.contiguous import Chain, chain_devices, device_of, least_chain
from solver.search.splits.contiguous_bound import work_bound_s
from solver.search.splits.contiguous_free import host_free
from solver.search.splits.downsets import Downsets, all_downsets, prefixes, some_order
from solver.search.splits.host_graph import HostGraph, host_graph
from solver.space import Space
from solver.status import Outcome

MOST_WORDS = 40_000_000
"""Most words of memory for down-sets and their states."""

MANY = 60_000
"""Down-sets from which on limits below the best split come first."""

STEPS = (0.5, 0.75, 0.875)
"""Those limits, between bound and split."""

NUM_ORDERS = 8
FEW_REORDERED, MOST_REORDERED = 50, 500
"""Other orders of a split's parts that are tried before all down-sets, and where those are too many."""

MARGIN = 1e-10
"""Relative improvement that is no improvement: costs are added up in another order than the evaluator's."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Find the best contiguous split.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.

    Raises
    ------
    DeclinedError
        With the reason.
    """
    graph = host_graph(problem)
    _decline_unless_contiguous(graph)
    space = Space(stages_per_device=len(graph.names))
    under_way = _UnderWay(graph, search)
    reason = "all contiguous splits were covered"
    try:
        is_covered = under_way.run()
        if not is_covered:
            reason = "too many down-sets: not all contiguous splits were covered"
        elif under_way.has_free and under_way.bound < under_way.limit:
            reason = "all contiguous splits were covered, but not where else free groups may go"
        elif search.best_plan is None:
            return Outcome(space, infeasible=True, reason=_why(graph))
    except Interrupted as stop:
        reason = str(stop)
    bound = min(under_way.bound, search.best_score)
    return Outcome(space, bound=bound if math.isfinite(bound) else None, reason=reason)


def _decline_unless_contiguous(graph: HostGraph) -> None:
    problem = graph.problem
    if problem.objective != "bottleneck":
        raise DeclinedError(f"for the largest load (bottleneck), not for {problem.objective}")
    if not graph.is_contiguous:
        raise DeclinedError("for contiguous splits (Placement.convex); any split is allowed here")
    if graph.apart.any():
        raise DeclinedError("devices that stand for many have no load")
    for k, name in enumerate(graph.kind_names):
        if len(np.unique(graph.memory_bytes[graph.kind == k])) > 1:
            raise DeclinedError(f"devices of kind {name!r} differ in memory")


def _why(graph: HostGraph) -> str:
    """Say what leaves no split."""
    homeless = [graph.names[v] for v in np.flatnonzero(~np.isfinite(graph.time_s).any(axis=1)).tolist()]
    if homeless:
        return f"placement: no device may run {', '.join(homeless)} with what shares its device"
    need, have = int(graph.size_bytes.sum()), ", ".join(map(str, np.unique(graph.memory_bytes).tolist()))
    return f"memory: no contiguous split fits; all blocks need {need} bytes, devices have {have} each"


class _UnderWay:
    """What is known while splits are looked for."""

    def __init__(self, graph: HostGraph, search: Search) -> None:
        self.graph, self.search = graph, search
        self.whole = make_atoms(graph, math.inf)
        self.has_free = False
        self.place: Ints | None = None
        self.bound = work_bound_s(graph, self.whole) * (1 - MARGIN)
        # No load is as much: all work on the slowest devices, and every copy.
        usable = np.where(np.isfinite(graph.time_s), graph.time_s, 0.0)
        self.ceiling = 1.0 + 2 * float(usable.max(axis=1).sum() + graph.copy_s.max(axis=1).sum())

    @property
    def limit(self) -> float:
        """What a better split must stay below, seconds."""
        return min(self.search.best_score * (1 - MARGIN), self.ceiling)

    def run(self) -> bool:
        """Search; return whether all contiguous splits were covered."""
        for i in range(NUM_ORDERS):
            order = some_order(self.whole, self.search.rng if i else None)
            self._improve(self.whole, prefixes(self.whole, order), self.limit)
        atoms = make_atoms(self.graph, self.limit)
        downsets = self._downsets(atoms, MOST_WORDS)
        if downsets is None:
            atoms = make_atoms(self.graph, self.limit, leave_free=True)
            self.has_free = len(atoms.free) > 0
            downsets = self._downsets(atoms, MOST_WORDS) if self.has_free else None
        if downsets is None or downsets.num > MANY:
            self._coarse()
            self._reorder(MOST_REORDERED if downsets is None else FEW_REORDERED)
        if downsets is None:
            return False
        low, high = self.bound, self.limit
        for step in STEPS if downsets.num > MANY and high < self.ceiling else ():
            limit = low + step * (high - low)
            if limit < self.limit and self._settle(atoms, downsets, limit):
                return True
        self._settle(atoms, downsets, self.limit)
        return True

    def _downsets(self, atoms: Atoms, most_words: int) -> Downsets | None:
        states = int(np.prod(np.bincount(self.graph.kind) + 1))
        most = most_words // (atoms.num // 64 + 1 + 2 * states)
        return all_downsets(atoms, most, self.search.tick)

    def _improve(self, atoms: Atoms, downsets: Downsets, limit: float) -> Chain | None:
        """Look for a split below a limit, and offer it."""
        chain = least_chain(self.graph, atoms, downsets, limit, self.search.tick)
        if chain is not None:
            device = device_of(self.graph, atoms, chain)
            self._place(device, chain)
            self.search.offer(self.graph.plan(host_free(self.graph, atoms, device)))
        return chain

    def _place(self, device: Ints, chain: Chain) -> None:
        """Note which place in the chain every atom has."""
        place = np.full(len(self.graph.kind) + 1, len(chain.parts), np.int32)
        place[chain_devices(self.graph, chain)] = np.arange(len(chain.parts))
        of = np.zeros(self.whole.num, np.int32)
        of[self.whole.atom[self.graph.group]] = place[device]
        for a in range(self.whole.num):
            after = self.whole.succ[self.whole.succ_start[a] : self.whole.succ_start[a + 1]]
            # An atom that was put elsewhere in part must not come before what it needs.
            of[after] = np.maximum(of[after], of[a])
        self.place = of

    def _reorder(self, rounds: int) -> None:
        """Try prefixes of other orders in which the devices' parts follow one another as they do now."""
        for _ in range(rounds if self.place is not None else 0):
            order = some_order(self.whole, self.search.rng, self.place)
            downsets = prefixes(self.whole, order)
            chain = least_chain(
                self.graph, self.whole, downsets, self.limit * (1 + 2 * MARGIN), self.search.tick
            )
            if chain is not None:
                device = device_of(self.graph, self.whole, chain)
                self._place(device, chain)
                if chain.value_s < self.limit:
                    self.search.offer(self.graph.plan(device))

    def _settle(self, atoms: Atoms, downsets: Downsets, limit: float) -> bool:
        """Find the best split below a limit, or that there is none; return whether there is."""
        chain = self._improve(atoms, downsets, limit)
        self.bound = max(self.bound, limit if chain is None else chain.value_s * (1 - MARGIN))
        return chain is not None

    def _coarse(self) -> None:
        """Search splits of larger atoms: with short neighbours merged, and with dear nets uncut."""
        most = self.whole.num
        while most > 1:
            most = most * 4 // 5
            atoms = make_atoms(self.graph, self.limit, most=most)
            downsets = all_downsets(atoms, MANY // 6, self.search.tick)
            if downsets is not None:
                self._improve(atoms, downsets, self.limit)
                break
        costs = np.unique(self.whole.net_cost_s.max(axis=1))
        low, high = 0, len(costs)
        found: tuple[Atoms, Downsets] | None = None
        while low < high:
            middle = (low + high) // 2
            atoms = make_atoms(self.graph, self.limit, uncut_s=float(costs[middle]))
            downsets = all_downsets(atoms, MANY // 6, self.search.tick)
            if downsets is None:
                high = middle
            else:
                found, low = (atoms, downsets), middle + 1
        if found is not None:
            self._improve(*found, self.limit)
