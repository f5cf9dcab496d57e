"""Measuring: a drawn plan run for real, again with a slower clock where the host was too busy, and kept.

A padded step in which anything took longer than the emulated device would prove nothing of the prediction:
it is counted and does not count.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median, pstdev
from typing import TYPE_CHECKING

from models.document import canonical, dump_json, parse, write_text
from solver.validation.local.drawing import Drawn

if TYPE_CHECKING:
    from solver.execution.order import RunMode
    from solver.execution.run import RunResult
    from solver.execution.trace import Trace
    from solver.execution.workers.pool import LocalPool

STEPS, LEAST_STEPS = 4, 3
"""Padded steps of a run, and how many of them must have been in time; else it is repeated."""
ATTEMPTS = 4
SLOWER = 1.6
RAW_REPEATS, RAW_STEPS = 3, 3


@dataclass(frozen=True)
class Measurement:
    """What the runs of one plan found.

    Parameters
    ----------
    name
        Of the plan.
    key
        Digest of all that was asked; a kept measurement with another key is done again.
    mode, dilation
        How it was run.
    step_times_s
        Of every counted step.
    peak_bytes
        Largest measured memory by device.
    busy_s
        Time each device computed in a step, median.
    overruns
        Operations and messages of the counted steps that took longer than the plan says.
    late_steps
        Padded steps, of all attempts, that do not count because of such.
    attempts
        Runs it took.
    load
        Processes that were ready to run on this host at the end, ours included.
    steal
        Part of the processor time that other guests of the machine took.
    """

    name: str
    key: str
    mode: str
    dilation: float
    step_times_s: list[float]
    peak_bytes: dict[str, int]
    busy_s: dict[str, float]
    overruns: int
    late_steps: int
    attempts: int
    load: float
    steal: float

    @property
    def step_time_s(self) -> float:
        """Median."""
        return median(self.step_times_s)

    @property
    def cv(self) -> float:
        """Coefficient of variation of the steps."""
        return pstdev(self.step_times_s) * len(self.step_times_s) / sum(self.step_times_s)


def padded(drawn: Drawn, pool: LocalPool, folder: Path | None) -> Measurement:
    """Run a plan on emulated boards, or read what an earlier run of it left.

    Parameters
    ----------
    drawn
        The plan.
    pool
        Processes.
    folder
        Where measurements are kept; ``None``: nowhere.
    """
    return kept(drawn, "padded", folder, lambda key: _padded(drawn, key, pool))


def raw(drawn: Drawn, pool: LocalPool, folder: Path | None) -> Measurement:
    """Run a plan as fast as this host goes, several times; the first step of each does not count."""
    return kept(drawn, "raw", folder, lambda key: _raw(drawn, key, pool))


def kept(drawn: Drawn, mode: str, folder: Path | None, run: Callable[[str], Measurement]) -> Measurement:
    """Return what an earlier run of the same plan left, or run it now.

    Parameters
    ----------
    drawn
        The plan.
    mode
        ``padded`` or ``raw``.
    folder
        Where measurements are kept; ``None``: nowhere.
    run
        Measures, and notes the key it is given.
    """
    given = drawn.plan.model_dump(mode="json"), drawn.workload.digest, drawn.cluster.digest
    asked = [*given, mode, STEPS, LEAST_STEPS]
    key = hashlib.sha256(canonical(asked).encode()).hexdigest()
    file = None if folder is None else folder / mode / f"{drawn.name.replace('/', '-')}.json"
    if file is not None and file.exists():
        found = parse(file.read_text(encoding="utf-8"), str(file), is_json=True)
        if isinstance(found, dict) and found.get("key") == key:
            return Measurement(**found)
    measured = run(key)
    if file is not None:
        write_text(file, dump_json(asdict(measured)), overwrite=True)
    return measured


def _padded(drawn: Drawn, key: str, pool: LocalPool) -> Measurement:
    from solver.execution.dilation import rounded_up

    before, attempts, late_steps = _processor_times(), 0, 0
    times: list[float] = []
    slower: float | None = None
    while len(times) < LEAST_STEPS and attempts < ATTEMPTS:
        result = _run(drawn, "padded", STEPS, slower, pool)
        times = in_time(result.trace)
        attempts, late_steps = attempts + 1, late_steps + STEPS - len(times)
        slower = rounded_up(SLOWER * result.trace.dilation)
    counted = times or list(result.trace.step_times_s)
    overruns = 0 if times else result.num_overruns
    found = _measurement(drawn, key, [result], counted, attempts, before)
    return replace(found, overruns=overruns, late_steps=late_steps)


def in_time(trace: Trace) -> list[float]:
    """Return the times of the steps in which no device was late, seconds.

    Parameters
    ----------
    trace
        Of a padded run.
    """
    return [trace.step_times_s[step] for step in steps_in_time(trace)]


def steps_in_time(trace: Trace) -> list[int]:
    """Return the steps in which no device was late.

    Parameters
    ----------
    trace
        Of a padded run.
    """
    devices = trace.devices.values()
    if any(device.count_overruns > len(device.overruns) for device in devices):
        return []  # so many that not all say in which step they were
    late = {step for device in devices for _, step, _ in device.overruns}
    return [step for step in range(len(trace.step_times_s)) if step not in late]


def _raw(drawn: Drawn, key: str, pool: LocalPool) -> Measurement:
    before = _processor_times()
    results = [_run(drawn, "raw", 1 + RAW_STEPS, None, pool) for _ in range(RAW_REPEATS)]
    times = [seconds for result in results for seconds in result.trace.step_times_s[1:]]
    return _measurement(drawn, key, results, times, RAW_REPEATS, before)


def _run(drawn: Drawn, mode: RunMode, steps: int, dilation: float | None, pool: LocalPool) -> RunResult:
    from solver.execution.run import run

    return run(
        drawn.plan,
        drawn.workload,
        drawn.cluster,
        steps=steps,
        mode=mode,
        dilation=dilation,
        reference=False,
        pool=pool,
    )


def _measurement(
    drawn: Drawn, key: str, results: list[RunResult], times: list[float], attempts: int, before: list[int]
) -> Measurement:
    trace = results[-1].trace
    spent = [b - a for a, b in zip(before, _processor_times(), strict=True)]
    return Measurement(
        name=drawn.name,
        key=key,
        mode=trace.mode,
        dilation=trace.dilation,
        step_times_s=times,
        peak_bytes={name: device.peak_memory_bytes for name, device in trace.devices.items()},
        busy_s={name: median(device.busy_s) for name, device in trace.devices.items()},
        overruns=0,
        late_steps=0,
        attempts=attempts,
        load=os.getloadavg()[0],
        steal=spent[7] / max(1, sum(spent)),
    )


def _processor_times() -> list[int]:
    """Return ticks of the whole host: user, nice, system, idle, iowait, irq, softirq, steal."""
    words = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()
    return [int(word) for word in words[1:9]]
