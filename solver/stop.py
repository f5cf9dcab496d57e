"""Stopping rules: one method, and they compose."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

from solver.working_clock import working_s


class Stop(Protocol):
    """A stopping rule."""

    def __call__(self, work: int) -> str | None:
        """Return why to stop, or ``None`` to go on; ``work`` counts a solver's units of work."""
        ...


@dataclass
class TimeLimit:
    """Stop after so many seconds of wall time, counted from construction; compiling does not count."""

    seconds: float
    started: float = field(default_factory=working_s)

    def __call__(self, work: int) -> str | None:
        """Return why to stop, or ``None``."""
        return f"time limit of {self.seconds:g} s" if self.remaining_s <= 0 else None

    @property
    def remaining_s(self) -> float:
        """Seconds left; infinite without a limit."""
        if math.isinf(self.seconds):
            return math.inf
        return self.started + self.seconds - working_s()


@dataclass(frozen=True)
class WorkLimit:
    """Stop after so many units of work: the same on every machine."""

    units: int

    def __call__(self, work: int) -> str | None:
        """Return why to stop, or ``None``."""
        return f"work limit of {self.units} units" if work >= self.units else None


@dataclass(frozen=True)
class AnyOf:
    """Stop when one of several rules says so."""

    rules: tuple[Stop, ...]

    def __call__(self, work: int) -> str | None:
        """Return why to stop, or ``None``."""
        return next((reason for rule in self.rules if (reason := rule(work))), None)
