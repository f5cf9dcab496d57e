"""What it costs to plan for energy as if messages and waiting took none, as a follow-up of Asteroid does.

The score alpha |T - SLO| + (1 - alpha) E of an energy-aware follow-up of Asteroid (arXiv:2408.08015) counts
what boards take while they compute, and nothing for messages, reductions and waiting. Beside what it believes
of its plan stand the evaluator's figures of the same plan, the plan that it would take of those it kept if it
knew them, and ours.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from experiments.cases.jetsons import CLUSTERS, jetsons
from experiments.frame.ours import ours
from experiments.frame.study import Study
from experiments.pages.belief_page import belief_figure, words
from solver.job import Job
from solver.plan import Plan, share_devices
from solver.search.incumbent import Search
from solver.search.literature.energy_belief import Belief, believed
from solver.solve import solve

MODELS = ("mobilenet_v2", "resnet50", "bert_small")
BOARDS = ("4 nano", "1 tx2, 2 nano", "1 nx, 1 tx2, 3 nano")
MBITS = (10, 100, 1000)
ALPHAS = (0.0, 0.5, 0.99)
"""Weight of a second away from the time aimed at, which is 0 s, against a joule."""
BATCH, MICRO_BATCHES = 64, 8
WORK_LIMIT = 300


def run(out: Path, *, quick: bool, jobs: int = 1) -> None:
    """Write what the planner believes of its plans, and what they cost.

    Parameters
    ----------
    out
        Where it writes.
    quick
        One model, two clusters and two rates.
    jobs
        Cells made at the same time.
    """
    models = MODELS[:1] if quick else MODELS
    clusters = BOARDS[:2] if quick else BOARDS
    mbits = MBITS[::2] if quick else MBITS
    asked = {"models": models, "clusters": clusters, "mbit_per_s": mbits, "alphas": ALPHAS}
    asked |= {"batch": BATCH, "micro_batches": MICRO_BATCHES, "work_limit": WORK_LIMIT}
    study = Study(out, __file__, quick=quick, jobs=jobs, asked={**asked, "optimizer": "momentum"})
    cells = {
        f"{model} {cluster} {mbit}": partial(cell, study, model, cluster, mbit)
        for model in models
        for cluster in clusters
        for mbit in mbits
    }
    rows = [row for part in study.cells(cells) for row in part]
    study.table("beliefs", rows)
    study.figure("beliefs", belief_figure(rows, models[-1]))
    study.readme(*words(rows))


def cell(study: Study, model: str, cluster: str, mbit_per_s: int) -> list[dict[str, Any]]:
    """Return a row for every alpha in one case.

    Parameters
    ----------
    study
        Where plans are written.
    model, cluster, mbit_per_s
        The case.
    """
    problem = study.problem(
        model,
        jetsons(CLUSTERS[cluster], mbit_per_s),
        Job(batch=BATCH, optimizer="momentum"),
        objective="energy",
        num_micro_batches=MICRO_BATCHES,
    )
    others = {name: solve(problem, name, work_limit=WORK_LIMIT) for name in ("asteroid_energy", "single")}
    mine = ours(problem, others, work_limit=WORK_LIMIT)
    assert mine.plan is not None and mine.score is not None, "all of these models train on these boards"
    if mbit_per_s == MBITS[0]:
        study.plan(f"{model}_{problem.cluster.name}_ours", mine.plan)
    case = {"model": model, "cluster": cluster, "mbit_per_s": mbit_per_s}
    found = []
    for alpha in ALPHAS:
        both = believed(problem, Search(problem), alpha=alpha)
        assert both is not None, "its planner has a plan in all of these cases"
        if (mbit_per_s, alpha) == (MBITS[0], ALPHAS[0]):
            study.plan(f"{model}_{problem.cluster.name}_believed", both.chosen.plan)
        found.append(
            {
                **case,
                "alpha": alpha,
                **_figures(both.chosen),
                "informed_score": both.scores[1],
                "score": both.scores[0],
                "informed_j_per_sample": both.informed.report.energy_j / BATCH,
                "ours_j_per_sample": mine.score / BATCH,
                "ours_devices": _num_devices(mine.plan),
            }
        )
    return found


def _figures(belief: Belief) -> dict[str, Any]:
    """Return what is believed of a plan, and what it costs, per sample."""
    parts = belief.report.energy.values()
    return {
        "stages": len(belief.plan.pipelines[0].stages),
        "devices": _num_devices(belief.plan),
        "believed_step_s": belief.step_s,
        "step_s": belief.report.step_time_s,
        "believed_j_per_sample": belief.energy_j / BATCH,
        "energy_j_per_sample": belief.report.energy_j / BATCH,
        "idle_j_per_sample": belief.waiting_j / BATCH,
        "compute_j_per_sample": sum(part.compute_j for part in parts) / BATCH,
        "radio_j_per_sample": belief.radio_j / BATCH,
        "sent_bytes_per_sample": belief.report.traffic_bytes / BATCH,
    }


def _num_devices(plan: Plan) -> int:
    return len({name for stage in plan.pipelines[0].stages for name in share_devices(stage.shares)})
