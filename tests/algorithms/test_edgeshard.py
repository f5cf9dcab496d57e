"""EdgeShard's two dynamic programmes and the list schedulers, by hand and against all placements."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from models.workload import Workload
from solver.algorithms.edgeshard_latency import least_latency
from solver.algorithms.edgeshard_throughput import least_bottleneck
from solver.evaluate import judge
from solver.job import Job
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.literature.block_tables import BlockTables
from solver.search.placement import placed_plans
from solver.solve import solve
from solver.status import Status
from tests import random_plans
from tests.algorithms.cases import chain, cluster, placed

SOLVERS = ("edgeshard_latency", "edgeshard_throughput", "heft", "m_etf", "m_sct")


def serving(
    workload: Workload, speeds: dict[str, float], rate: float, memory: float = 1e9, requests: int = 1
) -> Problem:
    boards = cluster(speeds, rate=rate, memory=dict.fromkeys(speeds, memory))
    objective = "latency" if requests == 1 else "bottleneck"
    return Problem(workload, boards, Job(kind="serve", batch=requests), objective, num_micro_batches=requests)


def test_one_request_goes_to_the_fastest_unless_it_has_no_room() -> None:
    """Blocks of 2 flop and 10 bytes, messages of 1 s: y takes all in 3 s; tight, x has one."""
    work = chain(3, weight_bytes=10)
    loose = solve(serving(work, {"x": 1, "y": 2}, 1.0), "edgeshard_latency")
    assert placed(loose.plan) == [("abc", "y")] and loose.score == pytest.approx(3)
    # A block needs its weights and its output, 11 bytes. Two on y and one on x: 1 + 1 + 1 + 2 = 5 s.
    tight = solve(serving(work, {"x": 1, "y": 2}, 1.0, memory=24), "edgeshard_latency")
    assert tight.score == pytest.approx(5)


def test_many_requests_are_shared_by_the_slower_one_too() -> None:
    """Three blocks of 2 flop on speeds 1 and 2: two on y (2 s) and one on x (2 s); y alone takes 3 s."""
    found = solve(serving(chain(3), {"x": 1, "y": 2}, 1e9, requests=6), "edgeshard_throughput")
    assert found.plan is not None and found.score == pytest.approx(2)
    assert sorted(len(s.blocks) for s in found.plan.pipelines[0].stages)[-1] <= 2


def tables(seed: int) -> BlockTables:
    rng = np.random.default_rng(seed)
    workload, boards = random_plans.chain(rng, 4), random_plans.cluster(rng, 3)
    return BlockTables(Problem(workload, boards, Job(batch=4), num_micro_batches=2), 2)


def bottleneck(one: BlockTables, found: list[int]) -> float:
    loads = [sum(one.compute_s[v, i] for i in range(4) if found[i] == v) for v in set(found)]
    for i, (_, _, size, times) in enumerate(one.edges, 1):
        loads.append(float(one.message_s(size, times)[found[i - 1], found[i]]))
    return max(loads)


@pytest.mark.parametrize("seed", range(20))
def test_the_programmes_find_the_least_of_all_placements(seed: int) -> None:
    one, none = tables(seed), np.zeros(4, np.int64)

    def latency(found: list[int]) -> float:
        seconds = sum(float(one.compute_s[v, i]) for i, v in enumerate(found))
        for i, (_, _, size, times) in enumerate(one.edges, 1):
            seconds += float(one.message_s(size, times)[found[i - 1], found[i]])
        return seconds

    every = [list(found) for found in product(range(len(one.devices)), repeat=4)]
    found = least_latency(one, none)
    assert found is not None
    assert latency(found) == pytest.approx(min(map(latency, every)))
    intervals = []
    for order in permutations(range(len(one.devices))):
        for num in range(1, len(order) + 1):
            for cuts in product(range(num), repeat=4):
                if list(cuts) == sorted(cuts):
                    intervals.append([order[c] for c in cuts])
    chosen = np.arange(len(one.devices))
    split = least_bottleneck(one, none, chosen, Search(one.problem))
    assert split is not None
    assert bottleneck(one, split) == pytest.approx(min(bottleneck(one, f) for f in intervals))


@pytest.mark.parametrize("seed", range(6))
def test_one_request_is_never_faster_than_by_the_best_placement(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_plans.dag(rng, 4) if seed % 2 else random_plans.chain(rng, 4)
    boards = random_plans.cluster(rng, 3)
    what = Problem(graph, boards, Job(kind="serve", batch=1), "latency", num_micro_batches=1)
    scores = []
    for devices in product(what.usable, repeat=4):
        for plan in placed_plans(what, devices, 1):
            report, score = judge(what, plan)
            scores.append(score if report.is_feasible else np.inf)
    for name in SOLVERS:
        solution = solve(what, name)
        if solution.status is Status.DECLINED:
            assert seed % 2 and name.startswith("edgeshard")
        elif solution.score is not None:
            assert solution.score >= min(scores) * (1 - 1e-12)
            if name == "edgeshard_latency":
                assert solution.score == pytest.approx(min(scores))


def test_graphs_are_declined_with_a_reason() -> None:
    graph = random_plans.dag(np.random.default_rng(1), 6)
    boards = random_plans.cluster(np.random.default_rng(1), 3)
    for name in ("edgeshard_latency", "edgeshard_throughput"):
        solution = solve(Problem(graph, boards, Job(batch=4)), name)
        assert solution.status is Status.DECLINED and "DAG" in solution.reason
