"""Ours: the best plan of the portfolio, begun from every plan of the literature, and never worse than one.

Every planner runs under a limit of work, not of time, so that its answer is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from solver.evaluate import Known, judge
from solver.plan import Plan
from solver.problem import Problem
from solver.solve import begun, solve
from solver.status import Solution

PARALLELISMS = {
    "data": "data_parallel",
    "sequence": "sequence_parallel",
    "tensor": "tensor_parallel",
    "pipeline": "pipeline_even",
}
"""The four conventional parallelisms, and the solver of each."""
HYBRIDS = ("eddl", "hetpipe", "pipedream", "dapple", "asteroid", "asteroid_subsets", "gpipe", "galaxy")
LITERATURE = ("single", *PARALLELISMS.values(), *HYBRIDS)
WORK_LIMIT, OURS_WORK_LIMIT = 20_000, 1_000
TOLERANCE = 1e-9
"""Relative difference at which two figures count as equal."""


class WorseError(Exception):
    """Our plan is worse than another one of the same case: the experiment must not go on."""


@dataclass(frozen=True)
class Better:
    """A plan that beats ours, for the message."""

    name: str
    score: float


def literature(
    problem: Problem,
    names: Iterable[str] = LITERATURE,
    *,
    work_limit: int = WORK_LIMIT,
    seed: int = 0,
    known: Known | None = None,
) -> dict[str, Solution]:
    """Return what planners of the literature answer; one that finds nothing says why in its reason.

    Parameters
    ----------
    problem
        What is decided.
    names
        Solvers.
    work_limit, seed
        Of each of them.
    known
        What plans cost that were judged before on the same workload and cluster.
    """
    return {name: solve(problem, name, work_limit=work_limit, seed=seed, known=known) for name in names}


def ours(
    problem: Problem,
    others: Mapping[str, Solution],
    *,
    starts: Iterable[Plan] = (),
    solver: str = "best",
    work_limit: int = OURS_WORK_LIMIT,
    seed: int = 0,
    known: Known | None = None,
) -> Solution:
    """Return our plan: searched for from the best one of the others.

    Parameters
    ----------
    problem
        What is decided.
    others
        Answers of other planners on the same problem.
    starts
        Further plans to begin from, as those found under another objective.
    solver, work_limit, seed
        Who searches, for how long.
    known
        What plans cost that were judged before on the same workload and cluster.

    Raises
    ------
    WorseError
        If one of the plans is better under the problem's objective than what was found.
    """
    given = {name: one.plan for name, one in others.items() if one.plan is not None}
    given |= {f"start {i}": plan for i, plan in enumerate(starts)}
    scores = {name: score_of(problem, plan, known) for name, plan in given.items()}
    fit = {name: score for name, score in scores.items() if score is not None}
    start = given[min(fit, key=lambda name: fit[name])] if fit else None
    found = solve(problem, solver, work_limit=work_limit, seed=seed, start=start, known=known)
    never_worse(found, fit)
    return found


def score_of(problem: Problem, plan: Plan, known: Known | None = None) -> float | None:
    """Return a plan's figure under a problem's objective and limits; ``None`` if it breaks a limit.

    Parameters
    ----------
    problem
        What is decided.
    plan
        A plan for the same work.
    known
        What plans cost that were judged before on the same workload and cluster.
    """
    report, score = judge(problem, begun(problem, plan), known)
    return score if report.is_feasible else None


def never_worse(found: Solution, others: Mapping[str, float]) -> None:
    """Raise if another plan is better than what was found.

    Parameters
    ----------
    found
        Our answer.
    others
        Figures of other plans under the same objective and limits.

    Raises
    ------
    WorseError
        With every one that is.
    """
    mine = found.score
    better = [
        Better(name, score)
        for name, score in others.items()
        if mine is None or mine > score * (1 + TOLERANCE)
    ]
    if better:
        words = "; ".join(f"{one.name} has {one.score!r}" for one in better)
        raise WorseError(f"{found.solver} found {mine!r} ({found.status.name}), but {words}")


def why_none(answer: Solution) -> str:
    """Return why an answer has no plan: ``declined: ...`` or ``does not fit: ...``; empty if it has one.

    Parameters
    ----------
    answer
        Of a planner.
    """
    if answer.plan is not None:
        return ""
    word = "declined" if answer.status.name == "DECLINED" else "does not fit"
    return f"{word}: {answer.reason}"
