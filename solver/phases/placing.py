"""Placing: what every device must get before the first step, and what bringing it there costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from models.cluster import Cluster
from models.errors import Fault, InputError
from models.workload import Workload
from solver.lowering.context import Context
from solver.plan import Plan
from solver.program import Program
from solver.repair.stock import context_of, places


@dataclass(frozen=True)
class Shelf:
    """What one device gets.

    Parameters
    ----------
    blocks
        Blocks it holds, and the bytes of its part of their weights.
    copies
        Blocks of others of which it keeps a copy, and their bytes; by stage (pipeline, number).
    there_s
        Seconds from the start of placing until it has all of it.
    """

    blocks: dict[str, int]
    copies: dict[tuple[int, int], dict[str, int]]
    there_s: float

    @property
    def weight_bytes(self) -> int:
        """Weights of its blocks."""
        return sum(self.blocks.values())

    @property
    def backup_bytes(self) -> int:
        """Weights of its copies."""
        return sum(size for stage in self.copies.values() for size in stage.values())


@dataclass(frozen=True)
class Placing:
    """Bringing the weights from one device to all.

    Parameters
    ----------
    source
        Where the model lies before.
    shelves
        By device that holds something.
    moved_bytes
        What goes over links.
    seconds
        Until the last device has its part.
    """

    source: str
    shelves: dict[str, Shelf]
    moved_bytes: int
    seconds: float


def placing(
    plan: Plan, workload: Workload, cluster: Cluster, program: Program, source: str | None = None
) -> Placing:
    """Return what placing the weights of a plan costs.

    Parameters
    ----------
    plan, workload, cluster, program
        The plan, what it names, and what it was lowered to.
    source
        Device on which the model lies; ``None``: the first of those that hold a part.

    Raises
    ------
    InputError
        If the cluster has no such device.

    Notes
    -----
    A star: the source sends every device its weights, in the order of the plan, one message for each block;
    messages follow one another on their lanes as those of a step do. Copies come after what trains. The
    optimizer keeps nothing before the first update, so nothing of it travels.
    """
    context = context_of(plan, workload, cluster)
    shelves = _shelves(context)
    source = source or next(name for name in program.devices if name in shelves)
    if source not in cluster.by_name:
        known = ", ".join(cluster.by_name)
        raise InputError([Fault("--from", f"no device is called {source!r}; there are: {known}")], "deploy")
    free: dict[int, float] = {}
    there = dict.fromkeys(shelves, 0.0)
    moved = 0
    for name, size in _messages(shelves):
        if name != source and size:
            lasting, lanes = context.transfer(source, name, size)
            end = max(free.get(lane, 0.0) for lane in lanes) + lasting
            free.update(dict.fromkeys(lanes, end))
            there[name] = max(there[name], end)
            moved += size
    found = {name: Shelf(*shelf, there[name]) for name, shelf in shelves.items()}
    return Placing(source, found, moved, max(there.values()))


_Load = tuple[dict[str, int], dict[tuple[int, int], dict[str, int]]]


def _shelves(context: Context) -> dict[str, _Load]:
    """Return by device the bytes of its blocks, and of its copies."""
    found: dict[str, _Load] = {}
    for block, parts in places(context).items():
        for device, (low, high) in parts.items():
            cost = context.cost(block, device)
            size = cost.weight_bytes - round(cost.cut_weight_bytes * (1 - (high - low)))
            found.setdefault(device, ({}, {}))[0][block] = size
    for backup in context.plan.backup:
        p, s = backup.stage
        blocks = context.plan.pipelines[p].stages[s].blocks
        sizes = {block: context.costs.block(block).weight_bytes for block in blocks}
        found.setdefault(backup.on, ({}, {}))[1][p, s] = sizes
    order = {device.name: i for i, device in enumerate(context.cluster.devices)}
    return dict(sorted(found.items(), key=lambda item: order[item[0]]))


def _messages(shelves: dict[str, _Load]) -> Iterator[tuple[str, int]]:
    """Yield (device, bytes) in the order in which they are sent."""
    for name, (blocks, _) in shelves.items():
        yield from ((name, size) for size in blocks.values())
    for name, (_, copies) in shelves.items():
        yield from ((name, size) for stage in copies.values() for size in stage.values())
