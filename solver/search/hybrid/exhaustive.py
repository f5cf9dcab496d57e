"""Exhaustive search of small spaces of hybrid plans: every plan scored in batches, the best judged."""

from __future__ import annotations

import math

import numpy as np

from models.errors import InputError
from solver.batch import BatchScorer, PackedPlans
from solver.errors import DeclinedError
from solver.plan import pipeline_plan
from solver.problem import Problem
from solver.program import Floats
from solver.search.batch_figures import beyond_limits, needs_accounts, scorer_of, value_of
from solver.search.chains.chain import Bools
from solver.search.hybrid.plans import all_plans, count_plans
from solver.search.incumbent import Search

ROUNDING = 1e-9
"""Relative difference of the batch scorer and the evaluator, at most."""


def make_scorer(problem: Problem, num_micro_batches: int) -> BatchScorer:
    """Return a batch scorer of a problem's hybrid plans.

    Parameters
    ----------
    problem, num_micro_batches
        What is decided.

    Raises
    ------
    DeclinedError
        With the reason, if its plans are not of a family that is scored in batches.
    """
    try:
        return scorer_of(problem, num_micro_batches)
    except InputError as error:
        raise DeclinedError(f"not of a family that is scored in batches: {error}") from error


def usable_numbers(problem: Problem) -> list[int]:
    """Return the numbers, in the cluster's order, of the devices that can compute in the job's precision."""
    return [i for i, device in enumerate(problem.cluster.devices) if device.name in problem.usable]


def barred_before(problem: Problem) -> Floats:
    """Return (D, L + 1): how many blocks before a block each device of the cluster may not hold.

    Parameters
    ----------
    problem
        What is decided: data that may not leave keeps a block on its owners.
    """
    workload, devices = problem.workload, problem.cluster.devices
    barred = np.zeros((len(devices), len(workload.order) + 1))
    for k, name in enumerate(workload.order):
        data = workload.by_name[name].data
        owners = [device.name for device in devices if data is not None and data.name in device.data]
        if data is not None and not data.may_leave and owners:
            barred[:, k + 1] = [device.name not in owners for device in devices]
    summed: Floats = barred.cumsum(axis=1)
    return summed


def num_free_caps(problem: Problem, num_micro_batches: int) -> int:
    """Return how many values a cap may take; 0 where the rule of the schedule sets it."""
    free = problem.in_flight == "free" and problem.schedule != "gpipe"
    return num_micro_batches if free else 0


def space_size(problem: Problem, num_micro_batches: int) -> int:
    """Return the number of hybrid plans with a number of micro-batches."""
    samples = problem.job.batch // num_micro_batches
    caps = num_free_caps(problem, num_micro_batches)
    return count_plans(len(problem.workload.order), len(problem.usable), samples, caps)


def best_of_all(problem: Problem, search: Search, num_micro_batches: int) -> None:
    """Score every plan, and offer each that may be better than the best so far.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it; the objective is one of ``SCORED``.
    num_micro_batches
        Micro-batches of a step.

    Raises
    ------
    Interrupted
        When it is time to stop: then nothing is proven.
    DeclinedError
        If plans cannot be scored in batches.
    """
    scorer = make_scorer(problem, num_micro_batches)
    barred = barred_before(problem)
    samples = problem.job.batch // num_micro_batches
    parts = all_plans(
        len(problem.workload.order),
        usable_numbers(problem),
        len(problem.cluster.devices),
        samples,
        num_free_caps(problem, num_micro_batches),
    )
    for plans in parts:
        search.tick()
        offer_promising(problem, search, scorer, plans, allowed(barred, plans))


def allowed(barred: Floats, plans: PackedPlans) -> Bools:
    """Return (B,): whether every block of a plan lies where its data may be.

    Parameters
    ----------
    barred
        See :func:`barred_before`.
    plans
        Packed plans.
    """
    if not barred.any():
        return np.ones(len(plans), bool)
    starts = np.concatenate([np.zeros((len(plans), 1), np.int64), plans.ends[:, :-1]], axis=1)
    held = barred[:, np.maximum(plans.ends, starts)] - barred[:, starts]
    fine: Bools = ((held.transpose(1, 2, 0) == 0) | (plans.shares == 0)).all(axis=(1, 2))
    return fine


def offer_promising(
    problem: Problem, search: Search, scorer: BatchScorer, plans: PackedPlans, fine: Bools
) -> None:
    """Offer those of some plans, best first, that score below the best so far.

    Parameters
    ----------
    problem, search, scorer
        What is decided, what judges it, and what scores plans.
    plans, fine
        Plans, and (B,) which of them keep every limit but memory.
    """
    scores = scorer.score(plans, energy=needs_accounts(problem))
    values = value_of(problem, scores)
    # A figure at its limit may be rounded to either side of it: the evaluator says.
    fine = fine & scores.memory_ok & (beyond_limits(problem, scores) <= ROUNDING)
    if problem.all_take_part:
        fine &= plans.shares.sum(axis=1)[:, usable_numbers(problem)].min(axis=1) > 0
    for index in np.argsort(np.where(fine, values, np.inf), kind="stable").tolist():
        if not fine[index] or values[index] >= search.best_score * (1 - ROUNDING):
            return
        plan = pipeline_plan(problem, scorer.stages(plans, index), scorer.num_micro_batches)
        if math.isfinite(search.offer(plan)):
            return
