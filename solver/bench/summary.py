"""Summary: what the runs of a folder say about the solvers, as figures.

The conventions, also in results/README.md:

- gap: (score - reference) / reference, where the reference is the best of the suite's best known score and
  all runs of the folder; over runs that have a plan.
- time: shifted geometric mean of wall seconds, shift 1 s, where runs without an answer count with the time
  limit, as in the benchmarks of Hans Mittelmann.
- solved: has a confirmed plan, or says infeasible where nobody has one.
- proven: OPTIMAL at the reference, or INFEASIBLE where nobody has a plan. A proof holds for the solver's
  stated space; it does not count if another solver of the folder looked in a space that holds more.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from solver.bench.anytime import primal_integral
from solver.bench.ledger import Line
from solver.bench.references import Reference, gap, is_at, references, space_of
from solver.bench.run import FAILED

SHIFT_S = 1.0
MOST_GROUPS = 12


def shifted_geometric_mean(seconds: Sequence[float], shift_s: float = SHIFT_S) -> float:
    """Return exp(mean(log(t + shift))) - shift.

    Parameters
    ----------
    seconds
        Times.
    shift_s
        Keeps very short times from counting as much as long ones.
    """
    if not seconds:
        return math.nan
    return math.exp(statistics.fmean(math.log(t + shift_s) for t in seconds)) - shift_s


def summary(lines: Sequence[Line], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a folder, as JSON.

    Parameters
    ----------
    lines
        The last line of every run.
    asked
        What all runs have in common; see ``bench.json``.
    """
    known = references(lines)
    return {
        "suite": asked.get("suite"),
        "instances": asked.get("instances"),
        "time_limit_s": asked.get("time_limit_s"),
        "work_limit": asked.get("work_limit"),
        "num_runs": len(lines),
        "num_cases": len(known),
        "num_failed": sum(line["status"] == FAILED for line in lines),
        "solvers": rows(lines, known),
        "groups": {
            word: {str(value): rows(part, known) for value, part in parts.items()}
            for word, parts in groups(lines).items()
        },
        "cases": [_case(name, reference, lines) for name, reference in known.items()],
        "failures": [
            {word: line[word] for word in ("case", "solver", "seed", "failure", "reason")}
            for line in lines
            if line["status"] == FAILED
        ],
        "machines": _distinct(line["machine"] for line in lines),
        "versions": _distinct(line["versions"] for line in lines),
        "jobs": sorted({line["jobs"] for line in lines}),
    }


def _distinct(values: Any) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def rows(lines: Sequence[Line], known: Mapping[str, Reference]) -> list[dict[str, Any]]:
    """Return one row of figures for each solver, the best first.

    Parameters
    ----------
    lines, known
        Last line of every run; reference of every case.
    """
    by_solver: dict[str, list[Line]] = {}
    for line in lines:
        by_solver.setdefault(line["solver"], []).append(line)
    found = [_row(name, group, known) for name, group in by_solver.items()]
    return sorted(found, key=lambda row: (-row["share_solved"], row["gap_mean"] or 0.0, row["solver"]))


def _row(name: str, lines: Sequence[Line], known: Mapping[str, Reference]) -> dict[str, Any]:
    gaps = [g for line in lines if (g := gap(line["score"], known[line["case"]].score)) is not None]
    integrals = [primal_integral(line, known[line["case"]].score) for line in lines]

    def share(test: Callable[[Line, Reference], bool]) -> float:
        return sum(test(line, known[line["case"]]) for line in lines) / len(lines)

    return {
        "solver": name,
        "num_runs": len(lines),
        "num_cases": len({line["case"] for line in lines}),
        "share_solved": share(is_solved),
        "share_proven": share(is_proven),
        "share_at_best": share(
            lambda line, one: is_at(line["score"], one.score) or (one.score is None and is_solved(line, one))
        ),
        "num_better_than_known": sum(_is_new(line, known[line["case"]]) for line in lines),
        "num_failed": sum(line["status"] == FAILED for line in lines),
        "num_declined": sum(line["status"] == "DECLINED" for line in lines),
        "num_stopped_by_clock": sum(line.get("stopped_by") == "time limit" for line in lines),
        "gap_mean": statistics.fmean(gaps) if gaps else None,
        "gap_median": statistics.median(gaps) if gaps else None,
        "gap_max": max(gaps) if gaps else None,
        "time_sgm_s": shifted_geometric_mean([counted_s(line, known[line["case"]]) for line in lines]),
        "primal_integral_mean": statistics.fmean(integrals),
        "peak_memory_bytes": max((line["peak_memory_bytes"] or 0 for line in lines), default=0),
    }


def _is_new(line: Line, reference: Reference) -> bool:
    return reference.best_known is not None and not is_at(reference.best_known, line["score"] or math.inf)


def is_solved(line: Line, reference: Reference) -> bool:
    """Say whether a run has a plan, or a proof that there is none which no plan contradicts."""
    return line["score"] is not None or (line["status"] == "INFEASIBLE" and reference.score is None)


def is_proven(line: Line, reference: Reference) -> bool:
    """Say whether a run has proven its answer in a space that counts, and nobody has a better one."""
    if not reference.is_wide(space_of(line)):
        return False
    if line["status"] == "INFEASIBLE":
        return reference.score is None
    return line["status"] == "OPTIMAL" and is_at(line["score"], reference.score)


def counted_s(line: Line, reference: Reference) -> float:
    """Return the seconds with which a run counts: the time limit if it has no answer."""
    if not is_solved(line, reference) or line["wall_s"] is None:
        return float(line["time_limit_s"])
    return float(line["wall_s"])


def groups(lines: Sequence[Line]) -> dict[str, dict[Any, list[Line]]]:
    """Return the runs by variant and by every parameter and label that has a few values.

    Parameters
    ----------
    lines
        Last line of every run.
    """
    words = dict.fromkeys(
        ("variant", *(word for line in lines for word in line["parameters"] | line["labels"]))
    )
    found: dict[str, dict[Any, list[Line]]] = {}
    for word in words:
        parts: dict[Any, list[Line]] = {}
        for line in lines:
            value = {"variant": line["variant"], **line["parameters"], **line["labels"]}.get(word)
            if value not in (None, "") and not isinstance(value, dict | list):
                parts.setdefault(value, []).append(line)
        if 1 < len(parts) <= MOST_GROUPS:
            found[word] = dict(sorted(parts.items(), key=lambda item: (str(type(item[0])), item[0])))
    return found


def _case(name: str, reference: Reference, lines: Sequence[Line]) -> dict[str, Any]:
    """Return one case: its reference, and the best run of every solver."""
    best: dict[str, dict[str, Any]] = {}
    bounds = []
    for line in lines:
        if line["case"] != name:
            continue
        before = best.get(line["solver"])
        if before is None or _least_first(line["score"]) < _least_first(before["score"]):
            best[line["solver"]] = {
                **{word: line[word] for word in ("status", "score", "bound", "wall_s", "seed")},
                "gap": gap(line["score"], reference.score),
                "is_proven": is_proven(line, reference),
            }
        if line["known_bound"] is not None:
            bounds.append(line["known_bound"])
    return {
        "case": name,
        "reference": reference.score,
        "best_known": reference.best_known,
        "known_bound": max(bounds, default=None),
        "reached_by": list(reference.solvers),
        "solvers": best,
    }


def _least_first(score: float | None) -> float:
    return math.inf if score is None else score
