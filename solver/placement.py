"""Placement: where blocks may run, beside what devices can hold: limits of a problem on its plans.

Rules of published placement instances: blocks that share a device, kinds of devices a block may run on, and
sets of blocks that make one call of a device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import networkx as nx

from models.cluster import Cluster
from models.errors import Fault
from models.workload import Workload


@dataclass(frozen=True)
class Placement:
    """Rules on which blocks run where.

    Parameters
    ----------
    together
        Groups of blocks; those of a group run on one device.
    kinds
        Block to the kinds of devices it may run on; blocks that are not named may run anywhere.
    convex
        Blocks whose split must make sense as one call a device: of these, and the edges among them, the
        graph between devices is acyclic, and so every device's set is convex. ``None``: no such rule.
    order
        Further edges (before, after) which that graph counts beside those of the workload.
    apart
        Kinds of devices that stand for as many devices as there are blocks, one each: in the rule
        ``convex`` every block on them is by itself, and plans give it a compute lane of its own.
    """

    together: tuple[tuple[str, ...], ...] = ()
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    convex: frozenset[str] | None = None
    order: tuple[tuple[str, str], ...] = ()
    apart: frozenset[str] = frozenset()

    def faults(self, workload: Workload, cluster: Cluster) -> Iterator[Fault]:
        """Yield what does not fit a workload and a cluster.

        Parameters
        ----------
        workload, cluster
            What the rules are of.
        """
        given = {device.kind for device in cluster.devices}
        known = ", ".join(sorted(given))
        seen: dict[str, int] = {}
        for g, group in enumerate(self.together):
            for i, name in enumerate(group):
                path = f"placement.together.{g}.{i}"
                if name not in workload.by_name:
                    yield Fault(path, f"no block is called {name!r}")
                elif name in seen:
                    yield Fault(path, f"block {name!r} is in group {seen[name]} already; join the two groups")
                seen.setdefault(name, g)
        for name, kinds in self.kinds.items():
            if name not in workload.by_name:
                yield Fault(f"placement.kinds.{name}", f"no block is called {name!r}")
            for kind in kinds:
                if kind not in given:
                    yield Fault(
                        f"placement.kinds.{name}", f"no device is of kind {kind!r}; there are: {known}"
                    )
        for name in sorted((self.convex or frozenset()) - set(workload.by_name)):
            yield Fault("placement.convex", f"no block is called {name!r}")
        for i, pair in enumerate(self.order):
            for name in pair:
                if name not in workload.by_name:
                    yield Fault(f"placement.order.{i}", f"no block is called {name!r}")
        for kind in sorted(self.apart - given):
            yield Fault("placement.apart", f"no device is of kind {kind!r}; there are: {known}")
        yield from self._homeless(workload, given)

    def _homeless(self, workload: Workload, given: set[str]) -> Iterator[Fault]:
        """Yield groups that no kind of device may run."""
        grouped = {name for group in self.together for name in group}
        alone = tuple((name,) for name in workload.by_name if name not in grouped)
        for group in (*self.together, *alone):
            if not given.intersection(*(self.kinds.get(name, given) for name in group)):
                words = f"blocks {', '.join(group)} share a device" if len(group) > 1 else f"block {group[0]}"
                yield Fault("placement.kinds", f"{words}, and no kind of device may run all of it")

    def edges(self, workload: Workload) -> Iterator[tuple[str, str]]:
        """Yield the edges that the graph between devices is made of."""
        convex = self.convex or frozenset()
        for edge in workload.edges:
            if edge.source in convex and edge.target in convex:
                yield edge.source, edge.target
        yield from self.order

    def broken(
        self, placed: Mapping[str, str], workload: Workload, cluster: Cluster
    ) -> Iterator[tuple[str, str, str]]:
        """Yield (rule, where, sentence) for every rule a placement breaks.

        Parameters
        ----------
        placed
            Block to device, of every block.
        workload, cluster
            What is placed, and over what.
        """
        for group in self.together:
            devices = list(dict.fromkeys(placed[name] for name in group))
            if len(devices) > 1:
                words = f"blocks {', '.join(group)} must share a device; they are on {', '.join(devices)}"
                yield "together", group[0], words
        kind_of = {device.name: device.kind for device in cluster.devices}
        for name, kinds in self.kinds.items():
            if kind_of[placed[name]] not in kinds:
                words = f"block {name} may run on {' or '.join(kinds) or 'nothing'}; it is on {placed[name]}"
                yield "kinds", f"{name}@{placed[name]}", words
        cycle = self._cycle(placed, workload, kind_of) if self.convex is not None else []
        if cycle:
            words = f"devices need one another's outputs: {' -> '.join(cycle)}; each is called once a sample"
            yield "convex", cycle[0], words

    def _cycle(self, placed: Mapping[str, str], workload: Workload, kind_of: Mapping[str, str]) -> list[str]:
        """Return a cycle in the graph between devices; empty if there is none."""
        unit = {n: n if kind_of[placed[n]] in self.apart else f"@{placed[n]}" for n in placed}
        graph = nx.DiGraph()
        for source, target in self.edges(workload):
            if unit[source] != unit[target]:
                graph.add_edge(unit[source], unit[target])
        if nx.is_directed_acyclic_graph(graph):
            return []
        around = [a for a, _ in nx.find_cycle(graph)]
        return [name.removeprefix("@") for name in (*around, around[0])]
