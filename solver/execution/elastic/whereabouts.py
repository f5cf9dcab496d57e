"""Whereabouts: which members have the weights of which blocks, after which step, when a generation ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.cluster import Cluster
from models.workload import Workload
from solver.execution.elastic.desk import Mate
from solver.execution.elastic.line import Message
from solver.lowering.stages import stage_views
from solver.lowering.sync import renewal_bytes
from solver.plan import Backup, Plan
from solver.repair.stock import WHOLE, Interval, Move, Places, Stock, context_of, places


@dataclass(frozen=True)
class Generation:
    """Members that train together by one plan.

    Parameters
    ----------
    number
        Counted from 1.
    plan, devices
        The plan, and who takes part, by process rank.
    first_step
        Where it begins.
    step_s
        Predicted time of a step, emulated seconds.
    """

    number: int
    plan: Plan
    devices: tuple[str, ...]
    first_step: int
    step_s: float


class Whereabouts:
    """Knows where weights are.

    Parameters
    ----------
    generations
        All so far, the latest last.
    mates
        What members said of themselves.
    workload, cluster
        What the plans name.
    """

    def __init__(
        self,
        generations: Sequence[Generation],
        mates: Mapping[str, Mate],
        workload: Workload,
        cluster: Cluster,
    ) -> None:
        self.generations, self.mates = generations, mates
        self.workload, self.cluster = workload, cluster

    def usable(self, version: int) -> list[int]:
        """Return the generations whose blocks may be as they were after some steps of those that count.

        Notes
        -----
        It is the one that did the last of these steps, and those that began after it. What others knew of so
        many steps was undone.
        """
        found = []
        for one in reversed([one for one in self.generations if one.first_step <= version]):
            found.append(one.number)
            if one.first_step < version:
                break
        return found[::-1]

    def valid(self, name: str, version: int) -> list[int]:
        """Return the generations whose blocks a device has as they were after some steps."""
        return [number for number in self.usable(version) if self._has(name, number, version)]

    def _has(self, name: str, generation: int, version: int) -> bool:
        """Return whether a device has the blocks of a generation's plan, as they were after some steps."""
        mate = self.mates[name]
        if generation not in mate.holds or version > mate.passed + 1:
            return False
        if version < mate.passed:
            return (generation, version) in mate.kept and mate.state in ("stopped", "done", "idle")
        is_current = mate.passed == version or (
            mate.passed == version - 1
            and generation == self.generations[-1].number
            and version > self.generations[-1].first_step
        )
        return mate.state in ("stopped", "done") or (mate.state == "idle" and is_current)

    def latest(self, version: int) -> tuple[Stock, int]:
        """Return the latest state that is somewhere, and the number of steps in it.

        Parameters
        ----------
        version
            Steps that are done. Where copies are renewed more rarely, what they hold, and what the others
            kept of that moment, may be all there is.

        Notes
        -----
        If no whole state is anywhere, it is the one of ``version``, with what is missing.
        """
        first = self.stock(version)
        if not first.lost():
            return first, version
        earlier = {kept for mate in self.mates.values() for _, kept in mate.kept if kept < version}
        for older in sorted(earlier, reverse=True):
            stock = self.stock(older)
            if not stock.lost():
                return stock, older
        return first, version

    def stock(self, version: int) -> Stock:
        """Return who has which weights after so many steps."""
        held: Places = {name: {} for name in self.workload.order}
        usable = self.usable(version)
        for generation in self.generations:
            if generation.number not in usable:
                continue
            for block, parts in places(context_of(generation.plan, self.workload, self.cluster)).items():
                for name, part in parts.items():
                    if self._has(name, generation.number, version):
                        held[block][name] = _wider(held[block].get(name), part)
        copies: dict[str, tuple[str, ...]] = {}
        for backup, blocks in self._copies(version):
            for block in blocks:
                copies[block] = (*copies.get(block, ()), backup.on)
        return Stock(held, copies)

    def _copies(self, version: int) -> list[tuple[Backup, tuple[str, ...]]]:
        """Return the backups that are there as of a number of steps, and their blocks in order.

        Notes
        -----
        Keepers say which versions they have; of a stage that is wholly frozen nothing is ever renewed.
        """
        made = [one for one in self.generations if one.first_step < version]
        if not made:
            return []
        plan = made[-1].plan
        context = context_of(plan, self.workload, self.cluster)
        views = stage_views(context)
        found = []
        for backup in plan.backup:
            mate = self.mates.get(backup.on)
            if mate is None or not any(self._has(backup.on, number, version) for number in mate.holds):
                continue
            if (*backup.stage, version) not in mate.copies and renewal_bytes(context, views, backup.stage):
                continue
            inside = set(plan.pipelines[backup.stage[0]].stages[backup.stage[1]].blocks)
            found.append((backup, tuple(name for name in self.workload.order if name in inside)))
        return found

    def told(self, found: Sequence[Move], version: int) -> list[Message]:
        """Return moves as members are told of them."""
        copies = self._copies(version)
        told = []
        for move in found:
            stage = next(
                (
                    [*backup.stage, list(blocks)]
                    for backup, blocks in copies
                    if move.from_copy and backup.on == move.sources[0] and move.block in blocks
                ),
                None,
            )
            told.append(
                {"block": move.block, "sources": list(move.sources), "target": move.target, "stage": stage}
            )
        return told


def _wider(first: Interval | None, second: Interval) -> Interval:
    if first is None or first == WHOLE or second == WHOLE:
        return WHOLE if first == WHOLE or second == WHOLE else second
    return min(first[0], second[0]), max(first[1], second[1])
