"""Batch figures: objectives of plans that were scored together, and how far they break a problem's limits."""

from __future__ import annotations

from typing import Any

import numpy as np

from solver.accounts import J_PER_KWH
from solver.batch import BatchScorer, BatchScores
from solver.problem import Problem
from solver.program import Floats
from solver.report import relative_excess

SCORED = ("time", "bottleneck", "energy", "memory", "traffic", "carbon", "untrusted")
"""Objectives the batch scorer has a figure of."""
PLAIN = ("time", "bottleneck", "memory")
"""Those that need neither energy nor bytes."""


def scorer_of(
    problem: Problem, num_micro_batches: int, kind: type[BatchScorer] = BatchScorer, **words: Any
) -> BatchScorer:
    """Return a scorer of a problem's plans of one pipeline.

    Parameters
    ----------
    problem, num_micro_batches
        What is decided.
    kind
        Of chains, or of graphs.
    words
        Further words of the scorer, or others than the problem's.

    Raises
    ------
    InputError
        If its plans are not of a family that is scored in batches.
    """
    own: dict[str, Any] = {"settings": problem.settings, "left_out": problem.left_out}
    return kind(
        problem.workload,
        problem.cluster,
        problem.job,
        num_micro_batches=num_micro_batches,
        samples=problem.job.batch // num_micro_batches,
        schedule="gpipe" if problem.schedule == "gpipe" else "1f1b",
        **own | words,
    )


def asked_of(problem: Problem) -> set[str]:
    """Return the objectives whose figures decide or are limited.

    Parameters
    ----------
    problem
        What is decided.
    """
    main = problem.weights if problem.objective == "weighted" else (problem.objective,)
    return {*main, *problem.at_most}


def needs_accounts(problem: Problem) -> bool:
    """Return whether energy and bytes of plans decide or are limited.

    Parameters
    ----------
    problem
        What is decided.
    """
    job = problem.job
    limits = (job.energy_budget_j, job.carbon_budget_g, job.untrusted_limit_bytes, job.steps)
    return bool(asked_of(problem) - set(PLAIN)) or any(limit is not None for limit in limits)


def has_limits(problem: Problem) -> bool:
    """Return whether a problem has limits beside memory, on which :func:`beyond_limits` looks.

    Parameters
    ----------
    problem
        What is decided.
    """
    job = problem.job
    limits = (job.deadline_s, job.energy_budget_j, job.carbon_budget_g, job.untrusted_limit_bytes)
    batteries = job.steps is not None and any(d.battery_j is not None for d in problem.cluster.devices)
    return bool(problem.at_most) or batteries or any(limit is not None for limit in limits)


def figure_of(problem: Problem, scores: BatchScores, objective: str) -> Floats:
    """Return (B,) figures of one objective.

    Parameters
    ----------
    problem, scores
        What is decided, and what plans were found to cost.
    objective
        One of ``SCORED``.
    """
    figures = {
        "time": scores.step_time_s,
        "bottleneck": scores.bottleneck_s,
        "energy": scores.energy_j,
        "traffic": scores.traffic_bytes,
        "untrusted": scores.untrusted_bytes,
    }
    if objective == "memory":
        peaks: Floats = scores.peak_bytes.max(axis=1).astype(float)
        return peaks
    found = _carbon_g(problem, scores) if objective == "carbon" else figures[objective]
    assert found is not None, f"{objective} was not asked of the batch"
    return found


def value_of(problem: Problem, scores: BatchScores) -> Floats:
    """Return (B,) figures of a problem's objective.

    Parameters
    ----------
    problem, scores
        What is decided, and what plans were found to cost.
    """
    if problem.objective != "weighted":
        return figure_of(problem, scores, problem.objective)
    parts = (weight * figure_of(problem, scores, name) for name, weight in problem.weights.items())
    total: Floats = sum(parts, np.zeros(len(scores.step_time_s)))
    return total


def beyond_limits(problem: Problem, scores: BatchScores) -> Floats:
    """Return (B,) relative excesses added up, as :func:`solver.search.incumbent.excess` counts them.

    Parameters
    ----------
    problem, scores
        What is decided, and what plans were found to cost; placement is not looked at.
    """
    job, devices = problem.job, problem.cluster.devices
    memory = np.array([int(device.memory_bytes.value) for device in devices], np.int64)
    over = np.maximum(scores.peak_bytes - memory, 0) / np.maximum(memory, 1)
    broken: Floats = over.sum(axis=1)
    limits = {
        "time": job.deadline_s,
        "energy": job.energy_budget_j,
        "carbon": job.carbon_budget_g,
        "untrusted": job.untrusted_limit_bytes,
    }
    for name, allowed in (*limits.items(), *problem.at_most.items()):
        if allowed is not None:
            broken += relative_excess(figure_of(problem, scores, name), allowed)
    if job.steps is not None and scores.joules is not None:
        for d, device in enumerate(devices):
            if device.battery_j is not None:
                broken += relative_excess(job.steps * scores.joules[:, d], device.battery_j.value)
    return broken


def _carbon_g(problem: Problem, scores: BatchScores) -> Floats | None:
    known = [device.carbon_g_per_kwh for device in problem.cluster.devices]
    grams_per_j = np.array([0.0 if one is None else one.value / J_PER_KWH for one in known])
    return None if scores.joules is None else scores.joules @ grams_per_j
