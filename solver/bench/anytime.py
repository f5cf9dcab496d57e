"""Anytime: how good a solver is at every moment, not only at the end.

Primal gap of a run at time t (Berthold): 1 before its first plan, then ``|score - reference|`` over the
larger of both. A run that failed or has no plan counts with 1 throughout.

References
----------
T. Berthold. Measuring the impact of primal heuristics. Operations Research Letters 41(6), 2013.
doi:10.1016/j.orl.2013.08.007
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solver.bench.ledger import Line
from solver.bench.references import Reference

Floats = NDArray[np.float64]

NUM_TIMES = 240
EARLIEST_S = 0.01


def primal_gap(score: float, reference: float) -> float:
    """Return the primal gap of a score, between 0 and 1."""
    if score == reference:
        return 0.0
    if score * reference < 0:
        return 1.0
    return min(1.0, abs(score - reference) / max(abs(score), abs(reference)))


def gap_steps(line: Line, reference: float | None) -> list[tuple[float, float]]:
    """Return (seconds, primal gap from then on) of a run, the first at 0 s.

    Parameters
    ----------
    line
        The run.
    reference
        Best score known of its case.
    """
    steps = [(0.0, 1.0)]
    if line["score"] is None or reference is None:
        return steps
    found = [(float(t), float(s)) for t, s in line["incumbents"]]
    if not found or found[-1][1] > line["score"]:
        found.append((float(line["wall_s"]), float(line["score"])))
    for seconds, score in found:
        steps.append((seconds, min(steps[-1][1], primal_gap(score, reference))))
    return steps


def primal_integral(line: Line, reference: float | None) -> float:
    """Return the integral of the primal gap over time up to the time limit, seconds.

    Parameters
    ----------
    line, reference
        As in :func:`gap_steps`. A case that nobody has a plan of counts with 0.
    """
    if reference is None:
        return 0.0
    limit = float(line["time_limit_s"])
    steps = gap_steps(line, reference)
    ends = [seconds for seconds, _ in steps[1:]] + [limit]
    total = 0.0
    for (start, value), end in zip(steps, ends, strict=True):
        total += value * max(0.0, min(end, limit) - min(start, limit))
    return total


@dataclass(frozen=True)
class Curve:
    """Primal gap of a solver over time: mean over cases, and how sure that is.

    Parameters
    ----------
    times_s, mean, low, high
        (num_times,); ``low`` and ``high`` are one standard error of the mean away from it.
    """

    times_s: Floats
    mean: Floats
    low: Floats
    high: Floats


def curves(lines: Sequence[Line], known: Mapping[str, Reference]) -> dict[str, Curve]:
    """Return the curve of every solver, over the cases of which a plan is known.

    Parameters
    ----------
    lines, known
        Last line of every run; reference of every case. Seeds of a case are averaged first.
    """
    limit = max((float(line["time_limit_s"]) for line in lines), default=1.0)
    times = np.geomspace(min(EARLIEST_S, limit / 10), limit, NUM_TIMES)
    gaps: dict[str, dict[str, list[Floats]]] = {}
    for line in lines:
        reference = known[line["case"]].score
        if reference is not None:
            values = _at(gap_steps(line, reference), times)
            gaps.setdefault(line["solver"], {}).setdefault(line["case"], []).append(values)
    found = {}
    for solver, cases in gaps.items():
        table = np.array([np.mean(seeds, axis=0) for seeds in cases.values()])
        mean = table.mean(axis=0)
        error = table.std(axis=0, ddof=1) / np.sqrt(len(table)) if len(table) > 1 else np.zeros_like(mean)
        found[solver] = Curve(times, mean, np.maximum(0.0, mean - error), np.minimum(1.0, mean + error))
    return found


def _at(steps: Sequence[tuple[float, float]], times: Floats) -> Floats:
    starts = np.array([seconds for seconds, _ in steps])
    values = np.array([value for _, value in steps])
    found: Floats = values[np.searchsorted(starts, times, side="right") - 1]
    return found
