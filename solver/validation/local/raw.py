"""Raw: the same plans without emulation, predicted from this host's speed; reported, never a goal."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from statistics import median

from solver.evaluate import evaluate
from solver.report import Report
from solver.validation.local.boards import host
from solver.validation.local.drawing import Drawn
from solver.validation.local.measuring import Measurement
from solver.validation.metrics import kendall_tau, relative_error

CALIBRATION = "data"
"""Kind of the plan from whose raw run the speed of the host is taken, workload by workload; the first plan
drawn where that kind is missing."""


def predicted(drawn: Sequence[Drawn], measured: Mapping[str, Measurement]) -> dict[str, float]:
    """Return the raw step time of every plan, seconds.

    Parameters
    ----------
    drawn
        The plans.
    measured
        Their raw runs; only those of the calibration plans are looked at.

    Notes
    -----
    One rate a workload: the operations of its calibration plan over the time its processes computed. Where
    more processes than cores compute, each gets its part of a core.
    """
    rates = {}
    for name, one in _calibration(drawn).items():
        busy = _on_host(one, 1.0).busy_s
        worked = measured[one.name].busy_s
        rates[name] = sum(busy[device] for device in worked) / sum(worked.values())
    return {one.name: _on_host(one, rates[one.workload.name]).step_time_s for one in drawn}


def note(drawn: Sequence[Drawn], measured: Mapping[str, Measurement]) -> str:
    """Return what raw runs found, in a few sentences for people.

    Parameters
    ----------
    drawn, measured
        The plans, and their raw runs.
    """
    guess = predicted(drawn, measured)
    calibrations = {one.name for one in _calibration(drawn).values()}
    groups: dict[str, list[tuple[float, float]]] = {}
    for one in drawn:
        if one.name not in calibrations:
            pair = (measured[one.name].step_time_s, guess[one.name])
            groups.setdefault(one.workload.name, []).append(pair)
    errors = [abs(relative_error(*pair)) for pairs in groups.values() for pair in pairs]
    tau = kendall_tau(groups.values())
    if not errors or tau is None:
        return "raw: too few plans to say anything"
    runs = [measured[one.name] for one in drawn]
    return (
        f"raw (this host as it is, {os.cpu_count()} cores, no goal): {len(errors)} plans predicted from one "
        f"rate a workload, which a raw run of its plan {CALIBRATION!r} gave: median error "
        f"{median(errors):.1%}, largest {max(errors):.1%}, plan tau {tau:.2f}. The same step repeated has a "
        f"coefficient of variation of {median(run.cv for run in runs):.1%} (median over plans; largest "
        f"{max(run.cv for run in runs):.1%}); load up to {max(run.load for run in runs):.1f}, steal up to "
        f"{max(run.steal for run in runs):.1%}"
    )


def _calibration(drawn: Sequence[Drawn]) -> dict[str, Drawn]:
    found: dict[str, Drawn] = {}
    for one in drawn:
        if one.workload.name not in found or one.name.endswith(f"/{CALIBRATION}"):
            found[one.workload.name] = one
    return found


def _on_host(one: Drawn, flop_per_s: float) -> Report:
    """Return what is predicted of a plan if a process alone on a core does so many operations a second."""
    names = tuple(device.name for device in one.cluster.devices)
    used = {row.device for row in one.report.program.rows}
    share = min(1.0, (os.cpu_count() or 1) / len(used))
    return evaluate(one.plan, one.workload, host(names, flop_per_s * share))
