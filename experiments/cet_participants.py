"""Who should take part in training, what it costs to choose by a simple rule, and what each board is worth.

The first scheduling question of arXiv 2404.17766, participant selection, for whole clusters: every group of
boards is planned for, each board of the group with a part of the work. A rule's loss is how much worse the
best plan of its group is than the best of all groups. Boards that are left out idle, or are switched off.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from experiments.cases.groups import (
    BEST_WORK,
    GROUP_WORK,
    PAPERS,
    RULES,
    evidence,
    loss_percent,
    optimum,
    planned,
    random_groups,
    worths,
)
from experiments.cases.regimes import Network, over
from experiments.frame.study import Study
from experiments.pages.participants_figures import loss_figure, worth_figure
from experiments.pages.participants_words import words
from models import catalog
from models.cluster import Cluster, Device
from solver.job import Job

BATCH = {"bert_base": 16, "mobilenet_v2": 32}
CLUSTERS = (
    *("nano_x4_100m", "jetson_mixed", "jetson_mixed_100m", "smart_home", "smart_home_100m"),
    *("two_rooms", "drawer"),
)
REGIMES = (("time", "idle"), ("energy", "idle"), ("energy", "off"))
"""Objective, and what left-out boards do; the step time does not depend on the latter."""
DRAWER = {
    "jetson_nano": ("nano0", "nano1", "nano2"),
    "jetson_tx2": ("tx2_0", "tx2_1", "tx2_2"),
    "jetson_xavier_nx": ("nx",),
    "jetson_orin_nano": ("orin_nano",),
}
"""Eight boards on one switch of 100 Mbit/s: devices of the catalogue, and their names."""
LOSSES = (*RULES, *PAPERS)
EVIDENCE = ("megabytes", "idle_energy_percent", "busy_percent")
COLUMNS = (
    *("workload", "cluster", "objective", "left_out", "boards", "groups"),
    *("optimum", "step_time_s", "energy_j", "takes_part", "chosen"),
    *(f"{whose}_{what}" for whose in ("optimum", "all") for what in EVIDENCE),
    *(f"{rule}_percent" for rule in LOSSES),
    *("random_half_percent", "random_half_least_percent", "random_half_most_percent", "random_half_no_plan"),
    *(f"{paper}_own_percent" for paper in PAPERS),
)


def run(out: Path, *, quick: bool, jobs: int = 1) -> None:
    """Plan for every group, and write tables, plans, figures and what they say.

    Parameters
    ----------
    out
        Where it writes.
    quick
        Two clusters and one workload instead of all.
    jobs
        Cells made at the same time.
    """
    clusters = ("nano_x4_100m", "jetson_mixed_100m") if quick else CLUSTERS
    workloads = ("mobilenet_v2",) if quick else tuple(BATCH)
    asked = {"batch": BATCH, "optimizer": "sgd", "workloads": workloads, "clusters": clusters}
    asked |= {"regimes": REGIMES, "group_work": GROUP_WORK, "best_work": BEST_WORK}
    study = Study(out, __file__, quick=quick, jobs=jobs, asked=asked)
    cases = [(w, c, o, left) for w in workloads for c in clusters for o, left in REGIMES]
    cells = study.cells({" ".join(case): partial(cell, study, *case) for case in cases})
    rows = [one["row"] for one in cells]
    worth = [row for one in cells for row in one["worth"]]
    study.table("participants", rows, COLUMNS)
    study.table("worth", worth)
    study.figure("losses", loss_figure(rows))
    study.figure("worth", worth_figure(worth, clusters[-2:], workloads[0]))
    study.readme(*words(rows, worth, LOSSES, clusters[-2:], workloads[0]))


def cell(study: Study, workload: str, name: str, objective: str, left_out: str) -> dict[str, Any]:
    """Return what rules lose in one case, and what its boards are worth.

    Parameters
    ----------
    study, workload, name, objective, left_out
        The experiment, and which case.
    """
    job = Job(batch=BATCH[workload], optimizer="sgd")
    problem = study.problem(workload, cluster(name), job, objective=objective, left_out=left_out)
    coalitions, chosen, own = planned(problem)
    best = optimum(coalitions)
    head = {"workload": workload, "cluster": name, "objective": objective, "left_out": left_out}
    losses = {f"{rule}_percent": loss_percent(coalitions, chosen[rule]) for rule in LOSSES}
    assert all(loss is None or loss >= -1e-9 for loss in losses.values()), f"{head}: a rule beats the optimum"
    study.plan(f"{workload}_{name}_{objective}_{left_out}", best.plan)
    row: dict[str, Any] = {
        **head,
        "boards": len(problem.usable),
        "groups": len(coalitions.asked),
        "optimum": best.score,
        "step_time_s": best.report.step_time_s,
        "energy_j": best.report.energy_j,
        "takes_part": len(best.participants),
        "chosen": " ".join(device for device in problem.usable if device in best.participants),
        **evidence("optimum", best),
        **evidence("all", coalitions.known.get(coalitions.size)),
        **losses,
        **random_groups(coalitions, (len(problem.usable) + 1) // 2),
        **{f"{paper}_own_percent": _loss(own, paper, best.score) for paper in PAPERS},
    }
    return {"row": row, "worth": [{**head, **one} for one in worths(coalitions)]}


def _loss(own: Mapping[str, float], paper: str, best: float) -> float | None:
    return 100 * (own[paper] / best - 1) if paper in own else None


def cluster(name: str) -> Cluster:
    """Return a cluster of the catalogue, or the drawer of eight boards."""
    if name != "drawer":
        return catalog.cluster(name)
    boards: list[Device] = []
    for card, names in DRAWER.items():
        boards += [catalog.device(card).model_copy(update={"name": one}) for one in names]
    return over(boards, Network("switch", 100), name)
