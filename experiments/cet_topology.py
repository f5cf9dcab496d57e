"""What it costs to put devices in the wrong order along a model, and to join them by the wrong ring or star.

The third scheduling question of arXiv 2404.17766, device-topology arrangement, for all devices of a cluster:
every order is planned for, as a pipeline of single devices (all cuts, exact) and by Asteroid's programme for
hybrid pipelines, which knows one order, most memory first. The optimum may leave devices out and group any.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

from experiments.cases.collectives import chosen_ring, nearest_rings, rings, stars
from experiments.cases.orders import Placed, hybrids, pipelines, ruled
from experiments.cases.regimes import Network, boards_of, over
from experiments.frame.ours import literature, ours
from experiments.frame.study import Study
from experiments.frame.tables import markdown
from experiments.pages.topology_figures import orders_figure, sync_figure
from experiments.pages.topology_words import findings
from models.cluster import Device
from solver.job import Job
from solver.problem import Problem
from solver.report import Report
from solver.solve import solve

BATCH = {"mobilenet_v2": 32, "bert_base": 16, "gpt2": 16}
MICRO_BATCHES, WORK_LIMIT = 4, 1000
NETWORKS = (
    *(Network("switch", 1000), Network("switch", 100), Network("shared", 300), Network("shared", 100)),
    *(Network("rooms", 100), Network("rooms", 30), *(Network("mixed", seed) for seed in (1, 2, 3))),
)
PLANNERS = ("single", "data_parallel", "pipeline_even", "asteroid", "asteroid_subsets", "dapple", "pipedream")
FAMILIES: dict[str, Callable[[Problem], Iterator[Placed]]] = {"pipeline": pipelines, "hybrid": hybrids}
RULES = ("memory_sorted", "fast_first", "slow_first", "as_listed")


SHOWN = (("mobilenet_v2", "four"), ("bert_base", "five"))
"""Cases whose plans are kept."""
COLUMNS = (
    *("workload", "boards", "network", "family", "orders", "orders_fit", "best_order", "best_order_s"),
    *(f"{rule}_s" for rule in RULES),
    *(f"{rule}_loss_percent" for rule in (*RULES, "median", "worst")),
    *("best_order_link_s", "memory_sorted_link_s", "best_order_j", "memory_sorted_j"),
    *("best_plan_s", "best_plan_bound_s", "best_plan_proven", "best_plan_devices"),
)
SYNC_COLUMNS = (
    *("boards", "network", "rings", "ring_ours_s", "ring_best_s", "ring_worst_s"),
    *("ring_nearest_s", "ring_nearest_worst_s", "star_best_s", "star_worst_s", "star_best_server"),
    *("ring_ours_sync_s", "ring_nearest_sync_s", "ring_ours"),
)


def boards(name: str) -> tuple[Device, ...]:
    """Return four Jetson boards, or the five unequal boards of the two rooms."""
    if name == "four":
        return boards_of("jetson_mixed")
    return tuple(board for board in boards_of("two_rooms") if board.name != "nano1")


def run(out: Path, *, quick: bool, jobs: int = 1) -> None:
    """Plan for every order, workload and network; write tables, plans, figures and what they say.

    Parameters
    ----------
    out
        Where it writes.
    quick
        Four boards, one workload and four networks instead of all.
    jobs
        Cells made at the same time.
    """
    workloads = ("mobilenet_v2",) if quick else tuple(BATCH)
    sets = ("four",) if quick else ("four", "five")
    networks = (NETWORKS[0], NETWORKS[3], NETWORKS[4], NETWORKS[6]) if quick else NETWORKS
    asked = {"batch": BATCH, "micro_batches": MICRO_BATCHES, "work_limit": WORK_LIMIT, "optimizer": "adamw"}
    asked |= {"workloads": workloads, "boards": sets, "networks": [network.name for network in networks]}
    study = Study(out, __file__, quick=quick, jobs=jobs, asked=asked)
    cases = [(w, b, n) for w in workloads for b in sets for n in networks]
    cells = study.cells({f"order {w} {b}_{n.name}": partial(order_rows, study, w, b, n) for w, b, n in cases})
    rows = [row for cell in cells for row in cell]
    synced = [(b, n) for b in sets for n in networks]
    sync = study.cells({f"sync {b}_{n.name}": partial(sync_row, study, b, n) for b, n in synced})
    study.table("orders", rows, COLUMNS)
    study.table("sync", sync, SYNC_COLUMNS)
    kinds = tuple(dict.fromkeys(kind_of(row) for row in rows))
    study.figure("orders", orders_figure(rows, kinds, RULES, kind_of))
    study.figure("sync", sync_figure(sync))
    study.readme(*_words(rows, sync, kinds, quick))


def kind_of(row: Mapping[str, Any]) -> str:
    """Return the regime a network belongs to: drawn ones count together."""
    return "mixed" if row["network"].startswith("mixed") else str(row["network"])


def order_rows(study: Study, workload: str, name: str, network: Network) -> list[dict[str, Any]]:
    """Return a row for each family of plans: the best order, the rules' orders, the spread of all.

    Parameters
    ----------
    study, workload, name, network
        The experiment, and which case.
    """
    cluster = over(boards(name), network, name)
    job = Job(batch=BATCH[workload], optimizer="adamw")
    problem = study.problem(workload, cluster, job, num_micro_batches=MICRO_BATCHES)
    known = {family: {one.order: one for one in make(problem)} for family, make in FAMILIES.items()}
    starts = [least(placed.values()).plan for placed in known.values()]
    found = literature(problem, PLANNERS)
    best = ours(problem, found, starts=[p for p in starts if p is not None], work_limit=WORK_LIMIT)
    case = f"{workload}_{cluster.name}"
    assert best.plan is not None and best.score is not None, case
    if (workload, name) in SHOWN:
        study.plan(f"{case}_best", best.plan)
        _keep_plans(study, problem, case, known)
    head = {"workload": workload, "boards": name, "network": network.name}
    tail = {
        "best_plan_s": best.score,
        "best_plan_bound_s": best.bound,
        "best_plan_proven": best.status.name == "OPTIMAL" and not best.space.others,
        "best_plan_devices": len(used(best.plan)),
    }
    return [
        {**head, "family": family, **_of_orders(problem, placed), **tail} for family, placed in known.items()
    ]


def _keep_plans(
    study: Study, problem: Problem, case: str, known: Mapping[str, Mapping[tuple[str, ...], Placed]]
) -> None:
    """Write the plans of the best order and of Asteroid's rule, of every family."""
    rule = ruled(problem)["memory_sorted"]
    for family, placed in known.items():
        for word, one in (("best_order", least(placed.values())), ("memory_sorted", placed[rule])):
            if one.plan is not None:
                study.plan(f"{case}_{family}_{word}", one.plan)


def used(plan: Any) -> set[str]:
    """Return the devices that are in a stage of a plan of hybrid pipelines."""
    return {name for pipeline in plan.pipelines for stage in pipeline.stages for name in stage.shares}


def least(placed: Any) -> Placed:
    """Return the order with the shortest step, the first of equal ones."""
    return min(placed, key=lambda one: one.step_time_s)


def _of_orders(problem: Problem, placed: Mapping[tuple[str, ...], Placed]) -> dict[str, Any]:
    """Return what the orders of one family cost."""
    best, by_rule = least(placed.values()), {rule: placed[order] for rule, order in ruled(problem).items()}
    if best.plan is None or best.report is None:
        return {"orders": len(placed), "orders_fit": 0}
    times = [one.step_time_s for one in placed.values() if math.isfinite(one.step_time_s)]
    losses = [loss_percent(time, best.step_time_s) for time in times]
    row: dict[str, Any] = {
        "orders": len(placed),
        "orders_fit": len(times),
        "best_order": " ".join(best.order),
    }
    row |= {"best_order_s": best.step_time_s}
    row |= {f"{rule}_s": _or_none(one.step_time_s) for rule, one in by_rule.items()}
    row |= {
        f"{rule}_loss_percent": _or_none(loss_percent(one.step_time_s, best.step_time_s))
        for rule, one in by_rule.items()
    }
    row |= {"median_loss_percent": median(losses), "worst_loss_percent": max(losses)}
    for rule, one in (("best_order", best), ("memory_sorted", by_rule["memory_sorted"])):
        row |= {f"{rule}_link_s": link_s(problem, one.report), f"{rule}_j": energy(one.report)}
    return {**row, "losses": losses}


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def loss_percent(time_s: float, least_s: float) -> float:
    """Return what a step takes more than the least one, percent; rounding noise is none."""
    return round(100 * (time_s / least_s - 1), 9)


def energy(report: Report | None) -> float | None:
    """Return the energy of a step, joule; ``None`` without a plan."""
    return None if report is None else report.energy_j


def link_s(problem: Problem, report: Report | None) -> float | None:
    """Return for how long the bytes of a step keep links busy, one after the other, seconds.

    Parameters
    ----------
    problem, report
        The network, and what a plan costs.
    """
    if report is None:
        return None
    rate = problem.cluster.link
    return sum(size / rate(a, b).bytes_per_s for (a, b), size in report.traffic.items())


def sync_row(study: Study, name: str, network: Network) -> dict[str, Any]:
    """Return what rings and stars cost a data-parallel step of MobileNetV2 on all boards.

    Parameters
    ----------
    study, name, network
        The experiment, and which case.
    """
    job = Job(batch=BATCH["mobilenet_v2"], optimizer="adamw")
    cluster = over(boards(name), network, name)
    problem = study.problem("mobilenet_v2", cluster, job, num_micro_batches=1)
    plan = solve(problem, "data_parallel").plan
    assert plan is not None, f"data parallelism fits on {name}"
    nearest, mine = list(nearest_rings(problem, plan)), chosen_ring(problem, plan)
    joined = sorted(rings(problem, plan), key=lambda one: one.step_time_s)
    star = sorted(stars(problem, plan), key=lambda one: one.step_time_s)
    study.plan(f"sync_{cluster.name}_ring", mine.plan)
    study.plan(f"sync_{cluster.name}_star", star[0].plan)
    return {
        "boards": name,
        "network": network.name,
        "rings": len(joined),
        "ring_ours_s": mine.step_time_s,
        "ring_best_s": joined[0].step_time_s,
        "ring_worst_s": joined[-1].step_time_s,
        "ring_nearest_s": nearest[0].step_time_s,
        "ring_nearest_worst_s": max(one.step_time_s for one in nearest),
        "star_best_s": star[0].step_time_s,
        "star_worst_s": star[-1].step_time_s,
        "star_best_server": star[0].first,
        "ring_ours_sync_s": mine.sync_s,
        "ring_nearest_sync_s": nearest[0].sync_s,
        "ring_ours": " ".join(mine.ring),
    }


def _words(
    rows: Sequence[Mapping[str, Any]], sync: Sequence[Mapping[str, Any]], kinds: Sequence[str], quick: bool
) -> list[str]:
    """Return the README's parts."""
    heads = {"family": "family", "network": "network", "cases": "cases"}
    heads |= {rule: f"{rule.replace('_', ' ')}, %" for rule in (*RULES, "median", "worst")}
    heads |= {"beyond": "best order over best plan, %", "proven": "best plan proven"}
    losses = [summary(rows, family, kind) for family in FAMILIES for kind in kinds]
    columns = {"boards": "boards", "network": "network", "rings": "rings"}
    columns |= {"ring_ours_s": "ring, ours, s", "ring_best_s": "best of all, s", "ring_worst_s": "worst, s"}
    columns |= {"ring_nearest_s": "nearest next, s", "ring_nearest_worst_s": "nearest next, worst first, s"}
    columns |= {"star_best_s": "star, best centre, s", "star_worst_s": "star, worst centre, s"}
    columns |= {"ring_ours_sync_s": "reduction, ours, s", "ring_nearest_sync_s": "nearest next, s "}
    return [
        ASKED,
        "## Step time lost against the best order of all devices, %",
        "Mean over workloads and boards. `median` and `worst` are over all orders of one case; shown is "
        "their mean over cases.",
        markdown(losses, heads),
        "![Time lost by orders](orders.png)",
        "Boxes: all orders of all cases, from the best to the worst; marks: means of the rules. The axis is "
        "linear to 10 % and logarithmic above. The orders of all cases are pooled, so five boards, with 120 "
        "orders, weigh more than four, with 24, and the line in a box is not the table's `median`.",
        "## Rings and stars of a data-parallel step of MobileNetV2",
        "Every ring of all boards by the evaluator (*best of all*, *worst*), the one we choose (*ours*), "
        "and what a plan gets that names none: it begins with the first board that is listed and goes on to "
        "the nearest that is left (*nearest next*; *worst first*: listed in the worst order). Seconds of a "
        "step, and in the last two columns of its reduction alone.",
        markdown(sync, columns),
        "![Rings and stars](sync.png)",
        *(() if quick else ("## What it says", findings(rows, losses, sync))),
    ]


ASKED = (
    "Which device takes which part of the model, when all devices of a cluster take part? Four Jetson "
    "boards, and five unequal boards of two rooms, under one switch, one access point (one transfer at a "
    "time), two rooms with a slow bridge, and links that differ by pair (50 to 1000 Mbit/s, three draws). "
    "*pipeline*: one device a stage, every order with every cut, scored by the evaluator. *hybrid*: "
    "Asteroid's dynamic programme run for every order; published it knows one, most memory first. *best "
    "plan*: `best`, begun from all of these, which may leave devices out, group any of them and choose their "
    "rings; *proven*: no hybrid pipeline is better, over unequal links none whose rings join each board to "
    "its nearest. AdamW, fp32, 4 micro-batches."
)


def summary(rows: Sequence[Mapping[str, Any]], family: str, kind: str) -> dict[str, Any]:
    """Return mean losses of a family of plans under a kind of network.

    Parameters
    ----------
    rows
        Of :func:`order_rows`.
    family, kind
        Which of them.
    """
    mine = [row for row in rows if row["family"] == family and kind_of(row) == kind and row["orders_fit"]]
    found: dict[str, Any] = {"family": family, "network": kind, "cases": len(mine)}
    for rule in (*RULES, "median", "worst"):
        values = [row[f"{rule}_loss_percent"] for row in mine]
        found[rule] = mean(v for v in values if v is not None) if any(v is not None for v in values) else None
    found["beyond"] = (
        mean(100 * (row["best_order_s"] / row["best_plan_s"] - 1) for row in mine) if mine else None
    )
    found["proven"] = f"{sum(row['best_plan_proven'] for row in mine)} of {len(mine)}"
    return found
