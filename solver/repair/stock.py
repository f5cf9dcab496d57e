"""Stock: who has the state of which block, whole or in part, and what has to move for another plan."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from models.cluster import Cluster
from models.workload import Workload
from solver.lowering.context import Context
from solver.lowering.stages import stage_views
from solver.lowering.sync import frozen_bytes, holders
from solver.plan import Plan, share_devices
from solver.settings import Settings

Interval = tuple[Fraction, Fraction]
"""Part of a block's cut weights."""

WHOLE: Interval = (Fraction(0), Fraction(1))
Places = dict[str, dict[str, Interval]]
"""Block to device to the part it holds."""


def context_of(plan: Plan, workload: Workload, cluster: Cluster) -> Context:
    """Return a plan beside what it names, under the default rules."""
    return Context(plan, workload, cluster, Settings())


def places(context: Context) -> Places:
    """Return who holds which part of every block while a plan runs.

    Parameters
    ----------
    context
        The plan.
    """
    found: Places = {}
    for block, held in holders(context, stage_views(context)).items():
        parts = found.setdefault(block, {})
        for place in held:
            low, high = parts.get(place.device, place.interval)
            parts[place.device] = min(low, place.interval[0]), max(high, place.interval[1])
    return found


@dataclass(frozen=True)
class Stock:
    """Where the state of every block can be had.

    Parameters
    ----------
    held
        Blocks that devices hold.
    copies
        Block to the devices that keep a copy of it for others.
    """

    held: Places
    copies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, context: Context, away: Collection[str]) -> Stock:
        """Return what the devices of a plan have that are left.

        Parameters
        ----------
        context
            The plan.
        away
            Devices that have gone.
        """
        held = {
            block: {name: part for name, part in parts.items() if name not in away}
            for block, parts in places(context).items()
        }
        copies: dict[str, tuple[str, ...]] = {}
        for backup in context.plan.backup:
            p, s = backup.stage
            for block in context.plan.pipelines[p].stages[s].blocks if backup.on not in away else ():
                copies[block] = (*copies.get(block, ()), backup.on)
        return cls(held, copies)

    def sources(self, block: str) -> tuple[str, ...]:
        """Return devices that hold a block together; empty if some of it is nowhere."""
        parts = self.held.get(block, {})
        chosen: list[str] = []
        reached = WHOLE[0]
        while reached < WHOLE[1]:
            fitting = [name for name, (low, high) in parts.items() if low <= reached < high]
            if not fitting:
                return ()
            chosen.append(max(fitting, key=lambda name: parts[name][1]))
            reached = parts[chosen[-1]][1]
        return tuple(chosen)

    def lost(self) -> tuple[str, ...]:
        """Return the blocks that nobody holds wholly, not even as a copy."""
        return tuple(name for name in self.held if not self.sources(name) and not self.copies.get(name))

    def needs_copies(self) -> tuple[str, ...]:
        """Return the blocks that can be had from copies only."""
        return tuple(name for name in self.held if not self.sources(name) and self.copies.get(name))


@dataclass(frozen=True)
class Move:
    """State of one block that a device has to get.

    Parameters
    ----------
    block
        Which block.
    sources
        Who sends it; several if each holds a part of it.
    target
        Who gets it.
    from_copy
        Whether the source sends a copy it keeps for others.
    num_bytes
        Weights and optimizer state, whole.
    """

    block: str
    sources: tuple[str, ...]
    target: str
    from_copy: bool
    num_bytes: int


def moves(stock: Stock, context: Context) -> list[Move]:
    """Return what has to move so that a plan can go on; the nearest source gives.

    Parameters
    ----------
    stock
        Who has what now; no block may be lost.
    context
        The plan to come.
    """
    found = []
    for block, parts in places(context).items():
        for target, part in parts.items():
            own = stock.held.get(block, {}).get(target)
            if own is None or own[0] > part[0] or own[1] < part[1]:
                found.append(_move(stock, context, block, target))
    return found


def copy_moves(stock: Stock, context: Context) -> list[Move]:
    """Return what has to move so that a plan's backups need only what changes from then on.

    Parameters
    ----------
    stock
        Who has what now; no block may be lost.
    context
        The plan to come.

    Notes
    -----
    Frozen weights go to whoever is to keep a copy and has neither the block nor a copy of it; from the first
    device of the stage, which has them by then.
    """
    found = []
    for backup in context.plan.backup:
        p, s = backup.stage
        stage = context.plan.pipelines[p].stages[s]
        source = share_devices(stage.shares)[0]
        for block in stage.blocks:
            size = frozen_bytes(context, block)
            has = stock.held.get(block, {}).get(backup.on) == WHOLE or backup.on in stock.copies.get(
                block, ()
            )
            if size and source != backup.on and not has:
                found.append(Move(block, (source,), backup.on, False, size))
    return found


def _move(stock: Stock, context: Context, block: str, target: str) -> Move:
    cost = context.costs.block(block)
    size = cost.weight_bytes + context.costs.state_bytes(cost.trained_bytes)
    copies = stock.copies.get(block, ())
    if target in copies:
        return Move(block, (target,), target, True, size)
    whole = [name for name, part in stock.held[block].items() if part == WHOLE]
    if whole:
        return Move(block, (_nearest(context, whole, target),), target, False, size)
    if sources := stock.sources(block):
        return Move(block, sources, target, False, size)
    return Move(block, (_nearest(context, copies, target),), target, True, size)


def _nearest(context: Context, names: Iterable[str], target: str) -> str:
    return min(names, key=lambda name: context.distance(name, target))


def seconds(found: Iterable[Move], context: Context) -> float:
    """Return the predicted time of moves, one after the other on every lane.

    Parameters
    ----------
    found
        In the order in which they are sent.
    context
        A plan over the same cluster.
    """
    free: dict[int, float] = {}
    for move in found:
        part = move.num_bytes // len(move.sources)
        for source in move.sources:
            if source != move.target:
                lasting, lanes = context.transfer(source, move.target, part)
                end = max((free.get(lane, 0.0) for lane in lanes), default=0.0) + lasting
                free.update(dict.fromkeys(lanes, end))
    return max(free.values(), default=0.0)
