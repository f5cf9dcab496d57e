"""pipedream: layer profiles of five nets (or any of PipeDream's) on 4 and 8 equal devices at 1 GB/s.

Source: profiles of github.com/msr-fiddle/pipedream. Every ``.txt`` of a folder is asked for with 4 and 8
devices. The score is seconds per mini-batch of the slowest stage, by the cost rule of the authors' optimiser
on one level. The rule has no memory check: every device has room for all weights. Fewer devices may be used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import models
from models.formats import pipedream
from solver.job import Job
from solver.lowering.stage_loads import replicas
from solver.plan import Plan
from solver.problem import Problem
from solver.settings import Settings
from solver.suites import known
from solver.suites.case import Case
from solver.suites.equal_gpus import equal_gpus, files_of

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
    files = files_of(folder, ".txt", pipedream.read, "pipedream", "profile of PipeDream")
    found = [
        Case("pipedream", name, str(path), parameters={"num_devices": count})
        for name, path in files
        for count in NUM_DEVICES
    ]
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
    num = int(str(case.parameters["num_devices"]))
    room = max(1, sum(block.weight_bytes for block in workload.blocks))
    return Problem(
        workload,
        equal_gpus(num, BANDWIDTH_BYTES_PER_S, kind=pipedream.KIND, memory_bytes=room),
        Job(batch=num),
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
