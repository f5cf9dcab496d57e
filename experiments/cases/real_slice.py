"""A real slice: plans of a net that trains here, run padded for a few steps, beside what was predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from models.cluster import Cluster
from models.workload import Workload
from solver.evaluate import evaluate
from solver.execution.dilation import rounded_up
from solver.execution.run import RunResult, run
from solver.execution.workers.pool import LocalPool
from solver.plan import Plan
from solver.validation.local.measuring import steps_in_time

STEPS, LEAST_STEPS, ATTEMPTS = 5, 3, 4
"""Steps of a run, how many of them must have been in time, and how often it is run again, slower."""
SLOWER = 1.6


@dataclass(frozen=True)
class Slice:
    """What the counted steps of one plan took.

    Parameters
    ----------
    result
        Of the last attempt.
    step_times_s, energies_j
        Of its counted steps: those in which no device was late; all, where too few were in time.
    late_steps, attempts
        Steps of all attempts that do not count, and runs it took.
    """

    result: RunResult
    step_times_s: tuple[float, ...]
    energies_j: tuple[float, ...]
    late_steps: int
    attempts: int


def real_slice(
    plans: Mapping[str, Plan],
    workload: Workload,
    cluster: Cluster,
    *,
    steps: int = STEPS,
    attempts: int = ATTEMPTS,
    progress: Callable[[str], None] = lambda name: None,
) -> list[dict[str, Any]]:
    """Run plans for real on emulated boards; return a row for each, in the order given.

    Parameters
    ----------
    plans
        By name; all of one workload and cluster.
    workload, cluster
        What they name. The net must be trainable here, and one step should take the boards some tenths of a
        second at least, so that this host can play them.
    steps
        Training steps of each run.
    attempts
        How often a run is made at most, each slower, where the host was late too often.
    progress
        Called with the name of every plan before it runs.

    Notes
    -----
    The first column names the plan, those called ``predicted_*`` are the evaluator's, and only those called
    ``measured_*`` differ from one machine to another. Measured energy is the powers of the cards over the
    measured intervals; ``measured_late_steps`` do not count.
    """
    rows = []
    with LocalPool() as pool:
        for name, plan in plans.items():
            progress(name)
            report = evaluate(plan, workload, cluster)
            found = _sliced(plan, workload, cluster, (steps, attempts), pool)
            step_s, energy_j = median(found.step_times_s), median(found.energies_j)
            rows.append(
                {
                    "plan": name,
                    "predicted_step_s": report.step_time_s,
                    "predicted_energy_j": report.energy_j,
                    "measured_step_s": step_s,
                    "measured_energy_j": energy_j,
                    "measured_step_error": step_s / report.step_time_s - 1,
                    "measured_energy_error": energy_j / report.energy_j - 1 if report.energy_j else 0.0,
                    "measured_dilation": found.result.trace.dilation,
                    "measured_late_steps": found.late_steps,
                    "measured_attempts": found.attempts,
                }
            )
    return rows


def _sliced(
    plan: Plan, workload: Workload, cluster: Cluster, limits: tuple[int, int], pool: LocalPool
) -> Slice:
    """Run a plan; again with a slower clock where the host was late too often, since that proves nothing."""
    steps, most = limits
    dilation: float | None = None
    attempts = late = 0
    counted: Sequence[int] = ()
    while len(counted) < min(LEAST_STEPS, steps) and attempts < most:
        result = run(plan, workload, cluster, steps=steps, dilation=dilation, reference=False, pool=pool)
        counted = steps_in_time(result.trace)
        attempts, late = attempts + 1, late + steps - len(counted)
        dilation = rounded_up(SLOWER * result.trace.dilation)
    chosen = counted or range(steps)
    assert result.energy is not None
    energies = dict(zip(result.energy.steps, result.energy.by_step_j, strict=True))
    times = tuple(result.trace.step_times_s[step] for step in chosen)
    return Slice(result, times, tuple(energies[step] for step in chosen), late, attempts)
