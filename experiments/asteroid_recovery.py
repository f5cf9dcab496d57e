"""How fast training goes on when a device is lost: a light local repair, a new plan, or a restart."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from experiments.cases.jetsons import CLUSTERS, jetsons
from experiments.cases.recovery import PERIODS, Lost, rows, ways
from experiments.cases.recovery_real import real_rows
from experiments.frame.study import Study
from experiments.pages.recovery_page import figures, page
from solver.job import Job
from solver.plan import share_devices
from solver.repair.backups import protected
from solver.solve import solve

MODELS = ("efficientnet_b1", "mobilenet_v2", "resnet50", "bert_small")
BOARDS = ("4 nano", "1 nx, 1 tx2, 3 nano")
RATES_MBIT = (100, 1000)
BATCH, MICRO_BATCHES = 64, 8
WORK_LIMIT = 100_000


def run(out: Path, *, quick: bool, jobs: int = 1) -> None:
    """Write what each way costs for the loss of every device, and what real runs measure.

    Parameters
    ----------
    out
        Folder of the result.
    quick
        One model, one cluster, and one real loss.
    jobs
        Processes.
    """
    models = MODELS[1:2] if quick else MODELS
    clusters = BOARDS[1:] if quick else BOARDS
    asked = {"models": models, "clusters": clusters, "mbit_per_s": RATES_MBIT, "periods_steps": PERIODS}
    words = {
        "batch": BATCH,
        "micro_batches": MICRO_BATCHES,
        "optimizer": "momentum",
        "work_limit": WORK_LIMIT,
    }
    study = Study(out, __file__, quick=quick, jobs=jobs, asked={**asked, **words})
    cells = {
        f"{model} {cluster} {mbit}": partial(cell, study, model, cluster, mbit)
        for model in models
        for cluster in clusters
        for mbit in RATES_MBIT
    }
    found = [row for part in study.cells(cells) for row in part]
    study.table("losses", found)
    real = study.cell("real", partial(real_rows, quick=quick))
    study.table("measured_runs", real)
    figures(study, found)
    page(study, found, real)


def cell(study: Study, model: str, cluster: str, mbit_per_s: int) -> list[dict[str, Any]]:
    """Return the rows of the loss of every device of Asteroid's plan in one case.

    Parameters
    ----------
    study
        Where the plan is written.
    model, cluster, mbit_per_s
        The case.
    """
    problem = study.problem(
        model,
        jetsons(CLUSTERS[cluster], mbit_per_s),
        Job(batch=BATCH, optimizer="momentum"),
        num_micro_batches=MICRO_BATCHES,
    )
    chosen = solve(problem, "asteroid", work_limit=WORK_LIMIT).plan
    assert chosen is not None, "Asteroid's planner has a plan in all of these cases"
    plan = protected(chosen, problem.workload, problem.cluster)
    study.plan(f"{model}_{problem.cluster.name}", plan)
    used = {name for stage in plan.pipelines[0].stages for name in share_devices(stage.shares)}
    case = {"model": model, "cluster": cluster, "mbit_per_s": mbit_per_s}
    losses = [Lost(problem, plan, name) for name in problem.usable if name in used]
    return [{**case, **row} for lost in losses for row in rows(lost, ways(lost))]
