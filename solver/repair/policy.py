"""Policy: which plan goes on with the devices that are left, by what each costs until the next change."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from models.cluster import Cluster
from models.errors import InputError
from models.workload import Workload
from solver.errors import SolverError
from solver.evaluate import evaluate
from solver.plan import Plan, Reference, share_devices
from solver.power_modes import chosen_in, in_modes, with_modes
from solver.problem import Problem
from solver.repair.backups import protected
from solver.repair.recut import Accept, Recut
from solver.repair.remaining import without
from solver.repair.stock import Stock, context_of, copy_moves, moves, seconds
from solver.solve import solve

PolicyName = Literal["light", "full", "cheapest"]
POLICIES: tuple[PolicyName, ...] = ("light", "full", "cheapest")

EVALUATION_S = 0.004
"""What one evaluation of a plan of some dozen instructions takes, seconds; measured on two cores of a virtual
machine. Plans are compared by this figure times their number, so that the same faults give the same choice
wherever they happen."""

FULL_EVALUATIONS = 25
"""What a re-plan counts for in that figure."""


@dataclass(frozen=True)
class Repair:
    """How plans are repaired.

    Parameters
    ----------
    policy
        ``light``: cut again locally; ``full``: plan anew; ``cheapest``: whichever costs less. Where the one
        that is asked for finds nothing, the other is taken.
    solver, work_limit, seed
        Makes new plans.
    every
        Steps between two renewals of the copies for the next fault.
    horizon
        Steps that a plan is expected to run until the next change: they are what a slow plan costs.
    """

    policy: PolicyName = "cheapest"
    solver: str = "asteroid"
    work_limit: int | None = 100_000
    seed: int = 0
    every: int = 1
    horizon: int = 100


@dataclass(frozen=True)
class Candidate:
    """A plan that could go on.

    Parameters
    ----------
    how
        ``light``, ``full``, or ``restored``: the plan from before the faults.
    plan
        With backups.
    step_s, move_s
        Predicted: one step, and moving the weights; seconds of the emulated devices.
    move_bytes
        What moves over links.
    planning_s
        What making it counts for in the comparison, seconds.
    planned_s
        What making it took, measured.
    cost_s
        All of it over the steps until the next change, seconds.
    """

    how: str
    plan: Plan
    step_s: float
    move_s: float
    move_bytes: int
    planning_s: float
    planned_s: float
    cost_s: float

    def to_json(self) -> dict[str, Any]:
        """Return its figures as plain data."""
        words = ("how", "step_s", "move_s", "move_bytes", "planning_s", "planned_s", "cost_s")
        return {word: getattr(self, word) for word in words}


class Planner:
    """Finds the plan that goes on after devices have gone or come back.

    Parameters
    ----------
    base
        The plan of all devices.
    workload, cluster
        What it names.
    repair
        How.
    accept
        Whether a plan may be used, beyond being sound.
    """

    def __init__(
        self, base: Plan, workload: Workload, cluster: Cluster, repair: Repair, accept: Accept
    ) -> None:
        self.base, self.workload, self.cluster = base, workload, cluster
        self.repair, self.accept = repair, accept
        self._made: dict[tuple[str, frozenset[str]], tuple[Plan | None, float, float]] = {}

    def candidates(self, away: Collection[str], stock: Stock | None, num_steps: int) -> list[Candidate]:
        """Return the plans that could go on, the chosen one first; none if there is none.

        Parameters
        ----------
        away
            Devices that are not there.
        stock
            Who has the state of what; ``None`` if nothing has to move, since nothing is trained yet.
        num_steps
            Steps that are left.
        """
        if not away:
            return [self._costed("restored", self.base, 0.0, 0.0, stock, num_steps)]
        asked = ("light", "full") if self.repair.policy == "cheapest" else (self.repair.policy,)
        found = [made for how in asked if (made := self._candidate(how, away, stock, num_steps))]
        if not found and self.repair.policy != "cheapest":
            other = "full" if self.repair.policy == "light" else "light"
            found = [made for how in (other,) if (made := self._candidate(how, away, stock, num_steps))]
        return sorted(found, key=lambda one: one.cost_s)

    def _candidate(
        self, how: str, away: Collection[str], stock: Stock | None, num_steps: int
    ) -> Candidate | None:
        key = how, frozenset(away)
        if key not in self._made:
            began = time.monotonic()
            plan, planning_s = self._light(away) if how == "light" else self._full(away)
            if plan is not None:
                plan = self._protected(plan)
            self._made[key] = plan, planning_s, time.monotonic() - began
        plan, planning_s, planned_s = self._made[key]
        if plan is None:
            return None
        return self._costed(how, plan, planning_s, planned_s, stock, num_steps)

    def _costed(
        self, how: str, plan: Plan, planning_s: float, planned_s: float, stock: Stock | None, num_steps: int
    ) -> Candidate:
        step_s = evaluate(plan, self.workload, self.cluster).step_time_s
        context = context_of(plan, self.workload, self.cluster)
        found = [*moves(stock, context), *copy_moves(stock, context)] if stock is not None else []
        move_s = seconds(found, context)
        moved = sum(move.num_bytes for move in found if move.sources != (move.target,))
        cost_s = planning_s + move_s + min(num_steps, self.repair.horizon) * step_s
        return Candidate(how, plan, step_s, move_s, moved, planning_s, planned_s, cost_s)

    def _light(self, away: Collection[str]) -> tuple[Plan | None, float]:
        recut = Recut(self.workload, self.cluster, self.accept)
        plan = recut.plan(self.base, away)
        return plan, recut.work * EVALUATION_S

    def _full(self, away: Collection[str]) -> tuple[Plan | None, float]:
        plan = replanned(self.base, self.workload, self.cluster, away, self.repair)
        usable = plan is not None and self.accept(plan)
        return plan if usable else None, FULL_EVALUATIONS * EVALUATION_S

    def _protected(self, plan: Plan) -> Plan:
        safe = protected(plan, self.workload, self.cluster, self.repair.every)
        return safe if self.accept(safe) else plan


def replanned(
    plan: Plan, workload: Workload, cluster: Cluster, away: Collection[str], repair: Repair
) -> Plan | None:
    """Return a new plan for the devices of a plan that are left; ``None`` if the solver finds none.

    Parameters
    ----------
    plan
        Its job, schedule, power modes and number of micro-batches stay.
    workload, cluster
        What it names.
    away
        Devices that are not there.
    repair
        Says which solver makes it.
    """
    counts = {pipeline.num_micro_batches for pipeline in plan.pipelines}
    count = counts.pop() if len(plan.pipelines) == 1 else None
    try:
        problem = Problem(
            workload,
            without(cluster, away),
            plan.job,
            num_micro_batches=count if count and plan.job.batch % count == 0 else None,
            schedule=plan.schedule,
            left_out=plan.left_out,
            participants=frozenset(_used(plan)) - frozenset(away),
            workload_ref=plan.workload.name,
            cluster_ref=plan.cluster.name,
        )
        chosen = chosen_in(plan)
        inner = in_modes(problem, chosen)
        found = solve(inner, repair.solver, seed=repair.seed, work_limit=repair.work_limit).plan
    except (InputError, SolverError):
        return None
    if found is None:
        return None
    found = with_modes(problem, found, chosen)
    reference = Reference(name=plan.cluster.name, sha256=plan.cluster.sha256)
    return found.model_copy(update={"cluster": reference, "workload": plan.workload})


def _used(plan: Plan) -> set[str]:
    return {name for p in plan.pipelines for stage in p.stages for name in share_devices(stage.shares)}
