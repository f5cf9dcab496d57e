"""Participants: a choice as a document, which names its workload and cluster and is read by the planner."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from models.document import Document, dump_json, read, validate
from models.errors import Fault, InputError
from solver.job import Job
from solver.participation.choice import Choice
from solver.participation.coalitions import Coalitions, Found
from solver.plan import Reference
from solver.problem import Problem


class Figures(Document):
    """What the best plan known of a group costs: score, seconds and joules of a step, samples a second."""

    score: float
    step_time_s: float
    energy_j: float
    samples_per_s: float


class RuleRow(Document):
    """What a rule chooses; figures are null where no plan of them all keeps every limit."""

    rule: str
    chosen: tuple[str, ...]
    figures: Figures | None = None


class DeviceRow(Document):
    """What it costs if this device leaves the chosen ones, or takes part too."""

    device: str
    takes_part: bool
    figures: Figures | None = None


class Participants(Document):
    """Who takes part in a job.

    Parameters
    ----------
    version
        Version of the format.
    workload, cluster
        What is shared out over what; a changed one is a fault.
    job, objective, weights, at_most, schedule, num_micro_batches, in_flight, left_out, power_modes
        What they were chosen for; see :class:`solver.problem.Problem`.
    solver, work_limit, seed
        Who planned for the groups.
    rule
        Whose choice it is.
    chosen
        Who takes part.
    figures
        What the best plan known of them costs.
    rules
        What the rules choose that were compared, the one above included.
    changes
        What each device changes.
    equal
        Devices that can be exchanged for one another.
    num_groups
        Groups that were planned for.
    stopped_after_s
        Limit of time at which the search ended early, with the best known by then; null: it was done.
    """

    version: Literal[1] = 1
    workload: Reference
    cluster: Reference
    job: Job
    objective: str = "time"
    weights: dict[str, float] = Field(default_factory=dict)
    at_most: dict[str, float] = Field(default_factory=dict)
    schedule: str = "1f1b"
    num_micro_batches: int | None = None
    in_flight: str = "default"
    left_out: str = "idle"
    power_modes: str = "own"
    solver: str
    work_limit: int
    seed: int = 0
    rule: str
    chosen: tuple[str, ...] = Field(min_length=1)
    figures: Figures
    rules: tuple[RuleRow, ...] = ()
    changes: tuple[DeviceRow, ...] = ()
    equal: tuple[tuple[str, ...], ...] = ()
    num_groups: int = 0
    stopped_after_s: float | None = None

    @model_validator(mode="after")
    def _once(self) -> Self:
        twice = sorted({name for name in self.chosen if self.chosen.count(name) > 1})
        if twice:
            raise InputError([Fault("chosen", f"named twice: {', '.join(twice)}")], "participants")
        return self

    def to_json(self) -> str:
        """Return it as JSON text."""
        return dump_json(self.model_dump(mode="json", exclude_none=True))

    def words(self) -> dict[str, Any]:
        """Return what they were chosen for, in the words of :func:`solver.api.problem`."""
        weights = ",".join(f"{name}:{value!r}" for name, value in self.weights.items())
        job = {word: value for word, value in self.job if word != "kind"}
        return {
            **job,
            "objective": weights or self.objective,
            "at_most": tuple(f"{name}={value!r}" for name, value in self.at_most.items()),
            "micro_batches": self.num_micro_batches,
            "schedule": self.schedule,
            "left_out": self.left_out,
            "power_modes": self.power_modes,
        }


def document_of(coalitions: Coalitions, choice: Choice) -> Participants | None:
    """Return a choice as a document; ``None`` where the rule has no answer.

    Parameters
    ----------
    coalitions, choice
        Groups, and who was chosen.
    """
    problem, planner = coalitions.problem, coalitions.planner
    figures = _figures(choice.chosen.found)
    if figures is None:
        return None
    words = {word: getattr(problem, word) for word in ("objective", "schedule", "num_micro_batches")}
    words |= {word: getattr(problem, word) for word in ("in_flight", "left_out", "power_modes")}
    return Participants(
        workload=Reference(
            name=problem.workload_ref or problem.workload.name, sha256=problem.workload.digest
        ),
        cluster=Reference(name=problem.cluster_ref or problem.cluster.name, sha256=problem.cluster.digest),
        job=problem.job,
        weights=dict(problem.weights),
        at_most=dict(problem.at_most),
        solver=planner.solver,
        work_limit=planner.work_limit,
        seed=planner.seed,
        rule=choice.chosen.rule,
        chosen=choice.chosen.group,
        figures=figures,
        rules=tuple(
            RuleRow(rule=one.rule, chosen=one.group, figures=_figures(one.found)) for one in choice.compared
        ),
        changes=tuple(
            DeviceRow(device=one.device, takes_part=one.takes_part, figures=_figures(one.found))
            for one in choice.changes
        ),
        equal=tuple(kind for kind in coalitions.kinds if len(kind) > 1),
        num_groups=choice.num_groups,
        stopped_after_s=coalitions.time_limit_s if choice.was_stopped else None,
        **words,
    )


def _figures(found: Found | None) -> Figures | None:
    if found is None:
        return None
    report = found.report
    return Figures(
        score=found.score,
        step_time_s=report.step_time_s,
        energy_j=report.energy_j,
        samples_per_s=report.samples_per_s,
    )


def read_participants(path: Path) -> Participants:
    """Read a choice.

    Parameters
    ----------
    path
        A JSON or YAML file.

    Raises
    ------
    InputError
        With every fault and its path.
    """
    return validate(Participants, read(path), str(path))


def narrowed(problem: Problem, given: Participants) -> Problem:
    """Return a problem in which only the chosen ones may take part.

    Parameters
    ----------
    problem
        What is decided.
    given
        Who was chosen.

    Raises
    ------
    InputError
        If they were chosen for another workload or cluster, or have changed since, or are not there.
    """
    faults = [
        Fault(
            f"{word}.sha256",
            f"the participants were chosen for another {word}, or it has changed: "
            f"sha256 {reference.sha256}, now {digest}; choose them again",
        )
        for word, reference, digest in (
            ("workload", given.workload, problem.workload.digest),
            ("cluster", given.cluster, problem.cluster.digest),
        )
        if reference.sha256 not in (None, digest)
    ]
    names = problem.cluster.by_name
    faults += [
        Fault(f"chosen.{i}", f"no device is called {name!r}; there are: {', '.join(names)}")
        for i, name in enumerate(given.chosen)
        if name not in names
    ]
    if faults:
        raise InputError(faults, "participants")
    return replace(problem, participants=frozenset(given.chosen))
