"""The ways to share a model out: one board, the four conventional parallelisms, and the best hybrid.

The four conventional ways use every board. Shares of data, sequence and tensor parallelism follow the boards'
speed; the pipeline is the better of the one cut by operations and the one cut by time. Each takes its best
micro-batch count. A single board and the hybrid may leave boards out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from experiments.cases.regimes import Network, over
from experiments.frame.cells import Make
from experiments.frame.ours import HYBRIDS, WORK_LIMIT, literature, ours, score_of
from experiments.frame.study import Study
from models import catalog as models
from models.cluster import Cluster, Device
from solver import catalog
from solver.costs import Costs
from solver.errors import DeclinedError
from solver.evaluate import Known, evaluate
from solver.job import Job
from solver.plan import Plan
from solver.problem import Problem
from solver.report import Report
from solver.search.incumbent import Interrupted, Search
from solver.status import Solution

WAYS: dict[str, tuple[str, ...]] = {
    "single": ("single",),
    "data": ("data_parallel",),
    "sequence": ("sequence_parallel",),
    "tensor": ("tensor_parallel",),
    "pipeline": ("pipeline_even", "pipeline_balanced"),
}
"""Every way but the hybrid, and its solvers."""
PLANNERS = (*(solver for solvers in WAYS.values() for solver in solvers), *HYBRIDS)
OBJECTIVES = ("time", "energy")
OURS_WORK_LIMIT = 300


class Boards(NamedTuple):
    """Boards in one setting of their power modes.

    Parameters
    ----------
    cluster
        Catalogue name.
    modes
        ``own``: as the cluster's file says; ``lowest``: every board in its mode of least power.
    """

    cluster: str
    modes: str = "own"


def cluster_of(boards: Boards, mbit_per_s: int) -> Cluster:
    """Return boards in their power modes behind a switch of some rate.

    Parameters
    ----------
    boards
        Which.
    mbit_per_s
        Rate of the switch.
    """
    own = models.cluster(boards.cluster).devices
    chosen = tuple(_lowest(board) for board in own) if boards.modes == "lowest" else own
    return over(chosen, Network("switch", mbit_per_s), f"{boards.cluster}_{boards.modes}")


def _lowest(board: Device) -> Device:
    """Return a board in its mode of least power when it computes."""
    modes = {name: mode.busy_w.value for name, mode in board.power_modes.items()}
    return board.in_mode(min(modes, key=lambda name: modes[name]) if modes else None)


def job_of(model: str, batch: int) -> Job:
    """Return the job: AdamW on all weights in fp32; adapters of rank 8 in fp16 for Llama-2-7B.

    Parameters
    ----------
    model
        Workload of the catalogue.
    batch
        Samples of a step.
    """
    if model.startswith("llama"):
        return Job(batch=batch, optimizer="adamw", precision="fp16", tune="lora", lora_rank=8)
    return Job(batch=batch, optimizer="adamw")


def whole_bytes(model: str) -> int:
    """Return the bytes of weights, gradients and optimizer states of a whole model under its job.

    Parameters
    ----------
    model
        Workload of the catalogue.
    """
    workload = models.workload(model)
    costs = Costs(workload, job_of(model, 1))
    blocks = [costs.block(name) for name in workload.order]
    return sum(one.weight_bytes + one.trained_bytes + costs.state_bytes(one.trained_bytes) for one in blocks)


def case_cells(
    study: Study, models_: tuple[str, ...], every: tuple[Boards, ...], mbits: tuple[int, ...], batch: int
) -> dict[str, Make]:
    """Return what makes each case: a model on boards behind a switch of some rate.

    Parameters
    ----------
    study
        Where plans are written.
    models_, every, mbits
        Workloads, boards and rates.
    batch
        Samples of a step.
    """
    return {
        f"{model}@{boards.cluster}_{boards.modes}_{mbit}": partial(case, study, model, boards, mbit, batch)
        for boards in every
        for model in models_
        for mbit in mbits
    }


def case(study: Study, model: str, boards: Boards, mbit_per_s: int, batch: int) -> list[dict[str, Any]]:
    """Return the rows of a case: every way under both objectives.

    Parameters
    ----------
    study, model, boards, mbit_per_s, batch
        As in :func:`case_cells`.

    Raises
    ------
    WorseError
        If our plan is worse than that of any way or planner.
    """
    where = {"model": model, **boards._asdict(), "mbit_per_s": mbit_per_s, "batch": batch}
    first = study.problem(model, cluster_of(boards, mbit_per_s), job_of(model, batch))
    rows: list[dict[str, Any]] = []
    starts: list[Plan] = []
    known = Known()
    for objective in OBJECTIVES:
        problem = replace(first, objective=objective)
        others = literature(problem, PLANNERS, known=known)
        ways = {way: conventional(problem, way, known) for way in WAYS}
        others |= {way: answer for way, answer in ways.items()}
        mine = ours(problem, others, starts=starts, work_limit=OURS_WORK_LIMIT, known=known)
        starts += [mine.plan] if mine.plan is not None else []
        for way, answer in {**ways, "hybrid": mine}.items():
            rows.append({**where, "objective": objective, "way": way, **figures(problem, way, answer)})
            shown = mbit_per_s == 100 and (way == "hybrid" or (objective, boards.modes) == ("energy", "own"))
            if shown and answer.plan is not None:
                study.plan(f"{model}_{boards.cluster}_{boards.modes}_{objective}_{way}", answer.plan)
        rows[-1] |= _beside(problem, mine, others)
    return rows


def conventional(problem: Problem, way: str, known: Known | None = None) -> Solution:
    """Return the best answer of a way; all but the single board must use every board.

    Parameters
    ----------
    problem
        What is decided.
    way
        A key of ``WAYS``.
    known
        What plans cost that were judged before on the same workload and cluster.
    """
    found = literature(replace(problem, all_take_part=way != "single"), WAYS[way], known=known)
    fit = [answer for answer in found.values() if answer.score is not None]
    return min(fit, key=lambda one: float(one.score or 0), default=found[WAYS[way][0]])


def figures(problem: Problem, way: str, answer: Solution) -> dict[str, Any]:
    """Return what a way costs per sample, or by how much its nearest plan does not fit.

    Parameters
    ----------
    problem
        What is decided.
    way
        A key of ``WAYS``, or ``hybrid``.
    answer
        Its answer.
    """
    if answer.plan is None or answer.report is None:
        found = [report for solver in WAYS.get(way, ()) if (report := _nearest(problem, solver))]
        excess = min((_excess(report) for report in found), key=lambda one: one["over_bytes"], default={})
        return {"fits": False, "solver": answer.solver, **excess, "why": "" if found else answer.reason}
    report, samples = answer.report, problem.job.batch
    parts = report.energy.values()
    alone = answer.plan.model_copy(update={"left_out": "off"})
    return {
        "fits": True,
        "solver": answer.solver,
        "num_devices": len(report.utilisation),
        "micro_batches": answer.plan.pipelines[0].num_micro_batches,
        "time_s_per_sample": report.step_time_s / samples,
        "energy_j_per_sample": report.energy_j / samples,
        "idle_j_per_sample": sum(part.idle_j for part in parts) / samples,
        "compute_j_per_sample": sum(part.compute_j for part in parts) / samples,
        "radio_j_per_sample": sum(part.radio_j for part in parts) / samples,
        "participants_j_per_sample": evaluate(alone, problem.workload, problem.cluster).energy_j / samples,
        "sent_bytes_per_sample": report.traffic_bytes / samples,
        "bubble": report.bubble,
        **_tightest(report),
        "over_bytes": None,
        "bound": None if answer.bound is None else answer.bound / samples,
        "status": answer.status.name,
    }


def _tightest(report: Report) -> dict[str, Any]:
    """Return the device whose memory is fullest, its peak and its limit."""
    name, part = max(report.memory.items(), key=lambda item: item[1].peak_bytes / item[1].limit_bytes)
    return {"fullest": name, "peak_bytes": part.peak_bytes, "limit_bytes": part.limit_bytes}


def _excess(report: Report) -> dict[str, Any]:
    broken = max(report.violations, key=lambda one: one.given - one.allowed)
    return {
        "micro_batches": report.program.num_micro_batches,
        "fullest": broken.where,
        "peak_bytes": int(broken.given),
        "limit_bytes": int(broken.allowed),
        "over_bytes": int(broken.given - broken.allowed),
        "status": "does not fit" if broken.limit == "memory" else broken.limit,
    }


def _nearest(problem: Problem, solver: str) -> Report | None:
    """Return the plan of least excess that a solver offers."""
    search = Search(problem, work_limit=WORK_LIMIT)
    with contextlib.suppress(DeclinedError, Interrupted):
        catalog.load(solver)[1](problem, search)
    return search.nearest


def _beside(problem: Problem, mine: Solution, others: Mapping[str, Solution]) -> dict[str, Any]:
    """Return the best other planner of a case, and the part of its figure that our plan saves."""
    scores = {name: one.score for name, one in others.items() if one.score is not None}
    if not scores or mine.score is None:
        return {}
    name = min(scores, key=lambda name: scores[name])
    assert mine.plan is not None
    score = score_of(problem, mine.plan)
    assert score is not None
    return {"best_other": name, "saved_of_best_other": max(0.0, 1 - score / scores[name])}
