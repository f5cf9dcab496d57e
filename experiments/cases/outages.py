"""What the loss of a device costs: noticing, another plan, moving weights, steps done again, slower steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean

from experiments.cases.protection import Ready, disk_s, restored_bytes
from solver.evaluate import evaluate
from solver.execution.elastic.coordinator import SILENCE_S
from solver.plan import Plan
from solver.problem import Problem
from solver.repair.policy import EVALUATION_S, FULL_EVALUATIONS, Candidate, Planner, Repair
from solver.repair.remaining import without
from solver.repair.stock import Stock, context_of
from solver.solve import solve

START_S = 5.0
"""Starting processes and loading the framework on a board after a restart: an estimate."""
AWAY_S = 600.0
"""How long a device stays away."""
WORK_LIMIT = 100_000
"""Of the solver that plans anew."""
RARELY = 10**6
"""Renewals of the copies of a repaired plan are not counted in its step."""
EVERY = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
"""Steps between two renewals that may be chosen."""


@dataclass(frozen=True)
class Outage:
    """The loss of one device under one way of being ready.

    Parameters
    ----------
    device, how
        Who dies; ``light``, ``full`` or ``restart``.
    plan_s, move_s, back_s
        Seconds to find the other plan, to move or read weights, and to change back when it returns.
    moved_bytes
        What moves.
    needs_old
        Whether state as old as the last renewal is gone on from.
    after_s
        A step without the device; infinite if nobody can go on.
    """

    device: str
    how: str
    plan_s: float
    move_s: float
    back_s: float
    moved_bytes: int
    needs_old: bool
    after_s: float

    @property
    def down_s(self) -> float:
        """Seconds from the fault to the next step."""
        return SILENCE_S + self.plan_s + self.move_s

    def lost_steps(self, every: int) -> float:
        """Return the mean steps done again: half of the one in flight, and what came after the renewal."""
        return 0.5 + ((every - 1) / 2 if self.needs_old else 0.0)


def repaired(problem: Problem, ready: Ready, device: str) -> list[Outage]:
    """Return the light and the full repair after a loss, the cheaper first; none if weights are gone.

    Parameters
    ----------
    problem, ready, device
        What is decided, the plan that ran, and who dies.
    """
    plan, workload, cluster = ready.plan, problem.workload, problem.cluster
    context = context_of(plan, workload, cluster)
    stock = Stock.of(context, {device})
    if stock.lost():
        return []
    planner = Planner(
        plan, workload, cluster, Repair(solver="asteroid_subsets", every=RARELY), lambda _: True
    )
    found = planner.candidates({device}, stock, planner.repair.horizon)
    old = bool(stock.needs_copies())
    return [_outage(problem, planner, device, one, old) for one in found if _fits(problem, one.plan)]


def _fits(problem: Problem, plan: Plan) -> bool:
    return evaluate(plan, problem.workload, problem.cluster).is_feasible


def _outage(problem: Problem, planner: Planner, device: str, one: Candidate, old: bool) -> Outage:
    context = context_of(one.plan, problem.workload, problem.cluster)
    (back,) = planner.candidates((), Stock.of(context, ()), planner.repair.horizon)
    return Outage(device, one.how, one.planning_s, one.move_s, back.move_s, one.move_bytes, old, one.step_s)


def restarted(problem: Problem, ready: Ready, device: str) -> Outage:
    """Return a restart from the last checkpoint by a new plan for those that are left.

    Parameters
    ----------
    problem, ready, device
        What is decided, the plan that ran, and who dies.
    """
    plan = _anew(problem, ready, device)
    planning_s = FULL_EVALUATIONS * EVALUATION_S
    back_s = START_S + disk_s(problem, restored_bytes(problem, ready.plan))
    if plan is None:
        return Outage(device, "restart", planning_s, 0.0, back_s, 0, True, float("inf"))
    size = restored_bytes(problem, plan)
    after_s = evaluate(plan, problem.workload, problem.cluster).step_time_s
    move_s = START_S + disk_s(problem, size)
    return Outage(device, "restart", planning_s, move_s, back_s, size, True, after_s)


def _anew(problem: Problem, ready: Ready, device: str) -> Plan | None:
    """Return a new plan for all boards but one, those that took no part included: all processes are new."""
    rest = replace(problem, cluster=without(problem.cluster, {device}))
    solver = "single" if ready.way == "one board" else "asteroid_subsets"
    found = solve(rest, solver, work_limit=WORK_LIMIT).plan
    return None if found is None else found.model_copy(update={"cluster": ready.plan.cluster})


def kept(ready: Ready, outages: Sequence[Outage], mtbf_s: float, every: int, steps_per_s: float) -> float:
    """Return the part of a faultless, unprotected step rate that is kept in the long run.

    Parameters
    ----------
    ready, outages
        The plan and the loss of each of its devices.
    mtbf_s
        Mean time between two failures of one device; which fails is equally likely.
    every
        Steps between two renewals.
    steps_per_s
        That rate.

    Notes
    -----
    Cycles: all well for mtbf / devices on average, then one device fails, all wait, the others go on for
    ``AWAY_S`` (or wait, if they cannot), and it is taken in again. A second failure meanwhile is left out, so
    figures are too good where the mean time is not long beside ``AWAY_S``.
    """
    well_s = mtbf_s / len(ready.devices)
    steps = well_s / ready.step_s(every)
    lost = mean(min(one.lost_steps(every), steps) for one in outages)
    down_s = mean(one.down_s + one.back_s for one in outages)
    meanwhile = mean(AWAY_S / one.after_s for one in outages)
    return (steps - lost + meanwhile) / (well_s + down_s + AWAY_S) / steps_per_s


def best_every(ready: Ready, outages: Sequence[Outage], mtbf_s: float, steps_per_s: float) -> int:
    """Return the number of steps between two renewals that keeps most, the smallest of equal ones."""
    return max(EVERY, key=lambda every: (kept(ready, outages, mtbf_s, every, steps_per_s), -every))
