"""Best known scores and bounds of a suite's cases, in a file beside its instances.

``best_known.json`` maps the name of a case to ``{"score": x, "bound": y, "source": text}``: both in the
evaluator's unit, ``null`` where nothing is known, and equal where the score is proven optimal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from models.document import Document, dump_json, read, validate, write_text
from models.errors import Fault, InputError
from solver.suites.case import Case

NAME = "best_known.json"
"""Name of the file in the folder of the instances."""

TOLERANCE = 1e-9
"""Relative difference from which on a value counts as better."""


_OF_BOUND = "; bound: "
"""In a source, between where the score and where the bound comes from."""


class Known(Document):
    """What is known of a case.

    Parameters
    ----------
    score
        Least score of any plan known, in the evaluator's unit; ``None`` if no plan is known.
    bound
        No plan scores less, proven; ``None`` if there is no bound.
    source
        Where both come from.
    """

    score: float | None = None
    bound: float | None = None
    source: str


def load(folder: Path | str) -> dict[str, Known]:
    """Return what is known of the cases of a folder; empty if it has no such file.

    Parameters
    ----------
    folder
        Folder of instances.

    Raises
    ------
    InputError
        With every fault of the file.
    """
    path = Path(folder) / NAME
    if not path.exists():
        return {}
    data = read(path)
    if not isinstance(data, dict):
        raise InputError([Fault("", "needs an object: {case name: {score, bound, source}}")], str(path))
    known: dict[str, Known] = {}
    faults: list[Fault] = []
    for name, value in data.items():
        try:
            known[name] = validate(Known, value, name)
        except InputError as error:
            faults += [Fault(f"{name}.{f.path}" if f.path else name, f.message) for f in error.faults]
            continue
        faults += [Fault(name, words) for words in _contradictions(known[name])]
    if faults:
        raise InputError(faults, str(path))
    return known


def _contradictions(known: Known) -> Iterable[str]:
    if known.score is not None and known.bound is not None and _less(known.score, known.bound):
        yield f"bound {known.bound!r} is above score {known.score!r}: one of them is wrong"


def _less(a: float, b: float) -> bool:
    return a < b - TOLERANCE * max(abs(a), abs(b))


def filled(cases: Iterable[Case], folder: Path | str) -> tuple[Case, ...]:
    """Return cases with the best known score and bound of their folder.

    Parameters
    ----------
    cases
        Cases without them.
    folder
        Folder of instances.
    """
    known = load(folder)
    nothing = Known(source="")
    return tuple(
        replace(
            case,
            best_known=known.get(case.name, nothing).score,
            known_bound=known.get(case.name, nothing).bound,
        )
        for case in cases
    )


def update(folder: Path | str, found: Mapping[str, Known]) -> tuple[str, ...]:
    """Write better scores and bounds into the file of a folder; worse ones change nothing.

    Parameters
    ----------
    folder
        Folder of instances.
    found
        Name of a case to what was found.

    Returns
    -------
    tuple of str
        Names of the cases that changed.

    Raises
    ------
    InputError
        If a new bound is above a known score, or a new score below a known bound (one of them is wrong:
        nothing is written), or the file is damaged or cannot be written.
    """
    known = load(folder)
    changed = {}
    faults = []
    for name, new in found.items():
        merged = _merged(known.get(name), new)
        faults += [Fault(name, words) for words in _contradictions(merged)]
        if merged != known.get(name):
            changed[name] = merged
    if faults:
        raise InputError(faults, str(Path(folder) / NAME))
    if changed:
        data = {name: one.model_dump() for name, one in sorted((known | changed).items())}
        write_text(Path(folder) / NAME, dump_json(data), overwrite=True)
    return tuple(changed)


def _merged(old: Known | None, new: Known) -> Known:
    if old is None:
        return new
    score, bound = old.score, old.bound
    of_score, _, of_bound = old.source.partition(_OF_BOUND)
    of_bound = of_bound or of_score
    if new.score is not None and (score is None or _less(new.score, score)):
        score, of_score = new.score, new.source.partition(_OF_BOUND)[0]
    if new.bound is not None and (bound is None or _less(bound, new.bound)):
        bound, of_bound = new.bound, new.source.rpartition(_OF_BOUND)[2]
    if (score, bound) == (old.score, old.bound):
        return old
    source = of_score if bound is None or of_bound == of_score else f"{of_score}{_OF_BOUND}{of_bound}"
    return Known(score=score, bound=bound, source=source)
