"""Fit: the constants that explain measured runs best, by least squares of the relative errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from models.formats.sailor import SailorData
from solver.validation.findings import Prediction
from solver.validation.sailor.constants import Constants
from solver.validation.sailor.instance import instance_of

Floats = NDArray[np.float64]

START = Constants(link_cost=2.0, message_s=1e-3, held_bytes=4e9, activation_part=1.0)
STEP = {"link_cost": 0.1, "message_s": 1e-4, "held_bytes": 1e8, "activation_part": 0.05}
"""Where a fit begins, and by how much a constant is moved to see what it does."""

TIME, MEMORY = ("link_cost", "message_s"), ("held_bytes", "activation_part")
ROUNDS = 2
DIGITS = 4
"""Significant digits that are kept: the runs say no more."""


def predict(data: SailorData, name: str, constants: Constants) -> Prediction:
    """Return what the evaluator says of a run under some constants."""
    return instance_of(data, name, constants).predict()


@dataclass(frozen=True)
class Slopes:
    """Predictions of runs around some constants, as straight lines.

    Parameters
    ----------
    at
        The constants.
    time_s, bytes
        (num_runs,) predictions there.
    by_constant
        (num_runs,) change per unit of each constant: seconds for those of time, bytes for those of memory.
    """

    at: Constants
    time_s: Floats
    bytes: Floats
    by_constant: Mapping[str, Floats]


def slopes(
    data: SailorData,
    names: Sequence[str],
    at: Constants,
    told: Callable[[], None],
) -> Slopes:
    """Return the predictions of runs around some constants.

    Parameters
    ----------
    data, names
        The runs.
    at
        The constants.
    told
        Called after every evaluation.

    Notes
    -----
    Constants of time change no memory, and the other way round, so one of each is moved at a time.
    """

    def figures(constants: Constants) -> tuple[Floats, Floats]:
        found = []
        for name in names:
            found.append(predict(data, name, constants))
            told()
        times = [one.iteration_s for one in found]
        return np.array(times), np.array([one.peak_bytes or 0 for one in found], float)

    time_s, peak = figures(at)
    changes: dict[str, Floats] = {}
    for first, second in zip(TIME, MEMORY, strict=True):
        words = {word: getattr(at, word) + STEP[word] for word in (first, second)}
        moved_s, moved_bytes = figures(at.model_copy(update=words))
        changes[first] = (moved_s - time_s) / STEP[first]
        changes[second] = (moved_bytes - peak) / STEP[second]
    return Slopes(at, time_s, peak, changes)


def solve(data: SailorData, names: Sequence[str], lines: Slopes, chosen: Sequence[bool]) -> Constants:
    """Return the constants of least squared relative errors on the chosen runs.

    Parameters
    ----------
    data, names
        The runs; those that lack a measurement do not count for it.
    lines
        Their predictions.
    chosen
        (num_runs,), which are fitted on.
    """
    found: dict[str, float] = {}
    for words, predicted, measured in (
        (TIME, lines.time_s, [data.runs[name].real for name in names]),
        (MEMORY, lines.bytes, [data.runs[name].max_mem for name in names]),
    ):
        used = np.array([pick and value is not None for pick, value in zip(chosen, measured, strict=True)])
        wanted = np.array([value or 1.0 for value in measured])[used]
        scale = np.array([STEP[word] for word in words])
        here = np.array([getattr(lines.at, word) for word in words])
        matrix = np.stack([lines.by_constant[word][used] for word in words], axis=1) * scale
        rest = wanted - predicted[used] + matrix @ (here / scale)
        best = lsq_linear(matrix / wanted[:, None], rest / wanted, bounds=(0.0, np.inf)).x * scale
        found |= {word: _rounded(value) for word, value in zip(words, best, strict=True)}
    return Constants(**found)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS - 1}e}")


def fit_constants(data: SailorData, progress: Callable[[int, int], None] | None = None) -> Constants:
    """Return the constants of least squared relative errors on all runs.

    Parameters
    ----------
    data
        The runs.
    progress
        Told (evaluations done, all).

    Notes
    -----
    Gauss-Newton: the predictions are bent lines, so the slopes are taken anew where the last fit ended.
    """
    names = list(data.runs)
    count = _Count(len(names) * (1 + len(TIME)) * ROUNDS, progress)
    at = START
    for _ in range(ROUNDS):
        at = solve(data, names, slopes(data, names, at, count.tell), [True] * len(names))
    return at


@dataclass
class _Count:
    """Tells how many evaluations are done."""

    total: int
    progress: Callable[[int, int], None] | None
    done: int = 0

    def tell(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)
