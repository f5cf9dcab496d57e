"""Planner: who plans for a group of devices, and how much it may work."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from solver.plan import Plan
from solver.problem import Problem
from solver.solve import solve
from solver.status import Solution


@dataclass(frozen=True)
class Planner:
    """A solver with a limit of work: the same answer on every machine.

    Parameters
    ----------
    solver
        Name in the catalogue, or path of a Python file.
    work_limit
        Units of work for a group.
    seed
        Makes everything random repeatable.
    """

    solver: str = "best"
    work_limit: int = 300
    seed: int = 0

    def __call__(
        self,
        problem: Problem,
        group: frozenset[str],
        *,
        everyone: bool,
        start: Plan | None = None,
        time_limit_s: float = math.inf,
    ) -> Solution:
        """Return the best plan found for a group.

        Parameters
        ----------
        problem
            What is decided.
        group
            Who may take part.
        everyone
            Whether every one of them must.
        start
            A plan to begin from.
        time_limit_s
            Seconds; with a limit the answer depends on the machine.
        """
        asked = replace(problem, participants=group, all_take_part=everyone)
        return solve(
            asked,
            self.solver,
            time_limit_s=time_limit_s,
            work_limit=self.work_limit,
            seed=self.seed,
            start=start,
        )


MANY = 64
"""Groups beyond which a quick search plans for each of them, unless the person says who shall."""


def planner_for(num_groups: int, solver: str | None, work_limit: int | None, seed: int) -> Planner:
    """Return the planner for so many groups.

    Parameters
    ----------
    num_groups
        Groups that will be planned for.
    solver, work_limit
        As the person says; ``None``: ``best`` with 300 units of work up to 64 groups, beyond that
        ``local_search`` with 60, which is about ten times as quick.
    seed
        Makes everything random repeatable.
    """
    chosen = solver or ("best" if num_groups <= MANY else "local_search")
    default = 60 if solver is None and num_groups > MANY else Planner.work_limit
    return Planner(chosen, work_limit or default, seed)
