"""Which parallelism wins where, and what it costs to choose one family, or a rule of the literature, for all.

The second scheduling question of arXiv 2404.17766, parallelism design: single device, data, sequence,
tensor, pipeline, hybrid pipelines in mode data, and hybrid pipelines in any mode per stage, by time and by
energy, over models, bandwidth and memory; and how many micro-batches there are, and how many may be in
flight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from experiments.cases.any_mode import any_mode
from experiments.cases.edge_clusters import with_memory
from experiments.cases.families import FAMILIES, family_plans, scores
from experiments.cases.protection import devices_of
from experiments.cases.regimes import Network, boards_of, over
from experiments.frame.ours import literature, ours, why_none
from experiments.frame.study import Study
from experiments.frame.tables import markdown
from experiments.pages.design_figures import caps_figure, count_columns, map_figure
from experiments.pages.design_words import findings, two_datas
from models.cluster import Cluster
from solver.job import Job
from solver.plan import Plan
from solver.solve import solve

MODELS = ("mobilenet_v2", "bert_base", "gpt2")
CLUSTERS = ("nano_x4", "jetson_mixed")
MBIT_PER_S = (10, 30, 100, 300, 1000)
FEW_MBIT_PER_S = (10, 100, 1000)
"""Rates at which numbers of micro-batches are compared."""
MEMORY, TIGHT = (1.0, 0.5), ("nano_x4",)
"""Parts of the memory, and where less than all of it is tried: where the largest board is small."""
OBJECTIVES = ("time", "energy")
BATCH, WORK_LIMIT, EVALUATIONS = 16, 1000, 300
CHOICES = {
    "data": "eddl",
    "pipedream": "pipedream",
    "dapple": "dapple",
    "asteroid": "asteroid",
    "galaxy": "galaxy",
}
"""Planners of the literature; ``data`` is EDDL's."""
SHOWN = (30, 1000)
"""Rates of which plans are kept."""
TIE = 0.01
"""A simpler family wins if it is at most this much worse."""


def cluster(name: str, mbit: int, memory: float) -> Cluster:
    """Return the boards of a cluster on one switch, with a part of their memory."""
    boards = boards_of(name)
    boards = tuple(with_memory(list(boards), memory)) if memory < 1 else boards
    return over(boards, Network("switch", mbit), name if memory == 1 else f"{name}_memory_{memory:g}")


def run(out: Path, *, quick: bool, jobs: int = 1) -> None:
    """Plan by every family, and write the map, losses and what they say.

    Parameters
    ----------
    out
        Where it writes.
    quick
        One model, one cluster and two bandwidths instead of all.
    jobs
        Cells made at the same time.
    """
    models = ("mobilenet_v2",) if quick else MODELS
    clusters = ("nano_x4",) if quick else CLUSTERS
    rates, memory = ((30, 1000), (1.0,)) if quick else (MBIT_PER_S, MEMORY)
    asked = {"batch": BATCH, "optimizer": "adamw", "work_limit": WORK_LIMIT, "evaluations": EVALUATIONS}
    asked |= {"models": models, "clusters": clusters, "mbit_per_s": rates, "memory": memory}
    study = Study(out, __file__, quick=quick, jobs=jobs, asked=asked)
    parts = [(c, part) for c in clusters for part in memory if part == 1 or c in TIGHT]
    cases = [(m, c, part, rate) for m in models for c, part in parts for rate in rates]
    makes = {
        f"{m} {c} {part:g} {rate} {objective}": partial(design_row, study, m, c, part, rate, objective)
        for m, c, part, rate in cases
        for objective in OBJECTIVES
    }
    rows = study.cells(makes)
    few = [(m, c, rate) for m, c, part, rate in cases if part == 1 and (quick or rate in FEW_MBIT_PER_S)]
    caps = study.cells({f"caps {m} {c} {r}": partial(caps_row, study, m, c, r) for m, c, r in few})
    study.table("families", rows, COLUMNS)
    study.table(
        "micro_batches", caps, ("model", "cluster", "mbit_per_s", *count_columns(caps), "caps_free_s")
    )
    study.figure("map", map_figure(rows))
    study.figure("micro_batches", caps_figure(caps))
    study.readme(*_words(rows, caps, quick=quick))


COLUMNS = (
    *("model", "cluster", "memory", "mbit_per_s", "objective", "winner", *FAMILIES, "hybrid_proven"),
    *("winner_devices", "winner_micro_batches", *(f"lit_{choice}" for choice in CHOICES)),
    *(f"lit_{choice}_why" for choice in CHOICES),
)


def design_row(
    study: Study, model: str, name: str, memory: float, mbit: int, objective: str
) -> dict[str, Any]:
    """Return what every family and every planner reaches in one case.

    Parameters
    ----------
    study, model, name, memory, mbit, objective
        The experiment, and which case.
    """
    problem = study.problem(
        model, cluster(name, mbit, memory), Job(batch=BATCH, optimizer="adamw"), objective=objective
    )
    plans: dict[str, Plan | None] = family_plans(problem)
    others = literature(problem, CHOICES.values())
    starts = [
        plan
        for family, plan in plans.items()
        if plan is not None and family in ("single", "data", "pipeline")
    ]
    found = ours(problem, others_in_data(others), starts=starts, work_limit=WORK_LIMIT)
    plans["hybrid"] = found.plan
    every = [*plans.values(), *(one.plan for one in others.values())]
    plans["any_mode"] = any_mode(problem, [p for p in every if p is not None], evaluations=EVALUATIONS)
    score = scores(problem, plans)
    winner = winner_of(score)
    row: dict[str, Any] = {"model": model, "cluster": name, "memory": memory, "mbit_per_s": mbit}
    row |= {"objective": objective, "winner": winner, "hybrid_proven": found.status.name == "OPTIMAL"}
    row |= score
    row |= {f"lit_{choice}": others[solver].score for choice, solver in CHOICES.items()}
    row |= {f"lit_{choice}_why": _short(why_none(others[solver])) for choice, solver in CHOICES.items()}
    if winner:
        chosen = plans[winner]
        assert chosen is not None
        if mbit in SHOWN and memory == 1:
            study.plan(f"{model}_{problem.cluster.name}_{objective}", chosen)
        row |= {"winner_micro_batches": chosen.pipelines[0].num_micro_batches}
        row |= {"winner_devices": len(devices_of(chosen))}
    return row


def others_in_data(others: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers that are hybrid pipelines in mode data; Galaxy's are not."""
    return {name: one for name, one in others.items() if name != "galaxy"}


def _short(reason: str) -> str:
    return reason if len(reason) < 160 else reason[:157] + "..."


def winner_of(score: Mapping[str, float | None]) -> str | None:
    """Return the simplest family within one percent of the best; ``None`` if none fits.

    Parameters
    ----------
    score
        Family to what its best plan costs.
    """
    known = {family: value for family in FAMILIES if (value := score[family]) is not None}
    if not known:
        return None
    least = min(known.values())
    return next(family for family, value in known.items() if value <= least * (1 + TIE))


def caps_row(study: Study, model: str, name: str, mbit: int) -> dict[str, Any]:
    """Return step times of hybrid pipelines with every number of micro-batches, caps by rule and free.

    Parameters
    ----------
    study, model, name, mbit
        The experiment, and which case.
    """
    problem = study.problem(model, cluster(name, mbit, 1.0), Job(batch=BATCH, optimizer="adamw"))
    row: dict[str, Any] = {"model": model, "cluster": name, "mbit_per_s": mbit}
    plans: list[Plan] = []
    for count in problem.micro_batch_counts:
        fixed = replace(problem, num_micro_batches=count)
        found = ours(fixed, literature(fixed, ("single", "asteroid", "pipeline_even")), work_limit=WORK_LIMIT)
        row[f"micro_batches_{count}_s"] = found.score
        plans += [found.plan] if found.plan else []
    free = replace(problem, in_flight="free")
    found = ours(free, {"single": solve(problem, "single")}, starts=plans, work_limit=WORK_LIMIT)
    row["caps_free_s"] = found.score
    return row


def losses(rows: Sequence[Mapping[str, Any]], column: str) -> tuple[list[float], int]:
    """Return by how many percent a column is worse than the best of all families, and where it has no plan.

    Parameters
    ----------
    rows
        Of :func:`design_row`.
    column
        A family or a planner.
    """
    found, without = [], 0
    for row in rows:
        known = [row[family] for family in FAMILIES if row[family] is not None]
        if row[column] is None:
            without += bool(known)
        elif known:
            found.append(100 * (row[column] / min(known) - 1))
    return found, without


def loss_table(rows: Sequence[Mapping[str, Any]], rates: Sequence[int]) -> list[dict[str, Any]]:
    """Return mean loss of every family and planner by objective and bandwidth.

    Parameters
    ----------
    rows
        Of :func:`design_row`.
    rates
        Bandwidths, Mbit/s.
    """
    table = []
    for objective in OBJECTIVES:
        for column in (*FAMILIES, *(f"lit_{choice}" for choice in CHOICES)):
            mine = [row for row in rows if row["objective"] == objective]
            line: dict[str, Any] = {"objective": objective, "always": column.replace("lit_", "literature: ")}
            for rate in rates:
                here, _ = losses([row for row in mine if row["mbit_per_s"] == rate], column)
                line[str(rate)] = round(mean(here), 9) if here else None
            every, without = losses(mine, column)
            line |= {"worst": round(max(every), 9) if every else None, "no plan": f"{without} of {len(mine)}"}
            table.append(line)
    return table


def _words(rows: Sequence[Mapping[str, Any]], caps: Sequence[Mapping[str, Any]], *, quick: bool) -> list[str]:
    rates = tuple(dict.fromkeys(row["mbit_per_s"] for row in rows))
    table = loss_table(rows, rates)
    caps_heads = {"model": "model", "cluster": "cluster", "mbit_per_s": "Mbit/s"}
    caps_heads |= {name: f"{name.split('_')[2]}, s" for name in count_columns(caps)}
    caps_heads |= {"caps_free_s": "any number, caps free, s"}
    heads = {"objective": "objective", "always": "always"}
    heads |= {str(rate): f"{rate} Mbit/s, %" for rate in rates}
    heads |= {"worst": "worst, %", "no plan": "no plan"}
    return [
        ASKED,
        "## Loss of always choosing one family or planner, against the best of all families, %",
        "Mean over models, clusters and memory, where it has a plan.",
        markdown(table, heads),
        two_datas(rows),
        "## Which family wins where",
        "The simplest family within one percent of the best.",
        "![Families that win](map.png)",
        "## Micro-batches and caps",
        "Step times of hybrid pipelines: each number of micro-batches, and all of them with free caps.",
        markdown(caps, caps_heads),
        "![Loss by number of micro-batches](micro_batches.png)",
        "Means over models and clusters in which there is a plan, so not every line is of the same "
        "cases; the axis is linear to 10 % and logarithmic above.",
        *(() if quick else ("## What it says", findings(rows, caps, table))),
    ]


ASKED = (
    "Which parallelism should be designed? The best plan of every family on four Nano and on four unequal "
    "Jetson boards under a switch, with all of their memory and, on the Nano, half of it; batch 16, "
    "AdamW, fp32, all micro-batch counts. *single* and *pipeline* are exact over boards, orders, cuts and "
    "micro-batches; *data*, *sequence* and *tensor* take every subset of the boards, shares by speed; "
    "*hybrid* is `best` (groups in mode data); *any_mode* goes down from all of these and the "
    "literature's plans by changing modes, joining stages and moving boundaries, a heuristic. Energy is "
    "of whole boards, those left out idle."
)
