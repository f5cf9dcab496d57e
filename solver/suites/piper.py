"""piper: BERT (or any input of Piper) on 8 to 512 equal devices of 2, 8 or 80 GiB.

Source: inputs of github.com/msr-fiddle/piper. Every ``.json`` of a folder is asked for with 2, 8 and 80 GiB
and 8, 32, 64, 128 and 512 devices, at 25 GiB/s, with the batch of the file; what the file says of devices,
memory and bandwidth is not used. The score is seconds per sample of the slowest stage, by Piper's cost rule.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import models
from models.formats import piper
from solver.job import Job
from solver.lowering.stage_loads import replicas
from solver.plan import Plan
from solver.problem import Problem
from solver.settings import Settings
from solver.suites import known
from solver.suites.case import Case
from solver.suites.equal_gpus import equal_gpus, files_of

UNIT = "s"
FOLDER = Path(models.__file__).parent / "formats" / "instances" / "piper"
GIB = 2**30
MEMORY_GIB, NUM_DEVICES = (2, 8, 80), (8, 32, 64, 128, 512)
BANDWIDTH_BYTES_PER_S = 25 * GIB


def cases(folder: Path = FOLDER) -> tuple[Case, ...]:
    """Return the 15 cases of every input in a folder and those below it.

    Parameters
    ----------
    folder
        With ``.json`` files.

    Raises
    ------
    InputError
        If there is none, or with every fault of every file.
    """
    found = [
        Case("piper", name, str(path), parameters={"memory_gib": memory, "max_devices": count})
        for name, path in files_of(folder, ".json", piper.read, "piper", "input of Piper")
        for memory in MEMORY_GIB
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
    given = piper.read(Path(case.path))
    num = int(str(case.parameters["max_devices"]))
    return Problem(
        given.workload,
        equal_gpus(num, BANDWIDTH_BYTES_PER_S, memory_bytes=_memory_bytes(case)),
        Job(batch=given.batch),
        objective="bottleneck",
        num_micro_batches=1,
        settings=Settings(rule="piper"),
    )


def _memory_bytes(case: Case) -> int:
    return int(str(case.parameters["memory_gib"])) * GIB


def document(case: Case, plan: Plan, score: float) -> dict[str, Any]:
    """Return a plan in the suite's own terms.

    Parameters
    ----------
    case, plan, score
        The case, its plan, and the evaluator's score.
    """
    stages = []
    for stage in plan.pipelines[0].stages:
        data_parallel, tensor_parallel = replicas(stage)
        stages.append(
            {
                "nodes": [int(name) for name in stage.blocks],
                "data_parallel": data_parallel,
                "tensor_parallel": tensor_parallel,
                "variants": {name: stage.variants.get(name, 0) for name in stage.blocks},
            }
        )
    return {
        "suite": "piper",
        "instance": case.instance,
        "max_devices": case.parameters["max_devices"],
        "memory_bytes": _memory_bytes(case),
        "batch": plan.job.batch,
        "stages": stages,
        "objective": score,
    }
