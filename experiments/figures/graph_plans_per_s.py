"""Plans of T5-base scored in a second, with energy; how that falls with blocks, boards, micro-batches."""

from __future__ import annotations

import numpy as np

from experiments.figures import Figure, median_s
from experiments.figures._batches import mix
from experiments.figures._pipelines import boards, unequal_blocks
from models import catalog
from models.cluster import Cluster
from models.workload import Workload
from solver.batch_graph import GraphScorer
from solver.job import Job
from solver.lowering import lower
from solver.report import make_report
from solver.simulate import simulate

SAMPLES, NUM_MICRO_BATCHES = 16, 8
MANY, ONE_BY_ONE, FEW = 2000, 20, 5
GROWN = {"blocks": (12, 50, 200, 400), "boards": (2, 8, 32), "micro_batches": (1, 8, 64, 512)}


def t5_like(num_blocks: int) -> Workload:
    """Encoder and decoder of unequal blocks; every third of the decoder's reads the encoder's output."""
    half = num_blocks // 2
    pairs = [(i, i + 1) for i in range(num_blocks - 1) if i != half - 1]
    pairs += [(half - 1, i) for i in range(half + 1, num_blocks, 3)]
    edges = [{"source": f"b{i}", "target": f"b{j}"} for i, j in pairs]
    return Workload.model_validate({"name": "t5_like", "blocks": unequal_blocks(num_blocks), "edges": edges})


def scorer_of(workload: Workload, cluster: Cluster, count: int = NUM_MICRO_BATCHES) -> GraphScorer:
    job = Job(batch=count * SAMPLES, optimizer="adamw")
    return GraphScorer(workload, cluster, job, num_micro_batches=count, samples=SAMPLES)


def compare(scorer: GraphScorer, many: int, few: int) -> tuple[float, float, float]:
    """Seconds a plan of the scorer, and one by one; largest relative difference of their figures."""
    plans = mix(many, num_blocks=len(scorer.workload.blocks), num_devices=len(scorer.names))
    asked = [scorer.decode(plans, i) for i in range(few)]

    def one_by_one() -> list[tuple[float, float]]:
        found = []
        for plan in asked:
            program = lower(plan, scorer.workload, scorer.cluster)
            report = make_report(plan, scorer.cluster, program, simulate(program), ())
            found.append((report.step_time_s, report.energy_j))
        return found

    scores, reports = scorer.score(plans, energy=True), np.array(one_by_one())
    assert scores.energy_j is not None
    mine = np.column_stack((scores.step_time_s[:few], scores.energy_j[:few]))
    apart = float(np.abs(mine / reports - 1).max())
    assert apart < 1e-9
    batch_s = median_s(lambda: scorer.score(plans, energy=True), repeats=3) / many
    return batch_s, median_s(one_by_one, repeats=3) / few, apart


def measure() -> Figure:
    batch_s, plain_s, apart = compare(
        scorer_of(catalog.workload("t5_base"), catalog.cluster("jetson_mixed")), MANY, ONE_BY_ONE
    )
    base = {"blocks": 50, "boards": 8, "micro_batches": NUM_MICRO_BATCHES}
    grown: dict[str, dict[str, float]] = {}
    for word, sizes in GROWN.items():
        for size in sizes:
            asked = base | {word: size}
            scorer = scorer_of(t5_like(asked["blocks"]), boards(asked["boards"]), asked["micro_batches"])
            found = compare(scorer, MANY // 10, FEW)
            grown[f"{word} {size}"] = {"s_a_plan": found[0], "plain_s_a_plan": found[1]}
    return Figure(
        value=1 / batch_s,
        unit="plans/s",
        baseline=1 / plain_s,
        baseline_is="lower, simulate and report, plan by plan",
        goal=10 / plain_s,
        details={
            "plans": MANY,
            "mix": "1 to 8 stages, random cuts, disjoint groups and shares; 8 micro-batches of 16 samples",
            "largest_relative_difference": apart,
            "grown_from": base,
            "growth": grown,
        },
    )
