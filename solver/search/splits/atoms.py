"""Atoms: nodes of a host graph that share a device in every contiguous split worth looking at, merged.

A contiguous split puts the forward nodes on devices in an order in which all edges between devices go
forward. So groups that must share a device, and what lies on cycles between groups, are one *atom*, and the
atoms form a DAG; backward nodes belong to the atom of their group. A group about which the rule says nothing
may run anywhere: it is an atom without neighbours, or left *free*.

What a device pays for copies becomes a *net*: a node's output joins the atoms of the node and of its
successors, and every device that has some of a net's atoms and not all pays the net's cost, whoever sends.

Merged without loss, among splits whose largest load is below a limit:

- the atoms of a net whose cost reaches the limit on all devices but one;
- where all weights fit on any device, an atom that takes no time, with another that all its nets have and
  beside which it has no neighbour: there nobody pays more.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from solver.program import Floats, Ints, Longs
from solver.search.splits.host_graph import HostGraph

Net = frozenset[int]


@dataclass(frozen=True)
class Atoms:
    """A host graph with its nodes merged: A atoms in topological order, E nets, F free groups, K kinds.

    Parameters
    ----------
    atom
        (num_groups,) atom of every group; -1 for free ones.
    time_s
        (A, K) seconds of an atom on a kind of device.
    size_bytes
        (A,) weights.
    pred_start, pred, succ_start, succ
        The DAG: predecessors and successors of every atom.
    net_cost_s
        (E, K) what a device of a kind pays if it has some of the atoms and not all.
    net_size
        (E,) atoms of a net.
    own_start, own
        Nets of every atom.
    free
        (F,) the free groups.
    free_time_s, free_total_s
        (F, K) seconds of a free group, and of all copies between it and atoms.
    link_start, link, link_cost_s
        Free groups every atom is joined to by copies of two ends, and the cost.
    """

    atom: Ints
    time_s: Floats
    size_bytes: Longs
    pred_start: Ints
    pred: Ints
    succ_start: Ints
    succ: Ints
    net_cost_s: Floats
    net_size: Ints
    own_start: Ints
    own: Ints
    free: Ints
    free_time_s: Floats
    free_total_s: Floats
    link_start: Ints
    link: Ints
    link_cost_s: Floats

    @property
    def num(self) -> int:
        """Number of atoms."""
        return len(self.size_bytes)


def make_atoms(
    graph: HostGraph,
    limit_s: float,
    *,
    uncut_s: float = math.inf,
    most: int | None = None,
    leave_free: bool = False,
) -> Atoms:
    """Return the atoms of a host graph.

    Parameters
    ----------
    graph
        The graph; its problem asks for contiguous splits.
    limit_s
        Splits whose largest load reaches it may be lost.
    uncut_s
        Nets that cost so much on any kind of device are not cut: the rest of the splits is lost.
    most
        Neighbours that take the least time together are merged until there are no more atoms than this: the
        rest of the splits is lost.
    leave_free
        Whether groups that the rule says nothing about are left free; they are atoms without neighbours
        otherwise, each of which may double the number of down-sets.

    Notes
    -----
    Copies between free groups, and ends of larger nets at free groups, are left out: what a split pays by
    the atoms is a lower bound where there are free groups, and exact where there are none.
    """
    merger = _Merger(graph, leave_free)
    while merger.merge_once(limit_s, uncut_s):
        pass
    if most is not None:
        merger.shrink(most)
    return merger.atoms()


class _Merger:
    """Merges groups into atoms, step by step; a label is the number of an atom so far."""

    def __init__(self, graph: HostGraph, leave_free: bool) -> None:
        self.graph = graph
        num = int(graph.group.max()) + 1
        is_forward = np.full(num, not leave_free)
        np.logical_or.at(is_forward, graph.group, graph.forward)
        is_forward[graph.group[graph.rule]] = True
        is_forward[graph.group[np.diff(graph.rule_start) > 0]] = True
        self.label = np.where(is_forward, np.arange(num), -1)
        self.free = np.flatnonzero(~is_forward).astype(np.int32)
        self.edges = self._edges()
        self._join(())
        self.counts = np.bincount(graph.kind, minlength=len(graph.kind_names))
        # Where all weights fit on any device, no merger can break a limit on memory.
        self.is_roomy = int(graph.size_bytes.sum()) <= int(graph.memory_bytes.min())

    def _edges(self) -> Ints:
        """Return (E, 2) edges that the rule counts, by their groups."""
        graph = self.graph
        tail = np.repeat(np.arange(len(graph.names)), np.diff(graph.rule_start))
        pairs = np.stack((graph.group[tail], graph.group[graph.rule]), axis=1)
        found: Ints = np.unique(pairs, axis=0).reshape(-1, 2)
        return found

    def _join(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Merge pairs of labels or groups, and all cycles this makes; number labels from 0."""
        here = self.label >= 0
        joined = np.array([(a, b) for a, b in pairs], np.int64).reshape(-1, 2)
        edges = self.label[self.edges]
        edges = np.concatenate((edges, joined, joined[:, ::-1]))
        num = int(self.label.max()) + 1
        matrix = csr_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(num, num))
        _, part = connected_components(matrix, connection="strong")
        self.label[here] = np.unique(part[self.label[here]], return_inverse=True)[1]

    def nets(self) -> dict[Net, Floats]:
        """Return the cost by kind of every net; ends at free groups are negative: -1 - group."""
        graph = self.graph
        mark = np.where(self.label >= 0, self.label, -1 - np.arange(len(self.label)))[graph.group].tolist()
        found: dict[Net, Floats] = defaultdict(lambda: np.zeros(len(graph.kind_names)))
        out, start = graph.out.tolist(), graph.out_start.tolist()
        for v in np.flatnonzero(graph.copy_s.any(axis=1)).tolist():
            pins = frozenset([mark[v], *(mark[w] for w in out[start[v] : start[v + 1]])])
            if len(pins) > 1:
                found[pins] += graph.copy_s[v]
        return found

    def merge_once(self, limit_s: float, uncut_s: float) -> bool:
        """Merge what can be merged, or is to be; return whether anything was."""
        nets = self.nets()
        pairs: list[tuple[int, int]] = []
        for net, cost in nets.items():
            pins = [pin for pin in net if pin >= 0]
            is_dear = self.counts[cost < limit_s].sum() <= 1 or cost.max() >= uncut_s
            if len(pins) > 1 and is_dear:
                pairs += [(pins[0], pin) for pin in pins[1:]]
        if not pairs and self.is_roomy:
            pairs = self._leaves(nets)
        self._join(pairs)
        return bool(pairs)

    def shrink(self, most: int) -> None:
        """Merge neighbours, those of least time first and none twice a round, until there are few atoms."""
        times = np.where(np.isfinite(self.graph.time_s), self.graph.time_s, np.inf).min(axis=1)
        while self.label.max() >= most:
            here = self.label[self.graph.group]
            seconds = np.bincount(here[here >= 0], times[here >= 0])
            edges = self.label[self.edges]
            edges = edges[edges[:, 0] != edges[:, 1]]
            if not len(edges):
                return
            pairs: list[tuple[int, int]] = []
            taken: set[int] = set()
            for e in np.argsort(seconds[edges].sum(axis=1), kind="stable").tolist():
                a, b = edges[e].tolist()
                enough = min(len(seconds) // 8 + 1, len(seconds) - most)
                if a not in taken and b not in taken and len(pairs) < enough:
                    pairs.append((a, b))
                    taken |= {a, b}
            self._join(pairs)

    def _leaves(self, nets: Mapping[Net, Floats]) -> list[tuple[int, int]]:
        """Return (atom, neighbour) of atoms that may go to their only neighbour; no atom is in two."""
        num = int(self.label.max()) + 1
        takes_time = np.zeros(num, np.bool_)
        here = self.label[self.graph.group] >= 0
        np.logical_or.at(takes_time, self.label[self.graph.group[here]], self.graph.time_s[here].any(axis=1))
        beside: list[set[int]] = [set() for _ in range(num)]
        for a, b in self.label[self.edges].tolist():
            if a != b:
                beside[a].add(b)
                beside[b].add(a)
        of: list[list[Net]] = [[] for _ in range(num)]
        for net in nets:
            for pin in net:
                if pin >= 0:
                    of[pin].append(net)
        pairs: list[tuple[int, int]] = []
        moved: set[int] = set()
        for a in np.flatnonzero(~takes_time).tolist():
            common = frozenset[int].intersection(*of[a]) - {a} if of[a] else frozenset(beside[a])
            fit = [b for b in common if b >= 0 and b not in moved and beside[a] <= {b}]
            if fit:
                pairs.append((a, min(fit)))
                moved.add(a)
        return pairs

    def atoms(self) -> Atoms:
        """Return the atoms, numbered in topological order."""
        graph, num = self.graph, int(self.label.max()) + 1
        edges = self.label[self.edges]
        edges = np.unique(edges[edges[:, 0] != edges[:, 1]], axis=0).reshape(-1, 2)
        place = _topological(num, edges)
        edges = place[edges]
        atom = np.where(self.label >= 0, place[np.maximum(self.label, 0)], -1).astype(np.int32)
        of = atom[graph.group]
        kinds = len(graph.kind_names)
        time_s, size = np.zeros((num, kinds)), np.zeros(num, np.int64)
        np.add.at(time_s, of[of >= 0], graph.time_s[of >= 0])
        np.add.at(size, of[of >= 0], graph.size_bytes[of >= 0])
        self.label = atom.astype(self.label.dtype)
        nets, links = self._parts(self.nets())
        own: list[list[int]] = [[] for _ in range(num)]
        for e, net in enumerate(nets):
            for pin in sorted(net):
                own[pin].append(e)
        free_time = np.zeros((len(self.free), kinds))
        for f, g in enumerate(self.free.tolist()):
            free_time[f] = graph.time_s[graph.group == g].sum(axis=0)
        free_total = np.zeros((len(self.free), kinds))
        rows: list[list[int]] = [[] for _ in range(num)]
        costs: list[list[Floats]] = [[] for _ in range(num)]
        for (a, f), cost in sorted(links.items(), key=lambda item: item[0]):
            rows[a].append(f)
            costs[a].append(cost)
            free_total[f] += cost
        own_start, own_flat = _rows(own)
        link_start, link = _rows(rows)
        pred_start, pred = _rows(_neighbours(num, edges[:, ::-1]))
        succ_start, succ = _rows(_neighbours(num, edges))
        return Atoms(
            atom=atom,
            time_s=time_s,
            size_bytes=size,
            pred_start=pred_start,
            pred=pred,
            succ_start=succ_start,
            succ=succ,
            net_cost_s=np.array(list(nets.values())).reshape(-1, kinds),
            net_size=np.array([len(net) for net in nets], np.int32),
            own_start=own_start,
            own=own_flat,
            free=self.free,
            free_time_s=free_time,
            free_total_s=free_total,
            link_start=link_start,
            link=link,
            link_cost_s=np.array([cost for row in costs for cost in row]).reshape(-1, kinds),
        )

    def _parts(self, nets: Mapping[Net, Floats]) -> tuple[dict[Net, Floats], dict[tuple[int, int], Floats]]:
        """Return nets between atoms, and the cost of copies between (atom, number of a free group)."""
        number = {g: f for f, g in enumerate(self.free.tolist())}
        kinds = len(self.graph.kind_names)
        between: dict[Net, Floats] = defaultdict(lambda: np.zeros(kinds))
        links: dict[tuple[int, int], Floats] = defaultdict(lambda: np.zeros(kinds))
        for net, cost in nets.items():
            atoms = frozenset(pin for pin in net if pin >= 0)
            if len(atoms) > 1:
                between[atoms] += cost
            elif len(atoms) == 1 and len(net) == 2:
                (a,), (f,) = atoms, net - atoms
                links[a, number[-1 - f]] += cost
        return between, links


def _rows(lists: list[list[int]]) -> tuple[Ints, Ints]:
    """Return (start, values) of lists laid end to end."""
    start = np.cumsum([0, *map(len, lists)]).astype(np.int32)
    return start, np.array([value for values in lists for value in values], np.int32)


def _neighbours(num: int, edges: Longs) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(num)]
    for a, b in sorted(map(tuple, edges.tolist())):
        found[a].append(b)
    return found


def _topological(num: int, edges: Longs) -> Longs:
    """Return (num,) places in a topological order that goes deep before it goes wide."""
    after = _neighbours(num, edges)
    waiting = np.bincount(edges[:, 1], minlength=num).tolist() if len(edges) else [0] * num
    ready = [a for a in range(num - 1, -1, -1) if waiting[a] == 0]
    place = np.zeros(num, np.int64)
    for position in range(num):
        a = ready.pop()
        place[a] = position
        for b in reversed(after[a]):
            waiting[b] -= 1
            if waiting[b] == 0:
                ready.append(b)
    return place
