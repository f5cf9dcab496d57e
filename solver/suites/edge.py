"""edge: our own 60 hybrid pipeline problems, each with the in-flight cap by rule and free.

Every problem has two cases: ``default`` (the schedule's rule says how many micro-batches a stage may have in
flight) and ``free`` (a solver may choose it). Settings are the evaluator's own, the objective is step time,
and the number of micro-batches is the problem's, the same for all solvers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import models
from models.errors import Fault, InputError
from models.formats.edge import CLUSTER, FILE, read_edge, read_edge_problem
from solver.job import Job
from solver.plan import Plan
from solver.problem import Problem
from solver.suites.case import Case
from solver.suites.known import filled

UNIT = "s"
FOLDER = Path(models.__file__).parent / "formats" / "instances" / "edge"
VARIANTS = ("default", "free")


def cases(folder: Path = FOLDER) -> tuple[Case, ...]:
    """Return two cases for each problem of a folder.

    Parameters
    ----------
    folder
        Has a folder for each problem.

    Raises
    ------
    InputError
        If there is no problem in it, or with the faults of every file ``problem.json`` in it, or of what is
        known of them.
    """
    paths = sorted(folder.glob(f"*/{FILE}"))
    if not paths:
        message = f"no problem of suite edge in {folder}: a folder each, with {FILE} and {CLUSTER}, is needed"
        raise InputError([Fault("instances", message)], "suite edge")
    found: list[Case] = []
    faults: list[Fault] = []
    for path in paths:
        try:
            problem = read_edge_problem(path)
        except InputError as error:
            faults += [Fault(f"{path.parent.name}/{FILE}: {f.path}", f.message) for f in error.faults]
            continue
        words = {"regime": problem.regime, "memory": problem.memory, "boards": problem.boards}
        for variant in VARIANTS:
            found.append(Case("edge", path.parent.name, str(path), variant, labels=words))
    if faults:
        raise InputError(faults, "suite edge")
    return filled(found, folder)


def problem(case: Case) -> Problem:
    """Return the problem of a case.

    Parameters
    ----------
    case
        One of :func:`cases`.

    Raises
    ------
    InputError
        With every fault of its files.

    Notes
    -----
    Plans name the cluster, and a workload that is not of the catalogue, by the file in the problem's folder:
    a plan written into that folder finds both.
    """
    found = read_edge(Path(case.path))
    job = Job.model_validate(found.problem.job.model_dump(exclude_defaults=True))
    return Problem(
        found.workload,
        found.cluster,
        job,
        num_micro_batches=found.problem.num_micro_batches,
        in_flight=case.variant or "default",
        workload_ref=found.problem.workload.name,
        cluster_ref=found.problem.cluster.name,
    )


def document(case: Case, plan: Plan, score: float) -> dict[str, Any]:
    """Return a plan with its score: its own JSON is the suite's terms.

    Parameters
    ----------
    case, plan, score
        The case, a plan for it, and its step time, seconds.
    """
    return {
        "suite": "edge",
        "instance": case.instance,
        "variant": case.variant,
        "plan": json.loads(plan.to_json()),
        "objective": score,
    }
