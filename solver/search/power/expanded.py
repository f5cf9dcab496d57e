"""Expanded: a cluster in which every device stands once for each power mode that it may be in.

Plans that use at most one of the stand-ins of a device are the plans of the cluster with their modes chosen.
So whatever is tabled and scored for devices is tabled and scored for modes too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from models.cluster import Cluster, Device, PairLink, Segment
from solver.plan import Plan, Stage, pipeline_plan
from solver.power_modes import modes_of, with_modes
from solver.problem import Problem

Interval = tuple[int, int, int]
"""A stage: number of a stand-in, first block, and the block after the last."""


@dataclass(frozen=True)
class Expanded:
    """A problem and its stand-ins.

    Parameters
    ----------
    original
        What is decided, over D devices that can compute.
    """

    original: Problem

    @cached_property
    def choices(self) -> tuple[tuple[str, str | None], ...]:
        """(V,): device and mode of each stand-in that can compute, device by device."""
        return tuple((name, mode) for name in self.original.usable for mode in self.modes[name])

    @cached_property
    def modes(self) -> dict[str, tuple[str | None, ...]]:
        """Modes of every device of the cluster."""
        return {device.name: modes_of(self.original, device) for device in self.original.cluster.devices}

    @cached_property
    def names(self) -> dict[tuple[str, str | None], str]:
        """Names of all stand-ins."""
        taken = {*self.original.cluster.by_name, *self.original.cluster.segment}
        found: dict[tuple[str, str | None], str] = {}
        for device, modes in self.modes.items():
            for mode in modes:
                name = device if mode is None else f"{device}@{mode}"
                while mode is not None and name in taken:
                    name += "@"
                taken.add(name)
                found[device, mode] = name
        return found

    @cached_property
    def problem(self) -> Problem:
        """The problem over stand-ins; devices that are left out cost nothing in it."""
        usable = frozenset(self.names[choice] for choice in self.choices)
        return replace(
            self.original,
            cluster=self._cluster(),
            power_modes="own",
            left_out="off",
            participants=usable,
            all_take_part=False,
        )

    def plan(self, stages: Sequence[Interval], num_micro_batches: int) -> Plan:
        """Return the plan of a list of stages, with the modes of its devices.

        Parameters
        ----------
        stages
            Stages, from the first to the last.
        num_micro_batches
            Micro-batches of a step.
        """
        order = self.original.workload.order
        samples = self.original.job.batch // num_micro_batches
        listed = [Stage(blocks=order[h:i], shares={self.choices[v][0]: samples}) for v, h, i in stages]
        plan = pipeline_plan(self.original, listed, num_micro_batches)
        return with_modes(self.original, plan, dict(self.choices[v] for v, _, _ in stages))

    def _cluster(self) -> Cluster:
        cluster = self.original.cluster
        boards = [self._stand_in(d, mode) for d in cluster.devices for mode in self.modes[d.name]]
        inside = {member for segment in cluster.segments for member in segment.members}
        alone = [device.name for device in cluster.devices if device.name not in inside]
        links = [*self._links(), *(link for name in alone for link in self._siblings(name))]
        return Cluster(
            name=cluster.name,
            devices=tuple(boards),
            segments=tuple(self._segment(segment) for segment in cluster.segments),
            links=tuple(links),
        )

    def _stand_in(self, device: Device, mode: str | None) -> Device:
        words = {"name": self.names[device.name, mode], "power_modes": {}}
        return device.in_mode(mode).model_copy(update=words)

    def _all(self, name: str) -> list[str]:
        """Return the stand-ins of a device, or a segment as it is."""
        return [self.names[name, mode] for mode in self.modes[name]] if name in self.modes else [name]

    def _segment(self, segment: Segment) -> Segment:
        words: dict[str, object] = {
            "members": tuple(n for member in segment.members for n in self._all(member))
        }
        if segment.spectrum is not None:
            gain = {one: value for name, value in segment.spectrum.gain.items() for one in self._all(name)}
            words["spectrum"] = segment.spectrum.model_copy(update={"gain": gain})
        return segment.model_copy(update=words)

    def _links(self) -> list[PairLink]:
        pairs = [
            (a, b, link)
            for link in self.original.cluster.links
            for a in self._all(link.between[0])
            for b in self._all(link.between[1])
        ]
        return [link.model_copy(update={"between": (a, b)}) for a, b, link in pairs]

    def _siblings(self, name: str) -> list[PairLink]:
        """Join stand-ins of a device that has direct links only; nothing goes there."""
        first, *others = self._all(name)
        every = [first, *others]
        return [
            PairLink(between=(a, b), bandwidth_bytes_per_s=1.0)
            for i, a in enumerate(every)
            for b in every[i + 1 :]
        ]
