"""Performance profile: the share of problems on which a solver is within a factor of the best.

References
----------
E. D. Dolan, J. J. Moré. Benchmarking optimization software with performance profiles. Mathematical
Programming 91, 2002. doi:10.1007/s101070100263
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solver.bench.ledger import Line
from solver.bench.references import TOLERANCE, Reference
from solver.bench.summary import is_proven

Floats = NDArray[np.float64]

SHORTEST_S = 1e-3
"""Times below count as this: their ratios would say nothing."""


@dataclass(frozen=True)
class Profile:
    """Ratios to the best of a solver.

    Parameters
    ----------
    ratios
        (num_solved,), ascending, at least 1; problems it did not solve are left out.
    num_problems
        Of all problems.
    """

    ratios: Floats
    num_problems: int

    def share(self, ratio: float) -> float:
        """Return the share of problems on which it is at most ``ratio`` times the best."""
        return float(np.searchsorted(self.ratios, ratio, side="right")) / max(1, self.num_problems)


def score_profiles(lines: Sequence[Line]) -> dict[str, Profile]:
    """Return the profiles of the scores; a problem is a case with a seed, the best that of these solvers.

    Parameters
    ----------
    lines
        Last line of every run.
    """
    return _profiles(lines, lambda line: line["score"])


def time_profiles(lines: Sequence[Line], known: Mapping[str, Reference]) -> dict[str, Profile]:
    """Return the profiles of the times to a proven answer.

    Parameters
    ----------
    lines, known
        Last line of every run; reference of every case.
    """

    def seconds(line: Line) -> float | None:
        return max(SHORTEST_S, line["wall_s"]) if is_proven(line, known[line["case"]]) else None

    return _profiles(lines, seconds)


def _profiles(lines: Sequence[Line], figure: Callable[[Line], float | None]) -> dict[str, Profile]:
    best: dict[tuple[str, int], float] = {}
    for line in lines:
        problem, value = (line["case"], line["seed"]), figure(line)
        best[problem] = min(best.get(problem, math.inf), math.inf if value is None else value)
    solved = {problem for problem, value in best.items() if math.isfinite(value)}
    ratios: dict[str, list[float]] = {}
    for line in lines:
        mine = ratios.setdefault(line["solver"], [])
        problem, value = (line["case"], line["seed"]), figure(line)
        if problem in solved and value is not None:
            mine.append(_ratio(value, best[problem]))
    return {
        solver: Profile(np.array(sorted(values), dtype=np.float64), len(solved))
        for solver, values in ratios.items()
    }


def _ratio(value: float, best: float) -> float:
    if value <= best + TOLERANCE * abs(best):
        return 1.0
    return value / best if best > 0 else math.inf
