"""Trace: what a run measured, step by step and instruction by instruction; JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.document import dump_json, write_text

VERSION = 1


@dataclass(frozen=True)
class DeviceTrace:
    """What one device did.

    Parameters
    ----------
    peak_memory_bytes
        Largest memory of its tensors in any step.
    static_bytes
        The part of it that is weights, gradients and optimizer state.
    busy_s
        Seconds it computed, per step.
    sent_bytes
        Payload it sent to each device, over all steps.
    overruns
        (row, step, seconds beyond the time the plan says); only the first ones where there are many.
    num_overruns
        How many there were; ``None``: as many as are listed.
    """

    peak_memory_bytes: int
    static_bytes: int
    busy_s: tuple[float, ...]
    sent_bytes: dict[str, int]
    overruns: tuple[tuple[str, int, float], ...]
    num_overruns: int | None = None

    @property
    def count_overruns(self) -> int:
        """How often something took longer than the plan says."""
        return len(self.overruns) if self.num_overruns is None else self.num_overruns


@dataclass(frozen=True)
class Trace:
    """A run, whole or broken off.

    Parameters
    ----------
    plan
        The plan, as plain data.
    mode, dilation, seed, learning_rate
        How it was run; the dilation is 1 for a raw run.
    losses
        Of every step of this run.
    reference_losses
        Of every step of the undivided run, from the very first one.
    step_times_s
        Emulated seconds of every step.
    start_s, end_s
        (num_kept_steps, num_instructions): emulated seconds from the start of the step, by place of the
        instruction in the Program; ``None`` where nothing was measured.
    devices
        By name.
    earlier_losses
        Of the steps before the checkpoint it goes on from.
    checkpoints
        Folder and step of those it wrote, or why one could not be written.
    failure
        Why it broke off; ``None`` if it did not.
    versions, machine
        Where it was made.
    began_s
        Host seconds from the start of the first step to that of every step: what lies between steps counts.
    kept_steps
        Which steps keep the times of their instructions: of a long run the first and the last ones;
        ``None``: all.
    """

    plan: dict[str, Any]
    mode: str
    dilation: float
    seed: int
    learning_rate: float | None
    losses: tuple[float, ...]
    reference_losses: tuple[float, ...]
    step_times_s: tuple[float, ...]
    start_s: tuple[tuple[float | None, ...], ...]
    end_s: tuple[tuple[float | None, ...], ...]
    devices: dict[str, DeviceTrace]
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    earlier_losses: tuple[float | None, ...] = ()
    checkpoints: tuple[dict[str, Any], ...] = ()
    failure: dict[str, Any] | None = None
    began_s: tuple[float, ...] = ()
    kept_steps: tuple[int, ...] | None = None
    version: int = VERSION

    @property
    def kept(self) -> tuple[int, ...]:
        """The steps to which the rows of ``start_s`` and ``end_s`` belong."""
        return tuple(range(len(self.start_s))) if self.kept_steps is None else self.kept_steps

    def to_json(self) -> dict[str, Any]:
        """Return plain data; a loss that is no finite number becomes null."""
        plain: dict[str, Any] = finite(asdict(self))
        return plain

    def write(self, path: Path, *, overwrite: bool = False) -> None:
        """Write it whole or not at all.

        Parameters
        ----------
        path
            The file.
        overwrite
            Whether an existing file may be replaced.
        """
        write_text(path, dump_json(self.to_json()), overwrite=overwrite)


def finite(data: Any) -> Any:
    """Return plain data in which numbers that JSON does not know (NaN, infinity) are null.

    Parameters
    ----------
    data
        Dicts, lists, tuples and scalars.
    """
    if isinstance(data, dict):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
