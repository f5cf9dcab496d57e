"""Power bridge: a search on devices in chosen power modes, inside a search that may choose them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from solver.plan import Plan
from solver.power_modes import in_modes, with_modes
from solver.report import Report
from solver.search.incumbent import Search


@dataclass
class Bridge(Search):
    """A search whose plans count, with their power modes, in another one.

    Parameters
    ----------
    outer
        The other one; it counts the work too. Bounds stay here: they are said of the chosen modes.
    chosen
        Modes by device.
    """

    outer: Search | None = None
    chosen: Mapping[str, str | None] = field(default_factory=dict)

    def tick(self, units: int = 1) -> None:
        """Count work here and there; raise when either is to stop."""
        if self.outer is not None:
            self.outer.tick(units)
        super().tick(units)

    @property
    def remaining_s(self) -> float:
        """Seconds left."""
        return min(self.clock.remaining_s, math.inf if self.outer is None else self.outer.remaining_s)

    def _hear(self, plan: Plan, report: Report, score: float) -> None:
        super()._hear(plan, report, score)
        if self.outer is None:
            return
        is_best = report.is_feasible and score <= self.best_score
        if is_best or (self.outer.best_plan is None and self.outer.nearest is None):
            self.outer.offer(with_modes(self.outer.problem, plan, self.chosen))


def bridge(search: Search, chosen: Mapping[str, str | None], share: float) -> Bridge:
    """Return a search on devices in chosen modes.

    Parameters
    ----------
    search
        In which its plans count.
    chosen
        Modes by device.
    share
        Its part of the time, or of the work, that is left.
    """
    work = None
    seconds = share * search.remaining_s
    if search.work_limit is not None:
        work, seconds = max(1, round(share * (search.work_limit - search.work))), math.inf
    made = Bridge(
        in_modes(search.problem, chosen),
        search.seed,
        seconds,
        work,
        call=search.call,
        mip=search.mip,
        outer=search,
        chosen=dict(chosen),
    )
    if search.best_plan is not None:
        made.offer(in_these_modes(made, search.best_plan))
    return made


def in_these_modes(made: Bridge, plan: Plan) -> Plan:
    """Return a plan as one for the devices of a bridge: their modes are chosen, it names none.

    Parameters
    ----------
    made
        The bridge.
    plan
        A plan for the outer problem.
    """
    cluster = made.problem.cluster
    bare = {
        name: choice.model_copy(update={"power_mode": None})
        for name, choice in plan.devices.items()
        if choice != type(choice)(power_mode=choice.power_mode)
    }
    reference = plan.cluster.model_copy(update={"sha256": cluster.digest})
    return plan.model_copy(update={"devices": bare, "cluster": reference})
