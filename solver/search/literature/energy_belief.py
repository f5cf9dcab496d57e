"""Energy belief: what Asteroid's energy-aware follow-up believes of its plan, and what the evaluator says."""

from __future__ import annotations

from dataclasses import dataclass

from solver.evaluate import judge
from solver.plan import Plan, pipeline_plan
from solver.problem import Problem
from solver.report import Report
from solver.search.incumbent import Search
from solver.search.literature.energy_dp import ALPHA, EnergyTable, Part
from solver.search.literature.group_tables import group_tables


@dataclass(frozen=True)
class Belief:
    """One plan in two accounts.

    Parameters
    ----------
    plan
        The plan.
    step_s, energy_j
        As the planner counts them: no energy of messages, reductions and waiting.
    report
        As the evaluator counts them.
    """

    plan: Plan
    step_s: float
    energy_j: float
    report: Report

    @property
    def radio_j(self) -> float:
        """Energy of messages and reductions that the planner leaves out."""
        return sum(part.radio_j for part in self.report.energy.values())

    @property
    def waiting_j(self) -> float:
        """Idle power of all devices over the step; the planner counts it while they compute."""
        return sum(part.idle_j for part in self.report.energy.values())


@dataclass(frozen=True)
class Beliefs:
    """What the planner takes, and what it would take if it knew.

    Parameters
    ----------
    chosen
        The plan of least J in the planner's account.
    informed
        Of the whole plans that it kept, the one of least J in the evaluator's account.
    scores
        J of both in the evaluator's account.
    """

    chosen: Belief
    informed: Belief
    scores: tuple[float, float]


def believed(
    problem: Problem, search: Search, alpha: float = ALPHA, aim_s: float | None = None
) -> Beliefs | None:
    """Return the planner's plan in both accounts; ``None`` if none keeps the limits.

    Parameters
    ----------
    problem, search
        What is decided, and what says when to stop.
    alpha, aim_s
        As of :class:`solver.search.literature.energy_dp.EnergyTable`.

    Raises
    ------
    DeclinedError
        With the reason, as the planner does.
    """
    table = EnergyTable(group_tables(problem), search, alpha, aim_s)
    beliefs = [_belief(problem, table, part) for part in table.found]
    kept = [belief for belief in beliefs if belief.report.is_feasible]

    def true_score(belief: Belief) -> float:
        distance = abs(belief.report.step_time_s - table.aim_s)
        return alpha * distance + (1 - alpha) * belief.report.energy_j

    if not kept:
        return None
    informed = min(kept, key=true_score)
    return Beliefs(kept[0], informed, (true_score(kept[0]), true_score(informed)))


def _belief(problem: Problem, table: EnergyTable, part: Part) -> Belief:
    count = table.tables.num_micro_batches
    plan = pipeline_plan(problem, table.stages(part), count)
    return Belief(plan, part.step_s(count), part.energy_j, judge(problem, plan)[0])
