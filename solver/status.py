"""Status and Solution: what a solver answers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from solver.plan import Plan
from solver.report import Report
from solver.space import Space


class Status(Enum):
    """How a solve ended; the value is the sentence a person reads."""

    OPTIMAL = "the best plan of the stated space, proven: bound = score"
    FEASIBLE = "a plan that keeps every limit; not proven best"
    INFEASIBLE = "no plan of the stated space keeps every limit, proven"
    UNKNOWN = "no plan found, and not proven that there is none"
    DECLINED = "the solver cannot express this problem"


@dataclass(frozen=True)
class Incumbent:
    """A best plan so far: seconds since the start, and its score."""

    wall_s: float
    score: float


@dataclass(frozen=True)
class Bound:
    """A bound so far: seconds since the start, its value, and the plans of which none scores less."""

    wall_s: float
    value: float
    space: Space


@dataclass(frozen=True)
class Outcome:
    """What an algorithm hands back; the score is computed by others.

    Parameters
    ----------
    space
        Plans it looked among: optimality and bound hold for it.
    plan
        Its plan; ``None``: the best incumbent it offered, if any.
    bound
        No plan of the space scores less; ``None`` if it has none.
    infeasible
        Whether it proved that no plan keeps every limit.
    reason
        Why it stopped; for infeasible, which limit makes it so and by how much.
    """

    space: Space
    plan: Plan | None = None
    bound: float | None = None
    infeasible: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Solution:
    """The answer to a problem.

    Parameters
    ----------
    status, plan, score, bound
        The answer; score and bound in the objective's unit.
    space
        What status and bound are said of.
    reason
        Why it stopped.
    solver, seed, wall_s
        Who found it, and how long it took.
    incumbents, bounds
        Best plans, and bounds, over time; every bound with the space that it holds for.
    report
        What the plan costs.
    """

    status: Status
    solver: str
    seed: int
    wall_s: float
    space: Space
    plan: Plan | None = None
    score: float | None = None
    bound: float | None = None
    reason: str = ""
    incumbents: tuple[Incumbent, ...] = ()
    bounds: tuple[Bound, ...] = ()
    report: Report | None = field(default=None, repr=False)

    @property
    def gap(self) -> float | None:
        """(score - bound) / score; ``None`` without both."""
        if self.score is None or self.bound is None:
            return None
        return 0.0 if self.score == 0 else max(0.0, (self.score - self.bound) / self.score)

    def to_json(self) -> dict[str, Any]:
        """Return the solution as plain data, without the plan."""
        return {
            "status": self.status.name,
            "meaning": self.status.value,
            "solver": self.solver,
            "seed": self.seed,
            "wall_s": self.wall_s,
            "score": self.score,
            "bound": self.bound,
            "gap": self.gap,
            "space": str(self.space),
            "reason": self.reason,
            "incumbents": [{"wall_s": i.wall_s, "score": i.score} for i in self.incumbents],
            "bounds": [
                {"wall_s": b.wall_s, "bound": b.value, "space": str(b.space)}
                for b in self.bounds
                if math.isfinite(b.value)
            ],
        }
