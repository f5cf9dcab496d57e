"""Small chains on boards with power modes, batteries, supplies and trust; all plans, judged one by one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations, permutations, product

import numpy as np

from experiments.figures._energy_chains import random_problem
from models.cluster import Cluster
from solver.evaluate import judge
from solver.plan import Plan, Stage, pipeline_plan
from solver.power_modes import modes_of, with_modes
from solver.problem import Problem
from solver.report import Report

KINDS = ("time", "energy", "carbon", "battery", "untrusted")
ENDLESS_J = 1e12


@dataclass(frozen=True)
class Judged:
    """All chains that fit into memory, and what each costs by the evaluator, without other limits."""

    plans: list[Plan]
    reports: list[Report]

    def figures(self, kind: str) -> np.ndarray:
        """Return (P,), or (P, D) for batteries."""
        found = {
            "time": [r.step_time_s for r in self.reports],
            "bottleneck": [r.bottleneck_s for r in self.reports],
            "energy": [r.energy_j for r in self.reports],
            "carbon": [r.accounts.total_carbon_g for r in self.reports],
            "battery": [[b.step_j for b in r.accounts.batteries.values()] for r in self.reports],
            "untrusted": [float(r.untrusted_bytes) for r in self.reports],
        }
        return np.array(found[kind])


def free_problem(seed: int, num_devices: int = 3, num_blocks: int = 4, **words: object) -> Problem:
    """Unequal boards without limits, each with a battery never empty, a supply and a level of trust."""
    rng = np.random.default_rng(1000 + seed)
    problem = random_problem(seed, num_devices, num_blocks)
    plain = problem.cluster.model_dump()
    for board in plain["devices"]:
        board["battery_j"] = ENDLESS_J
        board["carbon_g_per_kwh"] = float(rng.choice([0.0, 30.0, 200.0, 700.0]))
        board["trust"] = int(rng.integers(0, 3))
        board["power_modes"].pop("mid")
    job = problem.job.model_copy(update={"deadline_s": None, "steps": 10})
    count = int(rng.choice([1, 2, 4]))
    cluster = Cluster.model_validate(plain)
    return replace(problem, cluster=cluster, job=job, num_micro_batches=count, **words)


def judged(problem: Problem) -> Judged:
    """Judge every chain of single devices in all modes, for one number of micro-batches."""
    order, count = problem.workload.order, problem.num_micro_batches or 1
    modes = {name: modes_of(problem, problem.cluster.by_name[name]) for name in problem.usable}
    plans, reports = [], []
    for num in range(1, min(len(order), len(modes)) + 1):
        cuts = combinations(range(1, len(order)), num - 1)
        for inner, names in product(list(cuts), list(permutations(modes, num))):
            ends = [0, *inner, len(order)]
            share = problem.job.batch // count
            stages = [
                Stage(blocks=order[ends[s] : ends[s + 1]], shares={n: share}) for s, n in enumerate(names)
            ]
            plain = pipeline_plan(problem, stages, count)
            for chosen in product(*(modes[name] for name in names)):
                plan = with_modes(problem, plain, dict(zip(names, chosen, strict=True)))
                report, _ = judge(problem, plan)
                if report.is_feasible:
                    plans.append(plan)
                    reports.append(report)
    return Judged(plans, reports)


def limited(problem: Problem, every: Judged, seed: int, kinds: tuple[str, ...]) -> Problem:
    """Limit some figures, between what any plan takes at least and what the best one without limits takes."""
    rng = np.random.default_rng(seed)
    best = int(every.figures(problem.objective).argmin())
    job: dict[str, float] = {}
    plain, most = problem.cluster.model_dump(), dict[str, float]()
    for kind in kinds:
        figures = every.figures(kind)
        part = float(rng.choice([-0.01, 0.0, 0.05, 0.3, 0.6, 0.95, 1.0]))
        if kind == "battery":
            d = int(figures[best].argmax())
            least, now = figures[:, d].min(), figures[best, d]
            plain["devices"][d]["battery_j"] = max(1e-3, 10 * (least + part * (now - least))) * (1 + 1e-12)
            continue
        least, now = figures.min(), figures[best]
        limit = float(least + part * (max(now, least * 1.02) - least)) * (1 + 1e-12)
        if kind == "untrusted":
            most[kind] = max(0.0, limit)
        else:
            job[{"time": "deadline_s", "energy": "energy_budget_j", "carbon": "carbon_budget_g"}[kind]] = (
                limit
            )
    if job.get("carbon_budget_g") == 0:
        most["carbon"] = job.pop("carbon_budget_g")
    cluster = Cluster.model_validate(plain)
    return replace(problem, cluster=cluster, job=problem.job.model_copy(update=job), at_most=most)


def least(problem: Problem, every: Judged) -> float:
    """Return the least score of the plans that keep a problem's limits; infinite if none does."""
    job = problem.job
    fine = np.ones(len(every.plans), bool)
    limits = {"time": job.deadline_s, "energy": job.energy_budget_j, "carbon": job.carbon_budget_g}
    for kind, limit in (*limits.items(), *problem.at_most.items()):
        if limit is not None:
            fine &= every.figures(kind) <= limit
    batteries = np.array([d.battery_j.value for d in problem.cluster.devices if d.battery_j is not None])
    fine &= (every.figures("battery") * (job.steps or 0) <= batteries).all(axis=1)
    scores = every.figures(problem.objective)[fine]
    return float(scores.min(initial=math.inf))
