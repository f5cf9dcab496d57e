"""How fast hybrid pipelines train on Jetson boards, and over whom the large speed-ups are."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from experiments.cases.jetsons import CLUSTERS, jetsons
from experiments.cases.planners import PLANNERS, answers
from experiments.frame.ours import ours, why_none
from experiments.frame.study import Study
from experiments.pages.throughput_page import figures, page
from solver.job import Job
from solver.plan import share_devices
from solver.problem import Problem
from solver.search.shares import speeds
from solver.status import Solution

MODELS = ("efficientnet_b1", "mobilenet_v2", "resnet50", "bert_small")
RATES_MBIT = (100, 1000)
WORK: tuple[tuple[int, int | str], ...] = ((32, 4), (32, "own"), (128, "own"))
"""Batch, and micro-batches: their number, or ``own`` for every planner's best one."""
WORK_LIMIT = 1000
QUICK_CLUSTERS = ("4 nano", "1 tx2, 2 nano")


def run(out: Path, *, quick: bool, jobs: int = 1) -> None:
    """Write rates of all planners, the largest speed-ups, and where they come from.

    Parameters
    ----------
    out
        Folder of the result.
    quick
        Two models and two clusters.
    jobs
        Processes.
    """
    models = MODELS[1::2] if quick else MODELS
    clusters = QUICK_CLUSTERS if quick else tuple(CLUSTERS)
    work = WORK[:2] if quick else WORK
    asked = {
        "models": models,
        "clusters": clusters,
        "mbit_per_s": RATES_MBIT,
        "batch_and_micro_batches": work,
    }
    words = {"optimizer": "momentum", "precision": "fp32", "work_limit": WORK_LIMIT, "planners": PLANNERS}
    study = Study(out, __file__, quick=quick, jobs=jobs, asked={**asked, **words})
    cells = {
        f"{model} {cluster} {mbit} {batch} {count}": partial(cell, study, model, cluster, mbit, batch, count)
        for model in models
        for cluster in clusters
        for mbit in RATES_MBIT
        for batch, count in work
    }
    rows = [row for part in study.cells(cells) for row in part]
    study.table("planners", rows)
    figures(study, rows)
    page(study, rows)


def cell(
    study: Study, model: str, cluster: str, mbit_per_s: int, batch: int, micro_batches: int | str
) -> list[dict[str, Any]]:
    """Return a row for every planner in one case.

    Parameters
    ----------
    study
        Where plans are written.
    model, cluster, mbit_per_s, batch, micro_batches
        The case; ``own``: every planner at its best number of micro-batches.
    """
    problem = study.problem(
        model,
        jetsons(CLUSTERS[cluster], mbit_per_s),
        Job(batch=batch, optimizer="momentum"),
        num_micro_batches=None if micro_batches == "own" else int(micro_batches),
    )
    others = answers(problem)
    mine = ours(problem, others, work_limit=WORK_LIMIT)
    case = {"model": model, "cluster": cluster, "mbit_per_s": mbit_per_s, "batch": batch}
    case |= {"micro_batches": micro_batches}
    if (batch, micro_batches) == WORK[1] and mine.plan is not None:
        study.plan(f"{model}_{problem.cluster.name}", mine.plan)
    found = {**others, "ours": mine}
    case |= {"compute_limit_samples_per_s": compute_limit(problem)}
    return [{**case, **row(name, one, batch)} for name, one in found.items()]


def compute_limit(problem: Problem) -> float:
    """Return the samples per second of all boards together, if links were free and boards never waited."""
    counts = problem.micro_batch_counts
    return sum(max(speeds(problem, problem.job.batch // n)[name] for n in counts) for name in problem.usable)


def row(name: str, answer: Solution, batch: int) -> dict[str, Any]:
    """Return what one planner's plan costs.

    Parameters
    ----------
    name
        Of the planner.
    answer
        Its.
    batch
        Samples of a step.
    """
    report, plan = answer.report, answer.plan
    none = {"planner": name, "samples_per_s": None, "why_none": why_none(answer)}
    if report is None or plan is None:
        return none
    stages = [stage for pipeline in plan.pipelines for stage in pipeline.stages]
    used = {device for stage in stages for device in share_devices(stage.shares)}
    return {
        **none,
        "samples_per_s": report.samples_per_s,
        "step_time_s": report.step_time_s,
        "bubble": report.bubble,
        "traffic_bytes": report.traffic_bytes,
        "peak_memory_bytes": report.peak_memory_bytes,
        "energy_j_per_sample": report.energy_j / batch,
        "devices": len(used),
        "stages": len(stages),
        "pipelines": len(plan.pipelines),
        "micro_batches_used": sum(pipeline.num_micro_batches for pipeline in plan.pipelines),
        "bound_samples_per_s": batch / answer.bound if name == "ours" and answer.bound else None,
        "is_proven": answer.status.name == "OPTIMAL" if name == "ours" else None,
    }
