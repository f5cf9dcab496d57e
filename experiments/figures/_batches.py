"""Random plans of one pipeline for figures of batch scoring: 24 blocks, 8 boards, 8 micro-batches."""

from __future__ import annotations

import numpy as np

from experiments.figures import Figure, median_s
from experiments.figures._pipelines import SAMPLES, boards, chain
from solver.batch import BatchScorer, PackedPlans
from solver.job import Job
from solver.lowering import lower
from solver.report import make_report
from solver.simulate import simulate

NUM_BLOCKS, NUM_DEVICES, NUM_MICRO_BATCHES = 24, 8, 8
BATCH, ONE_BY_ONE = 10_000, 100


def mix(
    num_plans: int, seed: int = 0, *, num_blocks: int = NUM_BLOCKS, num_devices: int = NUM_DEVICES
) -> PackedPlans:
    """From one to eight stages, cut anywhere, over random disjoint groups with random shares."""
    rng = np.random.default_rng(seed)
    most = min(NUM_DEVICES, num_devices)
    num_stages = rng.integers(1, most + 1, num_plans)
    ends = np.zeros((num_plans, most), np.int64)
    shares = np.zeros((num_plans, most, num_devices), np.int64)
    for b, num in enumerate(num_stages):
        ends[b, :num] = [*cuts(rng, num_blocks, num), num_blocks]
        used = rng.permutation(num_devices)[: rng.integers(num, most + 1)]
        for s, group in enumerate(np.split(used, cuts(rng, len(used), num))):
            shares[b, s, group] = np.diff([0, *cuts(rng, SAMPLES, len(group)), SAMPLES])
    return PackedPlans(num_stages, ends, shares)


def cuts(rng: np.random.Generator, total: int, parts: int) -> list[int]:
    return np.sort(rng.choice(np.arange(1, total), parts - 1, replace=False)).tolist() if parts > 1 else []


def measure_batches(*, energy: bool, goal: float) -> Figure:
    """Plans a second, beside lowering and simulating one by one; the figures must agree."""
    workload, cluster = chain(NUM_BLOCKS), boards(NUM_DEVICES)
    job = Job(batch=NUM_MICRO_BATCHES * SAMPLES, optimizer="adamw")
    scorer = BatchScorer(workload, cluster, job, num_micro_batches=NUM_MICRO_BATCHES, samples=SAMPLES)
    plans = mix(BATCH)
    few = [scorer.decode(plans, i) for i in range(ONE_BY_ONE)]

    def one_by_one() -> list[tuple[float, float]]:
        found = []
        for plan in few:
            program = lower(plan, workload, cluster)
            report = make_report(plan, cluster, program, simulate(program), ())
            found.append((report.step_time_s, report.energy_j))
        return found

    scores, reports = scorer.score(plans, energy=True), np.array(one_by_one())
    apart = np.abs(scores.step_time_s[:ONE_BY_ONE] / reports[:, 0] - 1).max()
    if scores.energy_j is not None:
        apart = max(apart, np.abs(scores.energy_j[:ONE_BY_ONE] / reports[:, 1] - 1).max())
    assert apart < 1e-9
    return Figure(
        value=BATCH / median_s(lambda: scorer.score(plans, energy=energy)),
        unit="plans/s",
        baseline=ONE_BY_ONE / median_s(one_by_one, repeats=3),
        baseline_is="lower and simulate, plan by plan",
        goal=goal,
        details={
            "plans": BATCH,
            "mix": "1 to 8 stages, random cuts, disjoint groups and shares",
            "fit_in_memory": float(scores.memory_ok.mean()),
            "largest_relative_difference": float(apart),
        },
    )
