"""What being ready for the loss of a device costs, what the loss costs, and which way keeps most training.

The fourth scheduling question of arXiv 2404.17766, fault tolerance: checkpoints and restart, copies on
neighbours, replicas in the plan, or one board only; light repair, full re-plan or restart; by how often
devices fail. A small part is run for real: boards that are killed while they train.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from experiments.cases.killed import killed_row
from experiments.cases.outages import AWAY_S, START_S, Outage, best_every, kept, repaired, restarted
from experiments.cases.protection import Ready, pool, with_checkpoints, with_copies, with_replicas
from experiments.cases.regimes import Network, boards_of, over
from experiments.frame.ours import literature, ours
from experiments.frame.study import Study
from experiments.frame.tables import markdown
from experiments.pages.fault_figures import KEPT_OF, kept_figure, ways_figure
from experiments.pages.fault_words import findings
from solver.execution.elastic.coordinator import SILENCE_S
from solver.job import Job
from solver.problem import Problem
from solver.repair.policy import EVALUATION_S, FULL_EVALUATIONS

JOBS = {
    "mobilenet_v2": Job(batch=16, optimizer="adamw"),
    "bert_base": Job(batch=16, optimizer="adamw"),
    "bert_base_lora": Job(batch=16, optimizer="adamw", tune="lora", lora_rank=8),
    "gpt2": Job(batch=16, optimizer="adamw"),
}
MICRO_BATCHES, WORK_LIMIT, FIXED_EVERY = 4, 1000, 50
"""Every 50 steps: the period in a public re-implementation of Asteroid."""
CLUSTERS, MBIT_PER_S = ("nano_x4", "jetson_mixed"), (100, 1000)
MTBF_S = (3600, 10_800, 36_000, 86_400, 604_800, 2_592_000)
"""Mean times between two failures of one device: an hour to thirty days."""
SHOWN = 1000
"""Rate of which plans are kept, Mbit/s."""
KILLED = ("kitchen", "study", "garage")


def run(out: Path, *, quick: bool, jobs: int = 1) -> None:
    """Compare the ways of being ready, and kill boards that train.

    Parameters
    ----------
    out
        Where it writes.
    quick
        One job, one network and one board that is killed instead of all.
    jobs
        Cells made at the same time.
    """
    names = ("mobilenet_v2",) if quick else tuple(JOBS)
    rates, killed = ((1000,), KILLED[:1]) if quick else (MBIT_PER_S, KILLED)
    asked = {"work_limit": WORK_LIMIT, "away_s": AWAY_S, "start_s": START_S, "detect_s": SILENCE_S}
    asked |= {"jobs": names, "clusters": CLUSTERS, "mbit_per_s": rates, "mtbf_s": MTBF_S, "killed": killed}
    study = Study(out, __file__, quick=quick, jobs=jobs, asked=asked)
    cases = [(name, cluster, rate) for name in names for cluster in CLUSTERS for rate in rates]
    cells = study.cells({f"{n} {c} {r}": partial(case_rows, study, n, c, r) for n, c, r in cases})
    ready, lost, lines = ([row for cell in cells for row in cell[k]] for k in ("ready", "lost", "kept"))
    real = study.cells({f"killed {name}": partial(killed_row, name) for name in killed})
    study.table("ready", ready, READY_COLUMNS)
    study.table("lost", lost, LOST_COLUMNS)
    study.table("kept", lines, KEPT_COLUMNS)
    study.table("measured_kills", real, KILLED_COLUMNS)
    study.figure("kept", kept_figure(lines))
    study.figure("ways", ways_figure(lines))
    study.readme(*_words(ready, lost, lines, real, quick=quick))


READY_COLUMNS = (
    *("job", "cluster", "mbit_per_s", "way", "devices", "step_s", "step_j", "due_s", "due_j", "due_mb"),
    *("peak_mb", "slower_at_50_percent"),
)
LOST_COLUMNS = (
    *("job", "cluster", "mbit_per_s", "way", "device", "how", "detect_s", "plan_s", "move_s", "back_s"),
    *("moved_mb", "lost_steps_at_50", "step_s", "after_s"),
)
KILLED_COLUMNS = (
    *(
        "killed",
        "how",
        "measured_detect_s",
        "measured_stop_s",
        "measured_replan_s",
        "move_s",
        "measured_move_s",
    ),
    *(
        "measured_resume_s",
        "moved_mb",
        "step_before_s",
        "step_after_s",
        "measured_step_after_s",
        "steps_lost",
    ),
    *("measured_other_changes", "loss_as_without_fault"),
)
KEPT_COLUMNS = ("job", "cluster", "mbit_per_s", "way", "mtbf_s", "every", "kept", "kept_at_50")


def case_rows(study: Study, name: str, cluster: str, mbit: int) -> dict[str, list[dict[str, Any]]]:
    """Return rows of one case: what readiness costs, what losses cost, and what is kept.

    Parameters
    ----------
    study, name, cluster, mbit
        The experiment, and which case.
    """
    network = over(boards_of(cluster), Network("switch", mbit), cluster)
    workload = name.removesuffix("_lora")
    problem = study.problem(workload, network, JOBS[name], num_micro_batches=MICRO_BATCHES)
    ways = ready_ways(problem)
    base_s = min(ready.free_s for ready in ways)
    head = {"job": name, "cluster": cluster, "mbit_per_s": mbit}
    rows: dict[str, list[dict[str, Any]]] = {"ready": [], "lost": [], "kept": []}
    for ready in ways:
        if mbit == SHOWN:
            study.plan(f"{name}_{network.name}_{ready.way.replace(' ', '_')}", ready.plan)
        rows["ready"].append({**head, **_ready_row(ready, base_s)})
        losses = {device: outages_of(problem, ready, device) for device in ready.devices}
        lost = [one for options in losses.values() for one in options]
        rows["lost"] += [{**head, "way": ready.way, **_lost_row(ready, one)} for one in lost]
        first = [options[0] for options in losses.values()]
        rows["kept"] += [{**head, "way": ready.way, **_kept_row(ready, first, m, 1 / base_s)} for m in MTBF_S]
    return rows


def ready_ways(problem: Problem) -> list[Ready]:
    """Return every way of being ready for which there is a plan.

    Parameters
    ----------
    problem
        What is decided.
    """
    found = literature(problem, ("single", "data_parallel", "asteroid", "asteroid_subsets"))
    best = ours(problem, found, work_limit=WORK_LIMIT).plan
    several = pool(problem, [best] if best is not None else [])
    ways = [with_checkpoints(problem, "restart", several[0])] if several else []
    single = found["single"].plan
    ways += [with_checkpoints(problem, "one board", single)] if single is not None else []
    others = (with_copies(problem, several), with_replicas(problem, several))
    return [*ways, *(ready for ready in others if ready is not None)]


def outages_of(problem: Problem, ready: Ready, device: str) -> list[Outage]:
    """Return how a loss can be got over, the way that is taken first.

    Parameters
    ----------
    problem, ready, device
        What is decided, the plan that ran, and who dies.
    """
    if ready.way in ("restart", "one board"):
        return [restarted(problem, ready, device)]
    return repaired(problem, ready, device) or [restarted(problem, ready, device)]


def _ready_row(ready: Ready, base_s: float) -> dict[str, Any]:
    row = {"way": ready.way, "devices": len(ready.devices), "step_s": ready.free_s, "step_j": ready.free_j}
    row |= {"due_s": ready.due_s, "due_j": ready.due_j, "due_mb": ready.due_bytes / 1e6}
    slower = round(100 * (ready.step_s(FIXED_EVERY) / base_s - 1), 9)
    return {**row, "peak_mb": ready.peak_bytes / 1e6, "slower_at_50_percent": slower}


def _lost_row(ready: Ready, one: Outage) -> dict[str, Any]:
    row = {"device": one.device, "how": one.how, "detect_s": SILENCE_S, "plan_s": one.plan_s}
    row |= {"move_s": one.move_s, "back_s": one.back_s, "moved_mb": one.moved_bytes / 1e6}
    after_s = None if one.after_s == float("inf") else one.after_s
    return {
        **row,
        "lost_steps_at_50": one.lost_steps(FIXED_EVERY),
        "step_s": ready.free_s,
        "after_s": after_s,
    }


def _kept_row(ready: Ready, outages: Sequence[Outage], mtbf_s: float, rate: float) -> dict[str, Any]:
    every = best_every(ready, outages, mtbf_s, rate)
    fixed = kept(ready, outages, mtbf_s, FIXED_EVERY, rate)
    most = kept(ready, outages, mtbf_s, every, rate)
    return {"mtbf_s": mtbf_s, "every": every, "kept": most, "kept_at_50": fixed}


def _words(
    ready: Sequence[Mapping[str, Any]],
    lost: Sequence[Mapping[str, Any]],
    lines: Sequence[Mapping[str, Any]],
    real: Sequence[Mapping[str, Any]],
    *,
    quick: bool,
) -> list[str]:
    heads = {"job": "job", "cluster": "cluster", "mbit_per_s": "Mbit/s", "way": "way", "devices": "boards"}
    heads |= {"step_s": "step, s", "step_j": "step, J", "due_s": "renewal, s", "due_mb": "renewal, MB"}
    heads |= {
        "peak_mb": "fullest board, MB",
        "slower_at_50_percent": "slower than fastest, renewed every 50, %",
    }
    after = {"job": "job", "mbit_per_s": "Mbit/s", "way": "way", "device": "who dies", "how": "how"}
    after |= {"plan_s": "plan, s", "move_s": "move or read, s", "moved_mb": "MB", "step_s": "step before, s"}
    after |= {"after_s": "step after, s", "lost_steps_at_50": "steps lost, renewed every 50"}
    mixed = [row for row in lost if row["cluster"] == KEPT_OF]
    return [
        ASKED,
        "## What being ready costs",
        markdown(ready, heads),
        "## What a loss costs, four unequal boards",
        f"Noticing takes {SILENCE_S:g} s everywhere, the executor's limit of silence. {PLANNING}",
        markdown(mixed, after),
        "## What is kept in the long run",
        "![Part of the step rate kept](kept.png)",
        f"Drawn above: {KEPT_OF}, the four unequal boards, alone; below: both clusters.",
        "![The way that keeps most](ways.png)",
        *(() if quick else ("## What it says", findings(ready, lost, lines))),
        "## Measured: boards killed while they train",
        MEASURED,
        markdown(real, {name: name for name in KILLED_COLUMNS}),
    ]


ASKED = (
    "How should training get over the loss of a board? *restart*: the fastest plan of several boards; "
    "every K steps all wait while weights and optimizer state go to a network disk on the switch; after a "
    f"loss new processes start ({START_S:g} s, an estimate), a new plan is made for all boards that are "
    "left, state is read. *one board*: the same on the fastest single board. *copies*: copies of what is "
    "in one place only lie on neighbours, renewed every K steps (the plan's `backup`); the others go on "
    "by a light repair or a full re-plan, whichever the evaluator finds cheaper. *replicas*: the fastest "
    f"plan that keeps every weight on two boards anyhow. A lost board returns after {AWAY_S / 60:g} "
    "minutes. Kept: steps in the long run over those of the fastest plan without faults or readiness, "
    "with the best K for each rate of failures; a second failure meanwhile is left out, so figures for an "
    "hour are too good. Batch 16 in 4 micro-batches, AdamW."
)
PLANNING = (
    "`plan, s` is an assumption, not measured: the evaluations that the repair policy counts for a light "
    f"repair, {FULL_EVALUATIONS} for a full re-plan or a restart, times a constant of {EVALUATION_S:g} s, so "
    "that the same loss costs the same on every machine."
)
MEASURED = (
    "vit_digits on four emulated boards (`kitchen`, `study` and `hall` share a stage, `garage`), copies "
    "renewed in every step, processes killed by the operating system, padded in real time. Detection, "
    "stop, re-plan and move are measured on the machine in `config.json` beside what the evaluator says "
    "of the move and the step after. Other changes: boards that this host, busy with other work, kept silent "
    "for longer than two seconds, and their return."
)
