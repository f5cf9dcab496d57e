"""Network as it is drawn: where devices and segments stand, and who talks to whom how much."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from models.cluster import Cluster, Segment
from solver.report import Report
from solver.reporting.measured import Measured


@dataclass(frozen=True)
class Flow:
    """Bytes between two devices, predicted for a step of the Program and measured.

    Parameters
    ----------
    first, second
        The devices, in drawing order.
    there, back
        Predicted bytes from the first to the second, and back.
    measured_there, measured_back
        Counted ones; ``None`` without a run.
    """

    first: str
    second: str
    there: int
    back: int
    measured_there: int | None = None
    measured_back: int | None = None


class Picture:
    """Places of devices and segments.

    Parameters
    ----------
    cluster
        What is drawn.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    @cached_property
    def devices(self) -> tuple[str, ...]:
        """Devices from left to right: those of a segment side by side."""
        found: dict[str, None] = {}
        for segment in self.cluster.segments:
            found.update(dict.fromkeys(name for name in segment.members if name in self.cluster.by_name))
        return tuple(dict.fromkeys([*found, *(device.name for device in self.cluster.devices)]))

    def below(self, segment: Segment) -> tuple[int, int]:
        """Return the first and last place of the devices under a segment.

        Parameters
        ----------
        segment
            Its own devices; those of its members if it joins segments only.
        """
        spots = self._spots(segment, frozenset())
        return (min(spots), max(spots)) if spots else (0, 0)

    def _own(self, segment: Segment) -> list[int]:
        return [self.devices.index(name) for name in segment.members if name in self.cluster.by_name]

    def _spots(self, segment: Segment, seen: frozenset[str]) -> list[int]:
        if own := self._own(segment):
            return own
        inner = [name for name in segment.members if name not in seen]
        return [p for name in inner for p in self._spots(self.cluster.segment[name], seen | {segment.name})]

    @cached_property
    def level(self) -> dict[str, int]:
        """Height of every segment above the devices; those side by side share one."""
        found: dict[str, int] = {}
        taken: list[tuple[int, int, int]] = []
        waiting = list(self.cluster.segments)
        while waiting:
            segment = next((s for s in waiting if self._ready(s, found)), waiting[0])
            waiting.remove(segment)
            first, last = self.below(segment)
            inner = () if self._own(segment) else segment.members
            least = max((found[name] + 1 for name in inner if name in found), default=0)
            free = (
                y
                for y in range(least, len(taken) + least + 1)
                if all(y != other or last < a or b < first for a, b, other in taken)
            )
            found[segment.name] = next(free)
            taken.append((first, last, found[segment.name]))
        return found

    def _ready(self, segment: Segment, found: dict[str, int]) -> bool:
        return bool(self._own(segment)) or all(name in found for name in segment.members)

    def flows(self, report: Report, measured: Measured | None) -> list[Flow]:
        """Return who talks to whom, the most talkative pair first."""
        place = {name: i for i, name in enumerate(self.devices)}
        counted = dict(measured.traffic_bytes) if measured is not None else {}
        pairs = dict.fromkeys(
            (a, b) if place[a] < place[b] else (b, a) for a, b in [*report.traffic, *counted] if a != b
        )
        found = [
            Flow(
                a,
                b,
                report.traffic.get((a, b), 0),
                report.traffic.get((b, a), 0),
                counted.get((a, b), 0) if counted else None,
                counted.get((b, a), 0) if counted else None,
            )
            for a, b in pairs
        ]
        return sorted(found, key=lambda flow: -(flow.there + flow.back))
