"""Findings: what a suite predicts beside what was measured, and what it asks of the predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from solver.validation.metrics import Summary, summary

Progress = Callable[[int, int], None]
"""Told (done, all) while a suite works."""


@dataclass(frozen=True)
class Run:
    """One run that somebody measured.

    Parameters
    ----------
    name
        Its id in the suite.
    group
        Workload and devices: plans of the same group answer the same question, so their order counts.
    iteration_s, peak_bytes
        Measured; ``None`` where it was not.
    """

    name: str
    group: str
    iteration_s: float | None
    peak_bytes: int | None = None


@dataclass(frozen=True)
class Prediction:
    """What the evaluator says of a run: time of an iteration, and peak memory of its fullest device."""

    iteration_s: float
    peak_bytes: int | None = None


@dataclass(frozen=True)
class Constant:
    """A constant that was fitted: its value, unit, and what it means physically."""

    name: str
    value: float
    unit: str
    meaning: str


@dataclass(frozen=True)
class Part:
    """Predictions for some of the runs, as those of one node count under constants fitted on the others.

    Parameters
    ----------
    name
        What is in it.
    predictions
        By name of run; a run may have others under the shipped constants.
    """

    name: str
    predictions: Mapping[str, Prediction]


@dataclass(frozen=True)
class Split:
    """Parts of the runs that were predicted apart from one another, and together.

    Parameters
    ----------
    title
        How the runs were parted, and what was fitted on what.
    parts
        The parts; no run is in two.
    """

    title: str
    parts: tuple[Part, ...]

    @property
    def together(self) -> Part:
        """All parts as one."""
        return Part("together", {name: one for part in self.parts for name, one in part.predictions.items()})


@dataclass(frozen=True)
class Goal:
    """A figure and what it must not pass.

    Parameters
    ----------
    name
        What it is the figure of.
    value
        The figure.
    limit
        Largest value that is good, or smallest if ``at_least``.
    at_least
        Whether larger is better.
    """

    name: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the figure is good."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True)
class Findings:
    """What a suite found.

    Parameters
    ----------
    suite
        Its name.
    runs
        The runs, in the order they are shown.
    predictions
        By name of run.
    constants
        What was fitted; empty if nothing was.
    origin
        On what the constants were fitted, and how.
    splits
        Other predictions of the same runs.
    goals
        What the suite asks of the figures.
    notes
        What a reader must know, as what was filled in.
    """

    suite: str
    runs: tuple[Run, ...]
    predictions: Mapping[str, Prediction]
    constants: tuple[Constant, ...] = ()
    origin: str = ""
    splits: tuple[Split, ...] = ()
    goals: tuple[Goal, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def holds(self) -> bool:
        """Whether every goal is met."""
        return all(goal.is_met for goal in self.goals)

    def summary(self, part: Part | None = None) -> Summary:
        """Return the figures of the predictions, or of those of one part.

        Parameters
        ----------
        part
            One of a split; ``None`` for all runs under the shipped constants.
        """
        predictions = self.predictions if part is None else part.predictions
        return summary([(run, predictions[run.name]) for run in self.runs if run.name in predictions])

    def to_json(self) -> dict[str, Any]:
        """Return ``{"suite", "predictions", "summary"}`` as plain data."""
        return {
            "suite": self.suite,
            "predictions": {name: vars(one) for name, one in self.predictions.items()},
            "summary": {
                **self.summary().to_json(),
                "constants": {constant.name: constant.value for constant in self.constants},
                "fitted": self.origin,
                "splits": {split.title: self._split_json(split) for split in self.splits},
                "goals": [{**vars(goal), "is_met": goal.is_met} for goal in self.goals],
                "notes": list(self.notes),
            },
        }

    def _split_json(self, split: Split) -> dict[str, Any]:
        return {part.name: self.summary(part).to_json() for part in (*split.parts, split.together)}
