"""References: the best score known of every case, from the suite and from all runs of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from solver.bench.ledger import Line
from solver.space import Space

TOLERANCE = 1e-9
"""Relative difference at which two scores are the same."""


@dataclass(frozen=True)
class Reference:
    """What is known of a case.

    Parameters
    ----------
    score
        Best score of the suite's file and of all runs; ``None`` if no plan is known.
    best_known
        Best score of the suite's file alone.
    solvers
        Who reached ``score`` here.
    spaces
        Spaces in which the solvers looked.
    """

    score: float | None
    best_known: float | None
    solvers: tuple[str, ...] = ()
    spaces: tuple[Space, ...] = ()

    def is_wide(self, space: Space | None) -> bool:
        """Say whether nobody looked in a space that holds all of this one and more."""
        if space is None:
            return False
        return not any(other.covers(space) and not space.covers(other) for other in self.spaces)


def references(lines: Sequence[Line]) -> dict[str, Reference]:
    """Return what is known of every case.

    Parameters
    ----------
    lines
        The last line of every run.
    """
    by_case: dict[str, list[Line]] = {}
    for line in lines:
        by_case.setdefault(line["case"], []).append(line)
    return {name: _reference(group) for name, group in by_case.items()}


def _reference(group: Sequence[Line]) -> Reference:
    known = _least(line.get("best_known") for line in group)
    score = _least([known, *(line["score"] for line in group)])
    reached = (line["solver"] for line in group if is_at(line["score"], score))
    spaces = (space for line in group if (space := space_of(line)) is not None)
    return Reference(score, known, tuple(dict.fromkeys(reached)), tuple(dict.fromkeys(spaces)))


def space_of(line: Line) -> Space | None:
    """Return the space that a run looked in; ``None`` if it did not look."""
    if line["space"] is None or line["status"] == "DECLINED":
        return None
    words = {one.name for one in fields(Space)} & set(line["space"])
    given: dict[str, Any] = {word: _frozen(line["space"][word]) for word in words}
    return Space(**given)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _least(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def is_at(score: float | None, reference: float | None) -> bool:
    """Say whether a score is as good as a reference, rounding aside."""
    if score is None or reference is None:
        return False
    return score <= reference + TOLERANCE * abs(reference)


def gap(score: float | None, reference: float | None) -> float | None:
    """Return (score - reference) / reference; ``None`` without both."""
    if score is None or reference is None:
        return None
    if is_at(score, reference):
        return 0.0
    return (score - reference) / abs(reference) if reference else float("inf")
