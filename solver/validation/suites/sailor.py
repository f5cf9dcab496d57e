"""sailor: iteration time and peak memory of a language model trained on GH200 nodes, published by Sailor.

Source: github.com/eth-easl/sailor; see :mod:`models.formats.sailor` for the format. A run becomes a workload
with the published profiles, a cluster with the published network curves, and a plan: stages of a 1F1B
pipeline, each of data-parallel copies that are tensor groups. Four constants are fitted; they ship with the
package and are not fitted anew for other data. On the package's own data every node count is also left out:
its runs are predicted with constants fitted on the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from models.document import dump_json
from models.errors import Fault, InputError
from models.formats.sailor import PUBLIC, SailorData, read_folder
from solver.validation.findings import Findings, Goal, Part, Prediction, Progress, Run, Split
from solver.validation.metrics import Summary
from solver.validation.sailor.constants import Constants, Shipped, shipped
from solver.validation.sailor.fit import TIME, fit_constants, predict, slopes, solve
from solver.validation.sailor.instance import instance_of

LIMIT = 0.1
"""Largest mean error of times, and of memory."""

WRONG_OF_PAIRS = 1 / 9
"""Largest part of the comparable pairs of plans that may be in the wrong order."""


def validate(data: Path | None, progress: Progress | None = None) -> Findings:
    """Predict the runs of a folder.

    Parameters
    ----------
    data
        Folder; ``None``: the package's own, whose node counts are also left out one by one.
    progress
        Told (done, all).

    Raises
    ------
    InputError
        With every fault of every file, and of every run.
    """
    given = read_folder(data or PUBLIC)
    constants = shipped()
    _check(given, constants.constants)
    names = list(given.runs)
    evaluations = len(names) * (1 if data is not None else 3 + len(TIME))
    told = _counter(evaluations, progress)
    predictions = {}
    for name in names:
        predictions[name] = predict(given, name, constants.constants)
        told()
    findings = Findings(
        suite="sailor",
        runs=tuple(_run(given, name) for name in names),
        predictions=predictions,
        constants=constants.constants.described(),
        origin=constants.origin,
        splits=() if data is not None else (_left_out(given, told),),
        notes=tuple(f"{place} is the package's own: the folder has none" for place in given.borrowed),
    )
    return replace(findings, goals=_goals(findings))


def fit(progress: Progress | None = None) -> str:
    """Return the constants fitted on the package's own runs, as the text of the file that ships.

    Parameters
    ----------
    progress
        Told (done, all).
    """
    given = read_folder(PUBLIC)
    origin = (
        f"fitted on the {len(given.runs)} runs of models/formats/instances/sailor by least squares of the "
        "relative errors through the evaluator: partage validate --suite sailor --fit FILE"
    )
    return dump_json(Shipped(origin=origin, constants=fit_constants(given, progress)).model_dump())


def _check(given: SailorData, constants: Constants) -> None:
    faults: list[Fault] = []
    for name in given.runs:
        try:
            instance_of(given, name, constants)
        except InputError as error:
            faults += [fault for fault in error.faults if fault not in faults]
    if faults:
        raise InputError(faults, "suite sailor")


def _counter(total: int, progress: Progress | None) -> Callable[[], None]:
    done = 0

    def tell() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    return tell


def _run(given: SailorData, name: str) -> Run:
    run = given.runs[name]
    shown = ", ".join(f"{count} {kind}" for kind, count in run.gpus.items())
    return Run(name, f"{given.nets[name]}, batch {run.gbs}, {shown}", run.real, run.max_mem)


def _left_out(given: SailorData, told: Callable[[], None]) -> Split:
    """Return the runs of every node count, predicted with constants fitted on those of the others."""
    names = list(given.runs)
    counts = {name: _num_nodes(given, name) for name in names}
    lines = slopes(given, names, shipped().constants, told)
    parts = []
    for count in sorted(set(counts.values())):
        constants = solve(given, names, lines, [counts[name] != count for name in names])
        predictions: dict[str, Prediction] = {}
        for name in names:
            if counts[name] == count:
                predictions[name] = predict(given, name, constants)
                told()
        parts.append(Part(f"{count} nodes" if count > 1 else "1 node", predictions))
    return Split("leave one node count out", tuple(parts))


def _num_nodes(given: SailorData, name: str) -> int:
    """Return how many nodes the GPUs of a run fill."""
    gpus = given.runs[name].gpus
    return sum(-(-count // given.nodes[kind].gpus_per_node) for kind, count in gpus.items())


def _goals(findings: Findings) -> tuple[Goal, ...]:
    """Return what is asked: of the predictions for runs left out where there are some, else of all."""
    where = ", a node count left out" if findings.splits else ""
    figures: Summary = findings.summary(findings.splits[0].together if findings.splits else None)
    goals = []
    for name, value in (("mean error of times", figures.mape), ("of memory", figures.memory_mape)):
        if value is not None:
            goals.append(Goal(f"{name}{where}", value, LIMIT))
    if figures.num_plan_pairs:
        allowed = max(1.0, WRONG_OF_PAIRS * figures.num_plan_pairs)
        pairs = f"plans of one workload in the wrong order, of {figures.num_plan_pairs} pairs"
        goals.append(Goal(f"{pairs}{where}", figures.num_wrong_pairs, allowed))
    return tuple(goals)
