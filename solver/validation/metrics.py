"""Metrics: how far predictions are from measurements, and whether they put plans in the right order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from solver.validation.findings import Prediction, Run

Pair = tuple[float, float]
"""(measured, predicted)."""


def relative_error(measured: float, predicted: float) -> float:
    """Return by which part of the measured value a prediction is too high."""
    return predicted / measured - 1.0


def mape(pairs: Sequence[Pair]) -> float | None:
    """Return the mean absolute relative error; ``None`` if there is nothing to compare.

    Parameters
    ----------
    pairs
        (measured, predicted).
    """
    errors = [abs(relative_error(*pair)) for pair in pairs]
    return sum(errors) / len(errors) if errors else None


def concordance(pairs: Sequence[Pair]) -> tuple[int, int, int]:
    """Return how many pairs of runs are in the right order, in the wrong one, and told apart by one side.

    Parameters
    ----------
    pairs
        (measured, predicted) of every run.

    Notes
    -----
    Two runs that were measured equal and are predicted equal are in none of the three.
    """
    right = wrong = tied = 0
    for a, b in combinations(pairs, 2):
        measured, predicted = a[0] - b[0], a[1] - b[1]
        if measured and predicted:
            right += (measured > 0) == (predicted > 0)
            wrong += (measured > 0) != (predicted > 0)
        elif measured or predicted:
            tied += 1
    return right, wrong, tied


def kendall_tau(groups: Iterable[Sequence[Pair]]) -> float | None:
    """Return Kendall's tau over the pairs of runs inside each group; ``None`` if there is no pair.

    Parameters
    ----------
    groups
        (measured, predicted) of every run, by group.

    Notes
    -----
    (right - wrong) / (right + wrong + ties): a pair that only one side tells apart counts as half right.
    """
    totals = [concordance(group) for group in groups]
    right, wrong, tied = (sum(total[k] for total in totals) for k in range(3))
    count = right + wrong + tied
    return (right - wrong) / count if count else None


@dataclass(frozen=True)
class Summary:
    """Figures of some predictions; ``None`` where nothing was measured to compare with.

    Parameters
    ----------
    num_runs
        How many were predicted.
    mape, max_error
        Mean and largest absolute relative error of the iteration time.
    tau
        Kendall's tau over all runs.
    plan_tau, num_plan_pairs, num_wrong_pairs
        The same among plans of one workload on the same devices, how many such pairs there are, and how
        many of them are in the wrong order.
    memory_mape, memory_max_error
        Errors of the peak memory.
    """

    num_runs: int
    mape: float | None
    max_error: float | None
    tau: float | None
    plan_tau: float | None
    num_plan_pairs: int
    num_wrong_pairs: int
    memory_mape: float | None
    memory_max_error: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        return asdict(self)


def summary(compared: Sequence[tuple[Run, Prediction]]) -> Summary:
    """Return the figures of some predictions.

    Parameters
    ----------
    compared
        Every run with its prediction.
    """
    times: dict[str, list[Pair]] = {}
    memory: list[Pair] = []
    for run, predicted in compared:
        if run.iteration_s is not None:
            times.setdefault(run.group, []).append((run.iteration_s, predicted.iteration_s))
        if run.peak_bytes is not None and predicted.peak_bytes is not None:
            memory.append((run.peak_bytes, predicted.peak_bytes))
    pairs = [pair for group in times.values() for pair in group]
    counts = [concordance(group) for group in times.values()]
    return Summary(
        num_runs=len(compared),
        mape=mape(pairs),
        max_error=_largest(pairs),
        tau=kendall_tau([pairs]),
        plan_tau=kendall_tau(times.values()),
        num_plan_pairs=sum(sum(count) for count in counts),
        num_wrong_pairs=sum(count[1] for count in counts),
        memory_mape=mape(memory),
        memory_max_error=_largest(memory),
    )


def _largest(pairs: Sequence[Pair]) -> float | None:
    return max((abs(relative_error(*pair)) for pair in pairs), default=None)
