"""Strikes: faults done on purpose, by a fixed schedule, to see what becomes of a run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

FaultKind = Literal["kill", "freeze", "silence", "link"]
KINDS: tuple[FaultKind, ...] = ("kill", "freeze", "silence")
"""Faults of a device, which a schedule takes turns with."""


@dataclass(frozen=True)
class Strike:
    """One fault.

    Parameters
    ----------
    step
        During which step, counted from 0.
    device
        Whose.
    kind
        ``kill``: its process is killed; ``freeze``: it is stopped; ``silence``: all its traffic vanishes,
        payload and control, while the process lives; ``link``: all that it and one other device send each
        other vanishes, and both live.
    back_after
        Steps after which it returns; ``None``: never.
    delay_s
        Real seconds from the start of the step to the fault.
    peer
        The other device of a ``link``.
    """

    step: int
    device: str
    kind: FaultKind
    back_after: int | None = 8
    delay_s: float = 0.0
    peer: str | None = None


def schedule(
    devices: Sequence[str], steps: int, *, every: int, back_after: int, step_s: float, seed: int
) -> tuple[Strike, ...]:
    """Return a schedule: about one fault in so many steps, at most one device away at a time.

    Parameters
    ----------
    devices
        Who may be struck.
    steps
        Of the run.
    every
        Steps between two faults, give or take a tenth.
    back_after
        Steps until a device returns; fewer than ``every``.
    step_s
        Real seconds of a step; faults come at any moment of it.
    seed
        The same seed gives the same schedule.

    Notes
    -----
    Kinds and devices take turns in a shuffled order, so that each comes about equally often.
    """
    draw = random.Random(seed)
    found: list[Strike] = []
    kinds: list[FaultKind] = []
    names: list[str] = []
    at = every // 2
    while at + back_after < steps:
        kinds = kinds or draw.sample(KINDS, len(KINDS))
        names = names or draw.sample(list(devices), len(devices))
        delay = draw.uniform(0.1, 0.9) * step_s
        found.append(Strike(at, names.pop(), kinds.pop(), back_after, delay))
        at += max(back_after + 2, every + draw.randint(-every // 10, every // 10))
    return tuple(found)
