"""Headlines: the largest speed-ups over others among cases, and which case gives each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

Row = Mapping[str, Any]
Rates = dict[str, float]
"""Planner to samples per second; planners without a plan are left out."""


class Case(NamedTuple):
    """One case with the rates of all planners.

    Parameters
    ----------
    words
        What was asked: model, cluster, rate of the links, batch, rule of micro-batches.
    rates
        Samples per second by planner.
    rows
        The whole rows, by planner.
    """

    words: dict[str, Any]
    rates: Rates
    rows: dict[str, Row]


WORDS = ("model", "cluster", "mbit_per_s", "batch", "micro_batches")


class Speedups(NamedTuple):
    """Ratios of one planner's rate to the best of some others', over cases where both have a plan.

    Parameters
    ----------
    largest, middle
        Largest ratio and the median one.
    case
        That of the largest.
    over
        Whose rate the largest is over.
    count
        Cases that count.
    """

    largest: float
    middle: float
    case: Case
    over: str
    count: int


def cases(rows: Iterable[Row]) -> list[Case]:
    """Return the cases of rows, in their order.

    Parameters
    ----------
    rows
        One for each case and planner.
    """
    found: dict[tuple[Any, ...], Case] = {}
    for row in rows:
        words = {word: row[word] for word in WORDS}
        case = found.setdefault(tuple(words.values()), Case(words, {}, {}))
        case.rows[row["planner"]] = row
        if row["samples_per_s"] is not None:
            case.rates[row["planner"]] = row["samples_per_s"]
    return list(found.values())


def speedups(
    found: Iterable[Case],
    planner: str,
    others: Sequence[str],
    *,
    pick: Callable[[Iterable[float]], float] = max,
) -> Speedups | None:
    """Return a planner's speed-ups over others; ``None`` where there is no case to compare in.

    Parameters
    ----------
    found
        Cases.
    planner
        Whose.
    others
        Over whom.
    pick
        ``max``: over the best of the others; ``min``: over the worst that has a plan.
    """
    ratios = []
    for case in found:
        rates = {name: case.rates[name] for name in others if name in case.rates}
        if rates and planner in case.rates:
            chosen = pick(rates.values())
            over = next(name for name, rate in rates.items() if rate == chosen)
            ratios.append((case.rates[planner] / chosen, case, over))
    if not ratios:
        return None
    largest, case, over = max(ratios, key=lambda one: one[0])
    return Speedups(largest, median(one[0] for one in ratios), case, over, len(ratios))


def text_of(case: Case) -> str:
    """Return a case in words."""
    words = case.words
    count = f"{words['micro_batches']} micro-batches"
    where = f"{words['model']} on {words['cluster']}, {words['mbit_per_s']} Mbit/s, batch {words['batch']}"
    return f"{where}, {count}"
