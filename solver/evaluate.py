"""Evaluate: the only place where a score is computed. Evaluator = lower + simulate + score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from models.cluster import Cluster
from models.workload import Workload
from solver.check import check
from solver.limits import static_violations, walked_violations
from solver.lowering import lower
from solver.lowering.renewals import kinds_of_steps
from solver.plan import Plan, participants_of
from solver.problem import OBJECTIVES, Problem
from solver.report import Report, Violation, make_report, mean_report
from solver.settings import Settings
from solver.simulate import simulate
from solver.split import split_of


def evaluate(plan: Plan, workload: Workload, cluster: Cluster, settings: Settings | None = None) -> Report:
    """Return what a plan costs.

    Parameters
    ----------
    plan, workload, cluster
        The plan, and what it names.
    settings
        Cost rules; the default is what the executor does.

    Raises
    ------
    InputError
        If the plan is not sound, with every fault. A sound plan that breaks a limit is an answer:
        see ``Report.violations``.

    Notes
    -----
    Where steps differ, because copies are renewed in some of them only, figures are means over all steps; the
    Program, its timeline and the memory are those of a step that renews all.
    """
    check(plan, workload, cluster)
    kinds = kinds_of_steps(plan)
    broken = static_violations(plan, workload, cluster)
    report, *others = (
        make_report(plan, cluster, program, simulate(program), broken)
        for program in (
            lower(plan, workload, cluster, settings, first_step=step) for step, _ in reversed(kinds)
        )
    )
    if others:
        report = mean_report(cluster, [report, *others], [part for _, part in reversed(kinds)])
    return replace(report, violations=report.violations + walked_violations(plan, report))


def score(report: Report, objective: str, weights: Mapping[str, float] | None = None) -> float:
    """Return the figure of an objective; smaller is better.

    Parameters
    ----------
    report
        What a plan costs.
    objective
        A key of :data:`solver.problem.OBJECTIVES`.
    weights
        Of the objectives in the objective ``weighted``.
    """
    if objective == "weighted":
        return sum(weight * score(report, name) for name, weight in (weights or {}).items())
    figures = {
        "time": report.step_time_s,
        "bottleneck": report.bottleneck_s,
        "energy": report.energy_j,
        "memory": float(report.peak_memory_bytes),
        "traffic": float(report.traffic_bytes),
        "carbon": report.accounts.total_carbon_g,
        "untrusted": float(report.untrusted_bytes),
        "latency": sum(report.latencies_s) / len(report.latencies_s) if report.latencies_s else 0.0,
    }
    return figures[objective]


MOST_KNOWN_BYTES = 200_000_000
"""Memory of reports that are kept, about; beyond, the oldest are forgotten."""
ROW_BYTES, INSTRUCTION_BYTES = 1500, 32
"""Of a report's Program and timeline, about."""


class Known:
    """What plans cost that were judged before: solvers that offer the same plan twice need not wait twice.

    It holds for one workload, cluster and cost rules; a problem with others begins it anew. Objective, limits
    and participants may differ between the problems that share it. What was forgotten is judged again.
    """

    def __init__(self) -> None:
        self._of: tuple[object, ...] | None = None
        self._reports: dict[str, Report] = {}
        self._bytes = 0

    def evaluate(self, problem: Problem, plan: Plan) -> Report:
        """Return what a plan costs, see :func:`evaluate`.

        Parameters
        ----------
        problem
            Whose workload, cluster and cost rules they are.
        plan
            A plan for them.
        """
        of = problem.workload.digest, problem.cluster.digest, problem.settings
        if of != self._of:
            self._of, self._reports, self._bytes = of, {}, 0
        key = plan.key
        if key in self._reports:
            return self._reports[key]
        report = evaluate(plan, problem.workload, problem.cluster, problem.settings)
        self._reports[key] = report
        self._bytes += _size(report)
        while self._bytes > MOST_KNOWN_BYTES and len(self._reports) > 1:
            self._bytes -= _size(self._reports.pop(next(iter(self._reports))))
        return report


def _size(report: Report) -> int:
    program = report.program
    return ROW_BYTES * len(program.rows) + INSTRUCTION_BYTES * len(program)


def judge(problem: Problem, plan: Plan, known: Known | None = None) -> tuple[Report, float]:
    """Return what a plan costs, and its figure under a problem's objective.

    Parameters
    ----------
    problem
        What is decided.
    plan
        A plan for its workload and cluster.
    known
        What was judged before, and takes note of this plan.
    """
    if known is None:
        report = evaluate(plan, problem.workload, problem.cluster, problem.settings)
    else:
        report = known.evaluate(problem, plan)
    broken = (*_other_job(problem, plan), *_above(problem, report), *_misplaced(problem, plan))
    broken = (*broken, *_other_participants(problem, plan))
    report = replace(report, violations=report.violations + broken)
    return report, score(report, problem.objective, problem.weights)


def _other_job(problem: Problem, plan: Plan) -> Iterator[Violation]:
    """Yield the words of a plan that are not the problem's: less work would score better."""
    if plan.left_out != problem.left_out:
        message = f"left-out devices are {plan.left_out} in the plan, {problem.left_out} in the problem"
        yield Violation("job", "left_out", 0, 0, "", message)
    if plan.job is problem.job:
        return
    for word, ours in problem.job:
        theirs = getattr(plan.job, word)
        if theirs != ours:
            message = f"the plan is for {word} {theirs!r}, the problem has {ours!r}"
            yield Violation("job", word, 0, 0, "", message)


def _other_participants(problem: Problem, plan: Plan) -> Iterator[Violation]:
    """Yield the devices that take part and may not, and those that must and do not."""
    if problem.participants is None and not problem.all_take_part:
        return
    used, allowed = participants_of(plan), problem.participants
    for name in sorted(used - allowed) if allowed is not None else ():
        yield Violation("participants", name, 0, 0, "", f"{name} may take no part")
    for name in problem.usable if problem.all_take_part else ():
        if name not in used:
            yield Violation("participants", name, 0, 0, "", f"{name} must take part, and is in no stage")


def _misplaced(problem: Problem, plan: Plan) -> Iterator[Violation]:
    """Yield the rules of placement that a plan breaks."""
    if problem.placement is None:
        return
    placed = split_of(plan)
    if placed is None:
        message = "a block is on several devices; the problem's rules place each on one"
        yield Violation("placement", "", 0, 0, "", message)
        return
    for _, where, message in problem.placement.broken(placed, problem.workload, problem.cluster):
        yield Violation("placement", where, 0, 0, "", message)


def _above(problem: Problem, report: Report) -> Iterator[Violation]:
    """Yield the figures that are larger than the problem accepts."""
    for name, allowed in problem.at_most.items():
        given = score(report, name)
        if given > allowed:
            unit = OBJECTIVES[name][1]
            message = f"{name} is {given:.6g} {unit}, at most {allowed:.6g} {unit} is accepted"
            yield Violation("objective", name, given, allowed, unit, message)
