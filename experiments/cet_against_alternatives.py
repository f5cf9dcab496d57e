"""Training together at home against one device, the cloud and federated learning: time, energy, bytes.

The comparison that arXiv 2404.17766 begins with, by one evaluator: the cloud is a device of lower trust
behind a slow link, to which raw samples, activations or weights go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from experiments.cases.far import (
    CLOUD,
    Judged,
    access_point,
    far_cluster,
    fastest,
    federated,
    in_cloud,
    moved,
    near_cluster,
    split_federated,
    split_with_cloud,
    switch,
)
from experiments.cases.protection import devices_of
from experiments.cases.regimes import boards_of
from experiments.frame.ours import literature, ours, why_none
from experiments.frame.study import Study
from experiments.frame.tables import markdown
from experiments.pages.alternatives_figures import alternatives_figure
from experiments.pages.alternatives_words import caption, findings
from solver.job import Job
from solver.problem import Problem
from solver.search.shares import speeds

MODELS = ("mobilenet_v2", "bert_base", "vit_b16")
HOMES = {"jetson_mixed": switch, "smart_home": access_point}
WAN_MBIT_PER_S = (5, 20, 100)
BATCH, WORK_LIMIT, EVERY = 32, 1000, (10, 100)
SHOWN = 5
"""Rate to the cloud of which plans are kept, Mbit/s."""
PLANNERS = ("single", "data_parallel", "pipeline_even", "asteroid", "asteroid_subsets", "dapple", "pipedream")
WAYS = (
    *("one device", "collaborative", "collaborative, least energy"),
    *("federated, 10 steps, at home", "federated, 10 steps, cloud", "federated, 100 steps, cloud"),
    *("split-federated, 10 steps", "split, one device and cloud", "cloud"),
)
RENTED = ("split-federated, 10 steps", "split, one device and cloud", "cloud")
"""Ways that compute in the cloud, whose idle power counts then; else only what it adds."""


def run(out: Path, *, quick: bool, jobs: int = 1) -> None:
    """Compare all ways for every home, model and link to the cloud.

    Parameters
    ----------
    out
        Where it writes.
    quick
        One home, one model and two links instead of all.
    jobs
        Cells made at the same time.
    """
    homes = ("jetson_mixed",) if quick else tuple(HOMES)
    models, rates = (("mobilenet_v2",), (5, 100)) if quick else (MODELS, WAN_MBIT_PER_S)
    asked = {"batch": BATCH, "optimizer": "adamw", "work_limit": WORK_LIMIT, "local_steps": EVERY}
    asked |= {"homes": homes, "models": models, "wan_mbit_per_s": rates}
    study = Study(out, __file__, quick=quick, jobs=jobs, asked=asked)
    cases = [(home, model, rate) for home in homes for model in models for rate in rates]
    cells = study.cells({f"{h} {m} {r}": partial(case_rows, study, h, m, r) for h, m, r in cases})
    rows = [row for cell in cells for row in cell]
    study.table("ways", rows, COLUMNS)
    for home in homes:
        study.figure(home, alternatives_figure([row for row in rows if row["home"] == home], WAYS))
    study.readme(*_words(rows, homes, quick=quick))


COLUMNS = (
    *("home", "model", "wan_mbit_per_s", "way", "fits", "why_not", "boards", "micro_batches", "s_per_sample"),
    *("home_j_per_sample", "cloud_j_per_sample", "total_j_per_sample", "left_bytes_per_sample"),
    *("raw_bytes_per_sample", "peak_mb"),
)


def case_rows(study: Study, home: str, model: str, wan: int) -> list[dict[str, Any]]:
    """Return a row for every way of training in one case.

    Parameters
    ----------
    study, home, model, wan
        The experiment, and which case.
    """
    boards, network, job = boards_of(home), HOMES[home](), Job(batch=BATCH, optimizer="adamw")
    far = study.problem(model, far_cluster(home, boards, network, wan), job)
    near = study.problem(model, near_cluster(f"{home}_alone", boards, network), job)
    rows = []
    for way, (found, why) in _ways(far, near).items():
        row = {"home": home, "model": model, "wan_mbit_per_s": wan, "way": way, "fits": found is not None}
        if found is None:
            rows.append({**row, "why_not": why})
            continue
        if wan == SHOWN:
            name = "".join(c if c.isalnum() else "_" for c in way)
            study.plan(f"{model}_{far.cluster.name}_{name}", found[0])
        rows.append({**row, **_figures(way, found)})
    return rows


def _ways(far: Problem, near: Problem) -> dict[str, tuple[Judged | None, str]]:
    """Return the best plan of every way, judged with the cloud in sight, or why there is none."""
    rate = speeds(near, 1)
    swift = max(rate, key=rate.__getitem__)
    found = literature(near, PLANNERS)
    quick = ours(near, found, work_limit=WORK_LIMIT)
    sparing = Problem(near.workload, near.cluster, near.job, "energy", **_refs(near))
    thrifty = ours(sparing, found, starts=[quick.plan] if quick.plan else [], work_limit=WORK_LIMIT)
    near_plans = {
        "one device": found["single"],
        "collaborative": quick,
        "collaborative, least energy": thrifty,
    }
    ways = {}
    for way, answer in near_plans.items():
        plan = answer.plan
        ways[way] = fastest(far, [moved(far, plan)]) if plan is not None else (None, why_none(answer))
    cuts = range(1, len(far.workload.order))
    ways |= {
        "federated, 10 steps, at home": fastest(far, federated(far, near, EVERY[0], swift)),
        "federated, 10 steps, cloud": fastest(far, federated(far, near, EVERY[0], CLOUD)),
        "federated, 100 steps, cloud": fastest(far, federated(far, near, EVERY[1], CLOUD)),
        "split-federated, 10 steps": fastest(far, split_federated(far, near, EVERY[0], cuts)),
        "split, one device and cloud": fastest(far, split_with_cloud(far, [swift])),
        "cloud": fastest(far, in_cloud(far)),
    }
    return {way: ways[way] for way in WAYS}


def _refs(problem: Problem) -> dict[str, Any]:
    return {"workload_ref": problem.workload_ref, "cluster_ref": problem.cluster_ref}


def _figures(way: str, found: Judged) -> dict[str, Any]:
    """Return what a sample costs."""
    plan, report = found
    samples = BATCH * report.program.num_steps
    parts = {name: part.total_j for name, part in report.energy.items()}
    cloud = report.energy[CLOUD]
    used = plan.sync.server == CLOUD or CLOUD in devices_of(plan)
    cloud_j = (cloud.total_j if way in RENTED else cloud.compute_j + cloud.radio_j) if used else 0.0
    home_j = sum(joules for name, joules in parts.items() if name != CLOUD)
    return {
        "why_not": "",
        "boards": len([name for name in devices_of(plan) if name != CLOUD]),
        "micro_batches": plan.pipelines[0].num_micro_batches,
        "s_per_sample": report.step_time_s / BATCH,
        "home_j_per_sample": home_j / samples,
        "cloud_j_per_sample": cloud_j / samples,
        "total_j_per_sample": (home_j + cloud_j) / samples,
        "left_bytes_per_sample": report.untrusted_bytes / samples,
        "raw_bytes_per_sample": report.raw_bytes / samples,
        "peak_mb": max(m.peak_bytes for name, m in report.memory.items() if name != CLOUD) / 1e6,
    }


def _words(rows: Sequence[Mapping[str, Any]], homes: Sequence[str], *, quick: bool) -> list[str]:
    heads = {"home": "home", "model": "model", "way": "way", "boards": "boards"}
    heads |= {"s_per_sample": "s a sample", "home_j_per_sample": "J a sample at home"}
    heads |= {"cloud_j_per_sample": "J in the cloud", "left_kb": "kB that leave, a sample"}
    heads |= {"raw_kb": "of them raw", "peak_mb": "fullest board, MB"}
    middle = sorted({row["wan_mbit_per_s"] for row in rows})[-2]
    shown = [
        {**row, **{f"{k}_kb": row[f"{k}_bytes_per_sample"] / 1e3 for k in ("left", "raw")}}
        for row in rows
        if row["wan_mbit_per_s"] == middle and row["fits"]
    ]
    missing = [f"{r['home']}, {r['model']}, {r['way']}: {r['why_not']}." for r in rows if not r["fits"]]
    return [
        ASKED,
        f"## Time, energy and bytes over {middle} Mbit/s to the cloud",
        markdown(shown, heads),
        *(f"![{home}]({home}.png)" for home in homes),
        caption(rows),
        "## What does not fit",
        "\n".join(f"- {line}" for line in dict.fromkeys(missing)) or "Everything fits.",
        *(() if quick else ("## What it says", findings(rows))),
    ]


ASKED = (
    "Where should a model be trained on data that lie at home? Four boards at home (four Jetson on a "
    "gigabit switch; two Raspberry Pi, a Nano and a laptop on an access point) own the data; a rented "
    "A100 of lower trust is reached over 5 to 100 Mbit/s, one transfer at a time, 20 ms away (rates and "
    "latency are ours, the card says what is estimated of the GPU). *cloud*: raw samples go up. *split*: "
    "the first blocks on the fastest board, the others in the cloud, best cut; activations go up. "
    "*federated*: the whole model on every board that gets a sample, weights averaged every 10 or 100 "
    "local steps, at home or in the cloud. *split-federated*: one client part a board. *collaborative*: "
    "`best` over the boards, begun from the literature. Batch 32, AdamW, fp32, best number of "
    "micro-batches for each. Boards that take no part are idle. The GPU's idle power counts where "
    "training runs on it; where it only averages, only what averaging adds. Bytes that leave are those "
    "that go to lower trust: raw, activations, weights. **Not the same work**: federated steps drift "
    "apart between two averages, so a sample teaches less than in the other ways, which all compute the "
    "same step; how much less is not measured here."
)
