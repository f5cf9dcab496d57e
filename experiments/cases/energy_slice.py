"""Cells of the energy case beside the sweep: more samples a step, and a slice that is run for real."""

from __future__ import annotations

from typing import Any

from experiments.cases.real_slice import real_slice
from experiments.cases.ways import OURS_WORK_LIMIT, WAYS, Boards, cluster_of, conventional, job_of
from experiments.frame.ours import ours
from experiments.frame.study import Study
from solver.job import Job

SLICE_NET, SLICE_BOARDS, SLICE_MBIT, SLICE_BATCH = "vit_digits", Boards("raspberry_pis"), 1000, 32
SWEEP_MODEL, SWEEP_BOARDS, SWEEP_MBIT = "bert_base", Boards("nano_x4"), 100


def batch_rows(study: Study, batch: int) -> list[dict[str, Any]]:
    """Return energy and bytes per sample of the four conventional ways at a batch size.

    Parameters
    ----------
    study
        Whose problems they are.
    batch
        Samples of a step.
    """
    cluster = cluster_of(SWEEP_BOARDS, SWEEP_MBIT)
    problem = study.problem(SWEEP_MODEL, cluster, job_of(SWEEP_MODEL, batch), objective="energy")
    rows = []
    for way in list(WAYS)[1:]:
        report = conventional(problem, way).report
        figures = (None, None) if report is None else (report.energy_j / batch, report.traffic_bytes / batch)
        names = ("energy_j_per_sample", "sent_bytes_per_sample")
        rows.append({"batch": batch, "way": way, **dict(zip(names, figures, strict=True))})
    return rows


def slice_rows(study: Study, *, quick: bool, steps: int) -> list[dict[str, Any]]:
    """Return predicted beside measured step time and energy of five ways of a small net.

    Parameters
    ----------
    study
        Where the plans are written.
    quick
        Two ways, fewer samples, two steps, and at most two runs of each.
    steps
        Training steps of each way.
    """
    cluster = cluster_of(SLICE_BOARDS, SLICE_MBIT)
    job = Job(batch=SLICE_BATCH // 4 if quick else SLICE_BATCH, optimizer="momentum")
    problem = study.problem(SLICE_NET, cluster, job)
    answers = {way: conventional(problem, way) for way in list(WAYS)[1:]}
    answers["hybrid"] = ours(problem, answers, work_limit=OURS_WORK_LIMIT)
    chosen = {way: answers[way] for way in ("pipeline", "hybrid")} if quick else answers
    plans = {way: answer.plan for way, answer in chosen.items() if answer.plan is not None}
    for way, plan in plans.items():
        study.plan(f"slice_{way}", plan)
    limits = {"steps": 2, "attempts": 2} if quick else {"steps": steps}
    return real_slice(plans, problem.workload, cluster, **limits)
