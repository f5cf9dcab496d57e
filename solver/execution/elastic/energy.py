"""Energy of an elastic run: joules of all its generations, and of the time between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from models.cluster import Cluster
from models.workload import Workload
from solver.execution.elastic.account import Chapter
from solver.lowering import lower
from solver.plan import Plan
from solver.program import Program
from solver.repair.stock import context_of
from solver.report import Energy, energy_by_device


@dataclass(frozen=True)
class GenerationEnergy:
    """What one generation cost, from when it was decided until the next one was.

    Parameters
    ----------
    chapter
        What its boards did.
    by_device
        Joule of every board of the cluster.
    in_steps_j
        The part of it in steps that all its members did to their end.
    """

    chapter: Chapter
    by_device: dict[str, Energy]
    in_steps_j: float

    @property
    def energy_j(self) -> float:
        """Of all boards, joule."""
        return sum(part.total_j for part in self.by_device.values())

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        return {
            "number": self.chapter.number,
            "from_s": self.chapter.from_s,
            "until_s": self.chapter.until_s,
            "num_steps": self.chapter.num_steps,
            "total": self.energy_j,
            "in_steps": self.in_steps_j,
            "by_device": _plain(self.by_device),
        }


@dataclass(frozen=True)
class ElasticEnergy:
    """What a whole elastic run cost.

    Parameters
    ----------
    generations
        In their order.
    """

    generations: tuple[GenerationEnergy, ...]

    @property
    def by_device(self) -> dict[str, Energy]:
        """Joule of every board, all generations."""
        found: dict[str, Energy] = {}
        for one in self.generations:
            for name, part in one.by_device.items():
                before = found.get(name, Energy(0.0, 0.0, 0.0))
                idle, compute = before.idle_j + part.idle_j, before.compute_j + part.compute_j
                found[name] = Energy(idle, compute, before.radio_j + part.radio_j)
        return found

    @property
    def energy_j(self) -> float:
        """Of all boards from the start of the first step to the end of the last, joule."""
        return sum(one.energy_j for one in self.generations)

    @property
    def in_steps_j(self) -> float:
        """The part of it in whole steps; the rest went into waiting, moving, and steps that broke off."""
        return sum(one.in_steps_j for one in self.generations)

    def to_json(self, num_steps: int) -> dict[str, Any]:
        """Return the figures as plain data.

        Parameters
        ----------
        num_steps
            Steps that count.
        """
        return {
            "total": self.energy_j,
            "a_step": self.energy_j / num_steps if num_steps else None,
            "in_steps": self.in_steps_j,
            "outside_steps": self.energy_j - self.in_steps_j,
            "by_device": _plain(self.by_device),
            "generations": [one.to_json() for one in self.generations],
        }


def elastic_energy(chapters: Iterable[Chapter], workload: Workload, cluster: Cluster) -> ElasticEnergy:
    """Return what a run cost by the times its members told; powers are those of the cards.

    Parameters
    ----------
    chapters
        Its generations.
    workload, cluster
        What their plans name.

    Notes
    -----
    Idle power (of devices in no stage: what the plan says of them) of every board for as long as it was
    there, steps or not: noticing a fault, planning, moving and waiting included. A board whose process died
    is off until a new one asks to be taken in; one that is frozen or silent stays on. Busy less idle power
    for as long as it computed, radio power for as long as its link was busy, in every step, also those that
    broke off and were done again, and for the predicted time of the weights that moved. What a board did in
    the step in which it died, or fell silent, nobody knows: only its idle power counts.
    """
    return ElasticEnergy(tuple(_generation(chapter, workload, cluster) for chapter in chapters))


def _generation(chapter: Chapter, workload: Workload, cluster: Cluster) -> GenerationEnergy:
    plan = Plan.model_validate(chapter.plan)
    program = lower(plan, workload, cluster)
    lasted = [whole + broken for whole, broken in zip(chapter.whole_s, chapter.broken_s, strict=True)]
    radio = _carried_j(chapter, plan, workload, cluster)
    found = {
        name: Energy(part.idle_j * chapter.there_s[name], part.compute_j, part.radio_j + radio.get(name, 0.0))
        for name, part in energy_by_device(plan, cluster, program, 1.0, lasted).items()
    }
    return GenerationEnergy(chapter, found, _in_steps_j(chapter, plan, cluster, program))


def _in_steps_j(chapter: Chapter, plan: Plan, cluster: Cluster, program: Program) -> float:
    """Return the joules in whole steps; an unused board that was there for half of the time, for half."""
    span = chapter.until_s - chapter.from_s
    parts = energy_by_device(plan, cluster, program, chapter.in_steps_s, chapter.whole_s)
    taking_part = {row.device for row in program.rows}
    total = 0.0
    for name, part in parts.items():
        there = 1.0 if name in taking_part or not span else chapter.there_s[name] / span
        total += part.idle_j * there + part.compute_j + part.radio_j
    return total


def _carried_j(chapter: Chapter, plan: Plan, workload: Workload, cluster: Cluster) -> dict[str, float]:
    """Return the joules of radios while state moved, by device."""
    context = context_of(plan, workload, cluster)
    found: dict[str, float] = {}
    for one in chapter.carried:
        both = (
            (one.source, context.radio_w(one.source)),
            (
                one.target,
                context.devices[one.target].radio_w.value,
            ),
        )
        for name, watt in both:
            found[name] = found.get(name, 0.0) + watt * one.seconds
    return found


def _plain(by_device: dict[str, Energy]) -> dict[str, dict[str, float]]:
    return {
        name: {"idle": part.idle_j, "compute": part.compute_j, "radio": part.radio_j}
        for name, part in by_device.items()
    }
