"""dnn-partitioning: placement of DNN graphs on accelerators and processors, by max load or by latency.

Files of github.com/msr-fiddle/dnn-partitioning in its folders, see :mod:`models.formats.dnn_partitioning`.

- ``throughput-*``: the largest load of a device, which is the time a sample takes in a full pipeline.
  Variant ``contiguous``: the graph between devices is acyclic over forward nodes, so every device's set is
  convex; backward nodes follow by colour. A backward node whose colour has no forward node counts as a
  forward node with its edges to backward nodes turned round, as in the authors' dynamic program (their
  optima come out so; without this rule some instances have better splits). ``non-contiguous``: no such rule.
- ``latency-*``: the time of one sample. Every accelerator is called once, so its set is convex over all
  nodes; every processor node runs on a core of its own.

Times are milliseconds in solution files and seconds in scores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import models
from models.errors import Fault, InputError
from models.formats.dnn_partitioning import ACCELERATOR, PROCESSOR, PartitioningInput, read_partitioning
from solver.job import Job
from solver.placement import Placement
from solver.plan import Plan
from solver.problem import Problem
from solver.settings import Settings
from solver.split import split_of
from solver.suites.case import Case
from solver.suites.known import filled

UNIT = "ms"
FOLDER = Path(models.__file__).parent / "formats" / "instances" / "dnn-partitioning"
VARIANTS = {"throughput": ("contiguous", "non-contiguous"), "latency": ("latency",)}
LEVELS = ("layer", "operator")
SETTINGS = Settings(overlap=False, sync=False, transfers="host", memory="weights")


def cases(folder: Path = FOLDER) -> tuple[Case, ...]:
    """Return every case of a folder: two of each throughput file, one of each latency file.

    Parameters
    ----------
    folder
        Has folders ``throughput-layer``, ``throughput-operator``, ``latency-layer`` or ``latency-operator``
        with JSON files.

    Raises
    ------
    InputError
        If there is no such file in it, or with the faults of what is known of them.
    """
    found = []
    for objective, variants in VARIANTS.items():
        for level in LEVELS:
            for path in sorted((folder / f"{objective}-{level}").glob("*.json")):
                found += [Case("dnn-partitioning", f"{level}/{path.stem}", str(path), v) for v in variants]
    if not found:
        names = ", ".join(f"{objective}-{level}" for objective in VARIANTS for level in LEVELS)
        message = f"no instance of suite dnn-partitioning in {folder}: JSON files in {names} are needed"
        raise InputError([Fault("instances", message)], "suite dnn-partitioning")
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
        With every fault of its file.
    """
    given = read_partitioning(Path(case.path))
    latency = case.variant == "latency"
    return Problem(
        given.workload,
        given.cluster(1 if latency else given.num_processors),
        Job(kind="serve", batch=1),
        objective="latency" if latency else "bottleneck",
        num_micro_batches=1,
        settings=SETTINGS,
        placement=_placement(given, case.variant),
    )


def _placement(given: PartitioningInput, variant: str) -> Placement:
    everything = frozenset(given.workload.by_name)
    return Placement(
        together=given.together,
        kinds={name: (PROCESSOR,) for name in given.workload.order if name in given.unsupported},
        order=given.mirrored if variant == "contiguous" else (),
        convex={"contiguous": given.forward, "latency": everything}.get(variant),
        apart=frozenset({PROCESSOR} if variant == "latency" else ()),
    )


def document(case: Case, plan: Plan, score: float) -> dict[str, Any]:
    """Return a plan in the suite's own terms: which node runs where.

    Parameters
    ----------
    case, plan, score
        The case, a plan for it that places every node once, and its score, seconds.
    """
    return {
        "suite": "dnn-partitioning",
        "instance": case.instance,
        "variant": case.variant,
        "assignment": split_of(plan),
        "objective": score * 1e3,
    }


__all__ = ["ACCELERATOR", "FOLDER", "PROCESSOR", "UNIT", "cases", "document", "problem"]
