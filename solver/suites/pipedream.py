"""pipedream: layer profiles of five nets (or any of PipeDream's) on 4 and 8 equal devices at 1 GB/s.

Source: profiles of github.com/msr-fiddle/pipedream. Every ``.txt`` of a folder is asked for with 4 and 8
devices. The score is seconds per mini-batch of the slowest stage, by the cost rule of the authors' optimiser
on one level. The rule has no memory check: every device has room for all weights. Fewer devices may be used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import models
from models.cluster import Cluster
from models.errors import Fault, InputError
from models.formats import pipedream
from solver.job import Job
from solver.lowering.stage_loads import replicas
from solver.plan import Plan
from solver.problem import Problem
from solver.settings import Settings
from solver.suites import known
from solver.suites.case import Case

UNIT = "s"
FOLDER = Path(models.__file__).parent / "formats" / "instances" / "pipedream"
NUM_DEVICES = (4, 8)
BANDWIDTH_BYTES_PER_S = 1e9


def cases(folder: Path = FOLDER) -> tuple[Case, ...]:
    """Return two cases for every profile in a folder and those below it.

    Parameters
    ----------
    folder
        With ``.txt`` files.

    Raises
    ------
    InputError
        If there is none, or with every fault of every file.
    """
    paths = sorted(folder.rglob("*.txt"))
    if not paths:
        message = f"no profile of PipeDream (.txt) in {folder}: give a folder that has one"
        raise InputError([Fault("instances", message)], "suite pipedream")
    found: list[Case] = []
    faults: list[Fault] = []
    for path in paths:
        name = path.relative_to(folder).with_suffix("").as_posix()
        try:
            pipedream.read(path)
        except InputError as error:
            faults += [Fault(f"{name}.txt: {fault.path}", fault.message) for fault in error.faults]
        for count in NUM_DEVICES:
            found.append(Case("pipedream", name, str(path), parameters={"num_devices": count}))
    if faults:
        raise InputError(faults, "suite pipedream")
    return known.filled(found, folder)


def problem(case: Case) -> Problem:
    """Return a case as a Problem.

    Parameters
    ----------
    case
        One of :func:`cases`.

    Raises
    ------
    InputError
        With every fault of its file.
    """
    workload = pipedream.read(Path(case.path))
    names = [f"gpu{i}" for i in range(int(str(case.parameters["num_devices"])))]
    room = max(1, sum(block.weight_bytes for block in workload.blocks))
    device = {"kind": pipedream.KIND, "flop_per_s": {"fp32": 1.0}, "memory_bytes": room}
    switch = {"name": "switch", "members": names, "bandwidth_bytes_per_s": BANDWIDTH_BYTES_PER_S}
    cluster = {"name": f"gpus_{len(names)}", "devices": [{"name": name, **device} for name in names]}
    return Problem(
        workload,
        Cluster.model_validate({**cluster, "segments": [switch] if len(names) > 1 else []}),
        Job(batch=len(names)),
        objective="bottleneck",
        num_micro_batches=1,
        settings=Settings(rule="pipedream"),
    )


def document(case: Case, plan: Plan, score: float) -> dict[str, Any]:
    """Return a plan in the suite's own terms.

    Parameters
    ----------
    case, plan, score
        The case, its plan, and the evaluator's score.
    """
    return {
        "suite": "pipedream",
        "instance": case.instance,
        "num_devices": case.parameters["num_devices"],
        "bandwidth_bytes_per_s": BANDWIDTH_BYTES_PER_S,
        "stages": [
            {"nodes": list(stage.blocks), "replicas": replicas(stage)[0]}
            for stage in plan.pipelines[0].stages
        ],
        "objective": score,
    }
