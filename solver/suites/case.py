"""Case: one problem of a suite, named so that a run of it can be found again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """One problem of a suite. Plain data: it crosses processes.

    Parameters
    ----------
    suite
        Name of the suite.
    instance
        Name of the instance in its suite, as ``layer/bert24_inference``.
    path
        File it is read from.
    variant
        Which of the questions asked of an instance, as ``contiguous``; empty if there is one.
    parameters
        What else the question fixes, as ``{"max_devices": 8}``; plain JSON.
    labels
        What the problem is like, to group by, as ``{"regime": "mixed"}``; not part of its name.
    best_known
        Best known score, in the evaluator's unit; ``None`` if there is none.
    known_bound
        No plan scores less, proven; ``None`` if there is none; equal to ``best_known`` if that is optimal.
    """

    suite: str
    instance: str
    path: str
    variant: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    best_known: float | None = None
    known_bound: float | None = None

    @property
    def name(self) -> str:
        """Name of the case, unique in its suite."""
        words = [self.instance, self.variant, *(f"{key}={value}" for key, value in self.parameters.items())]
        return ":".join(word for word in words if word)
