"""local: plans drawn at random, run for real on emulated boards on this machine, beside what is predicted.

Nothing is fitted. Every plan is run in padded mode, where it must be predicted well, and in raw mode, which
is reported with its noise. ``--data DIR`` keeps every measurement, so that a later call goes on where this
one stopped; without it nothing is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import median

from solver.validation.findings import Findings, Goal, Prediction, Progress, Run
from solver.validation.local.drawing import Drawn, Refused, draw_all, num_plans
from solver.validation.local.measuring import Measurement, padded, raw
from solver.validation.local.raw import note
from solver.validation.metrics import kendall_tau, relative_error

SEED = 0
MOST_MEDIAN, MOST_ERROR, LEAST_TAU, LEAST_PLANS, LEAST_WORKLOADS = 0.03, 0.05, 0.95, 24, 4
APART = 0.03
"""Pairs of plans predicted closer together than this are not asked to be in order."""


def validate(data: Path | None, progress: Progress | None = None) -> Findings:
    """Run the plans and compare.

    Parameters
    ----------
    data
        Folder where measurements are kept and looked for; made if missing. ``None``: nothing is kept.
    progress
        Told (done, all).
    """
    from solver.execution.workers.pool import LocalPool

    asked = num_plans()
    drawn: list[Drawn] = []
    refused: list[Refused] = []
    measured: dict[str, Measurement] = {}
    as_it_is: dict[str, Measurement] = {}
    with LocalPool() as pool:
        for done, one in enumerate(draw_all(SEED)):
            if progress is not None:
                progress(done, asked)
            if isinstance(one, Refused):
                refused.append(one)
                continue
            drawn.append(one)
            measured[one.name] = padded(one, pool, data)
            as_it_is[one.name] = raw(one, pool, data)
    return Findings(
        suite="local",
        runs=tuple(_run(one, measured[one.name]) for one in drawn),
        predictions={one.name: _prediction(one) for one in drawn},
        goals=goals(drawn, measured),
        notes=(*_notes(drawn, measured, refused), note(drawn, as_it_is)),
    )


def goals(drawn: Sequence[Drawn], measured: dict[str, Measurement]) -> tuple[Goal, ...]:
    """Return what is asked of the padded runs.

    Parameters
    ----------
    drawn, measured
        The plans, and their padded runs by name.
    """
    pairs = [(measured[one.name].step_time_s, one.report.step_time_s) for one in drawn]
    errors = [abs(relative_error(*pair)) for pair in pairs]
    groups: dict[str, list[tuple[float, float]]] = {}
    for one, pair in zip(drawn, pairs, strict=True):
        groups.setdefault(one.workload.name, []).append(pair)
    apart = [
        (a, b)
        for group in groups.values()
        for a, b in combinations(group, 2)
        if max(a[1], b[1]) > (1 + APART) * min(a[1], b[1])
    ]
    return (
        Goal("median error of the step time", median(errors), MOST_MEDIAN),
        Goal("largest error of the step time", max(errors), MOST_ERROR),
        Goal(
            "Kendall's tau, pairs predicted > 3 % apart", kendall_tau(apart) or 0.0, LEAST_TAU, at_least=True
        ),
        Goal("plans that ran", len(drawn), LEAST_PLANS, at_least=True),
        Goal("workloads", len(groups), LEAST_WORKLOADS, at_least=True),
    )


def _run(one: Drawn, measured: Measurement) -> Run:
    peak = max(measured.peak_bytes.values())
    return Run(one.name, one.workload.name, measured.step_time_s, peak)


def _prediction(one: Drawn) -> Prediction:
    peak = max(memory.peak_bytes for memory in one.report.memory.values())
    return Prediction(one.report.step_time_s, int(peak))


def _notes(drawn: Sequence[Drawn], measured: dict[str, Measurement], refused: Sequence[Refused]) -> list[str]:
    late = {one.name: measured[one.name].overruns for one in drawn if measured[one.name].overruns}
    again = [one.name for one in drawn if measured[one.name].attempts > 1]
    dropped = sum(measured[one.name].late_steps for one in drawn)
    cvs = [measured[one.name].cv for one in drawn]
    found = [
        f"padded: {len(drawn)} plans on 2 to 6 emulated boards; steps of one run differ by {median(cvs):.2%} "
        f"(coefficient of variation, median over plans; largest {max(cvs):.2%})",
        f"overruns: {dropped} steps in which this host was late do not count; {len(again)} plans were run "
        "again with a slower clock because of that; "
        + (
            f"still late in {', '.join(f'{k} ({v})' for k, v in late.items())}"
            if late
            else "no counted step was late"
        ),
    ]
    found += [f"not run: {one.name}: {' '.join(one.reason.split())}" for one in refused]
    return found
