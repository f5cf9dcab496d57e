"""Planning one size: unequal boards whose memory is tight, both exact solvers, proven under bottleneck."""

from __future__ import annotations

import time

from experiments.figures import Figure
from models.synthetic import transformer_chain, unequal_switch
from solver.job import Job
from solver.problem import Problem
from solver.solve import solve
from solver.status import Solution, Status

SEEDS = range(3)
NUM_MICRO_BATCHES = 16
STEP = 1.1
"""Memory is within this factor of the least at which any plan fits."""


def tight_problem(num_blocks: int, num_devices: int, seed: int) -> Problem:
    """The problem with the least memory, in steps of 10 %, for which there is a plan."""
    workload = transformer_chain(num_blocks, seed)
    memory_bytes = float(sum(2 * block.weight_bytes for block in workload.blocks))
    while True:
        cluster = unequal_switch(num_devices, memory_bytes, seed)
        job = Job(batch=2 * NUM_MICRO_BATCHES)
        problem = Problem(workload, cluster, job, "bottleneck", num_micro_batches=NUM_MICRO_BATCHES)
        if solve(problem, "bitmask_dp").plan is not None:
            return problem
        memory_bytes *= STEP


def timed(problem: Problem, solver: str) -> tuple[Solution, float]:
    started = time.perf_counter()
    solution = solve(problem, solver, time_limit_s=120)
    return solution, time.perf_counter() - started


def planning_figure(num_blocks: int, num_devices: int, goal_s: float) -> Figure:
    """Slowest proof of interval_ilp over the seeds, beside that of bitmask_dp on the same problems."""
    details: dict[str, object] = {}
    slowest = {"interval_ilp": 0.0, "bitmask_dp": 0.0}
    for seed in SEEDS:
        problem = tight_problem(num_blocks, num_devices, seed)
        scores = set()
        for solver in slowest:
            solution, seconds = timed(problem, solver)
            if solution.status is not Status.OPTIMAL:
                raise RuntimeError(f"{solver} ended with {solution.status.name}: {solution.reason}")
            slowest[solver] = max(slowest[solver], seconds)
            details[f"seed {seed}, {solver}, s"] = seconds
            scores.add(solution.score)
        details[f"seed {seed}, bottleneck, s"] = sorted(score for score in scores if score is not None)
    return Figure(
        value=slowest["interval_ilp"],
        unit="s",
        baseline=slowest["bitmask_dp"],
        baseline_is="bitmask_dp on the same problems",
        lower_is_better=True,
        goal=goal_s,
        details=details,
    )
