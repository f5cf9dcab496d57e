"""Measured: what a run found, in the words in which a Report says what was predicted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, pstdev
from typing import Any

import numpy as np

from solver.program import COMPUTE, Floats, Longs, Program
from solver.report import Energy

Spans = Mapping[str, Sequence[tuple[int, float, float]]]


@dataclass(frozen=True)
class Measured:
    """What a run of a Program found.

    Parameters
    ----------
    mode
        ``padded``: devices and links emulated; ``raw``: this machine as it is.
    spans
        Of one chosen step, by device: (index in the Program, start, end); seconds of the emulated clock since
        the step began.
    step
        Which step that is, counted from 0.
    step_times_s
        Of every step (round, where copies synchronise more rarely), emulated clock.
    losses, reference_losses
        Of every step, and those of the undivided run.
    peak_memory_bytes
        By device.
    traffic_bytes
        Of one step, by (source, target).
    dilation
        Host seconds per second of the emulated clock.
    overruns
        Operations that took the host longer than the emulated device: the timing claim fails.
    max_relative_weight_difference
        To the undivided run's weights at the end; ``None`` where it was not compared.
    failure
        Why the run broke off; empty if it did not.
    energy
        Of a step by device, from the measured intervals; empty where it was not added up.
    changes
        What happened to devices before a step, by step, counted from 0.
    """

    mode: str
    spans: Spans = field(default_factory=dict, repr=False)
    step: int = 0
    step_times_s: tuple[float, ...] = ()
    losses: tuple[float, ...] = ()
    reference_losses: tuple[float, ...] = ()
    peak_memory_bytes: Mapping[str, int] = field(default_factory=dict)
    traffic_bytes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    dilation: float = 1.0
    overruns: int = 0
    max_relative_weight_difference: float | None = None
    failure: str = ""
    energy: Mapping[str, Energy] = field(default_factory=dict)
    changes: Mapping[int, str] = field(default_factory=dict)

    @property
    def step_time_s(self) -> float | None:
        """Median step time; ``None`` without any."""
        return median(self.step_times_s) if self.step_times_s else None

    @property
    def step_time_cv(self) -> float | None:
        """Coefficient of variation of the step times; ``None`` without any."""
        mean = sum(self.step_times_s) / len(self.step_times_s) if self.step_times_s else 0.0
        return pstdev(self.step_times_s) / mean if mean else None

    @property
    def max_relative_loss_difference(self) -> float | None:
        """Largest relative difference to the undivided run's losses; ``None`` without both."""
        pairs = list(zip(self.losses, self.reference_losses, strict=False))
        return max((abs(a - b) / max(abs(b), 1e-300) for a, b in pairs), default=None)

    @property
    def energy_j(self) -> float | None:
        """Energy of a step, all devices; ``None`` where it was not added up."""
        return sum(part.total_j for part in self.energy.values()) if self.energy else None

    @property
    def total_traffic_bytes(self) -> int | None:
        """Bytes over any link in a step; ``None`` where they were not counted."""
        return sum(self.traffic_bytes.values()) if self.traffic_bytes else None

    def arrays(self) -> tuple[Longs, Floats, Floats]:
        """Return (index, start, end) of all spans, seconds."""
        flat = [span for spans in self.spans.values() for span in spans]
        index = np.array([span[0] for span in flat], np.int64)
        return index, np.array([span[1] for span in flat]), np.array([span[2] for span in flat])

    def busy_s(self, program: Program) -> dict[str, float]:
        """Return the computing time of every device with spans, in the chosen step.

        Parameters
        ----------
        program
            What was run.
        """
        return {
            device: sum(
                end - start for i, start, end in spans if program.rows[program.row[i]].kind in COMPUTE
            )
            for device, spans in self.spans.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain data, without the spans."""
        return {
            "mode": self.mode,
            "dilation": self.dilation,
            "overruns": self.overruns,
            "failure": self.failure,
            "step_times_s": list(self.step_times_s),
            "step_time_s": {"measured_median": self.step_time_s, "measured_cv": self.step_time_cv},
            "losses": list(self.losses),
            "reference_losses": list(self.reference_losses),
            "max_relative_loss_difference": self.max_relative_loss_difference,
            "max_relative_weight_difference": self.max_relative_weight_difference,
            "peak_memory_bytes": dict(self.peak_memory_bytes),
            "energy_j": self.energy_j,
            "traffic_by_link_bytes": {f"{a}->{b}": size for (a, b), size in self.traffic_bytes.items()},
        }


def numbers(losses: Iterable[float | None]) -> tuple[float, ...]:
    """Return losses of a file as numbers: what was no finite number is written as null, and read as NaN."""
    return tuple(math.nan if loss is None else loss for loss in losses)
