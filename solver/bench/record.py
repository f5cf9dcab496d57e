"""Record: what a bench found becomes the best known of its suite, if it is better."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from solver.bench.ledger import Line
from solver.bench.references import is_at
from solver.suites import known
from solver.suites.known import Known


def record_best(folder: Path, lines: Sequence[Line], bounds_of: Sequence[str] = ()) -> tuple[str, ...]:
    """Write better scores, and bounds of some solvers, into the best known values of a folder.

    Parameters
    ----------
    folder
        Folder of the instances.
    lines
        Last line of every run.
    bounds_of
        Solvers whose bounds hold for every plan of the suite. A bound holds for the space of its solver
        only, so which these are is said by a person.

    Returns
    -------
    tuple of str
        Names of the cases that changed.

    Raises
    ------
    InputError
        If a bound is above a score: one of them is wrong, and nothing is written.
    """
    found = {}
    for name in dict.fromkeys(line["case"] for line in lines):
        runs = [line for line in lines if line["case"] == name]
        best = min(
            (one for one in runs if one["score"] is not None), key=lambda one: one["score"], default=None
        )
        bounded = max(
            (one for one in runs if one["solver"] in bounds_of and one["bound"] is not None),
            key=lambda one: one["bound"],
            default=None,
        )
        if best is None and bounded is None:
            continue
        score = best["score"] if best else None
        bound = bounded["bound"] if bounded else None
        if bound is not None and score is not None and is_at(score, bound):
            bound = min(bound, score)  # equal up to rounding
        sources = [_source(best)] if best else []
        if bounded and (best is None or bounded["solver"] != best["solver"]):
            sources.append(f"bound: {_source(bounded)}" if best else _source(bounded))
        found[name] = Known(score=score, bound=bound, source="; ".join(sources))
    return known.update(folder, found)


def _source(line: Line) -> str:
    limit = f"{line['time_limit_s']:g} s"
    version = line["versions"].get("commit") or line["versions"].get("partage", "")
    return f"partage bench, {line['solver']}, {limit}, seed {line['seed']}, {version}"
