"""Holding: what a member has of the weights of a generation, and of moments before."""

from __future__ import annotations

from dataclasses import dataclass, field

from solver.execution.elastic.snapshot import Snapshot
from solver.execution.passes.replica import Replica
from solver.lowering.renewals import is_due
from solver.plan import Plan


@dataclass
class Holding:
    """What a member holds of the weights, and since when.

    Parameters
    ----------
    generation
        Whose plan says which blocks these are.
    replica
        The blocks.
    snapshot
        Before the latest step.
    kept
        After earlier steps: those that renewed copies of others, by number of steps.
    brought_to
        Number of steps to which the replica was brought for a later generation; -1 before.
    """

    generation: int
    replica: Replica
    snapshot: Snapshot = field(default_factory=Snapshot)
    kept: dict[int, Snapshot] = field(default_factory=dict)
    brought_to: int = -1

    @property
    def versions(self) -> list[int]:
        """Numbers of steps after which it can be had, beside what the replica is now."""
        return sorted({*self.kept, self.snapshot.version, self.brought_to} - {-1})

    def bring_to(self, version: int) -> None:
        """Make the replica what it was after some steps that it is known to have still.

        Parameters
        ----------
        version
            Number of steps that count.
        """
        if self.snapshot.version == version:
            self.snapshot.restore(self.replica)
        elif version in self.kept:
            self.kept[version].restore(self.replica)
        self.brought_to = version

    def keep(self, plan: Plan, first_step: int, version: int) -> None:
        """Take a snapshot if copies of others were renewed just now; let go of those too old to matter.

        Parameters
        ----------
        plan, first_step
            What this generation does, and where it began: its first step renews all.
        version
            Number of steps that are done.

        Notes
        -----
        Of each period two stay, as of the copies: the later renewal may be of a step that not all did. Where
        all copies are renewed in every step, the snapshot before the latest step is enough.
        """
        periods = {backup.every for backup in plan.backup}
        if periods <= {1}:
            return
        first = first_step + 1
        if version > first_step and (version == first or any(is_due(p, version - 1) for p in periods - {1})):
            self.kept[version] = Snapshot()
            self.kept[version].take(self.replica, version)
        wanted: set[int] = set()
        for period in periods:
            wanted |= set([v for v in sorted(self.kept) if v == first or is_due(period, v - 1)][-2:])
        self.kept = {v: one for v, one in self.kept.items() if v in wanted}
