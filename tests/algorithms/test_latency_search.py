"""Time of one sample: the best of all splits of small random graphs, runs of an order, memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from solver.algorithms.latency_search import path_s
from solver.search.splits.host_graph import host_graph
from solver.search.splits.latency_chain import chain_split, make_parts
from solver.solve import solve
from solver.status import Status
from tests.search.host_cases import least_s, problem_of, random_file


@pytest.mark.parametrize("seed", range(8))
def test_small_graphs_are_solved(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    data = random_file(rng, num_nodes=6, training=False, accelerators=2, cpus=1, tight=seed % 2 == 1)
    problem = problem_of(data, tmp_path, "latency")
    best = least_s(host_graph(problem))
    solution = solve(problem, "latency_search", work_limit=100_000, seed=seed)
    assert solution.score == pytest.approx(best, rel=1e-9, abs=1e-15)
    assert solution.bound is not None and solution.bound <= best * (1 + 1e-12)


def test_bound_is_the_longest_path(tmp_path: Path) -> None:
    # 0 -> 1 -> 3 and 0 -> 2 -> 3 of 1, 2, 5 and 1 ms on accelerators: 1 + 5 + 1 = 7 ms.
    nodes = [
        {
            "id": i,
            "supportedOnFpga": 1,
            "fpgaLatency": t,
            "cpuLatency": 10 * t,
            "size": 1.0,
            "isBackwardNode": 0,
        }
        for i, t in enumerate((1.0, 2.0, 5.0, 1.0))
    ]
    pairs = ((0, 1), (0, 2), (1, 3), (2, 3))
    edges = [{"sourceId": a, "destId": b, "cost": 0.5, "size": 1.0} for a, b in pairs]
    data = {"maxFPGAs": 2, "maxCPUs": 1, "maxSizePerFPGA": 3.0, "nodes": nodes, "edges": edges}
    problem = problem_of(data, tmp_path, "latency")
    assert path_s(host_graph(problem)) == pytest.approx(7e-3)
    # All four do not fit one accelerator, and {1} alone beside {0, 2, 3} would wait in a circle.
    # {0, 1, 2} and {3}: 8 ms, two copies out and two in, and 1 ms; {0} and {1, 2, 3}: 1 + 0.5 + 0.5 + 8 ms.
    solution = solve(problem, "latency_search", work_limit=100_000)
    assert solution.score == pytest.approx(10e-3)


def test_runs_of_an_order_keep_memory_and_do_not_wait_in_circles(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    data = random_file(rng, num_nodes=25, training=False, accelerators=4, cpus=1, tight=True)
    host = host_graph(problem_of(data, tmp_path, "latency"))
    parts = make_parts(host)
    for _ in range(10):
        order = parts.order(rng)
        rank = np.argsort(order)
        assert all(rank[p] < rank[q] for p in range(parts.num) for q in parts.after[p])
        split = chain_split(host, parts, order)
        assert split is not None and host.is_feasible(split)
        assert np.isfinite(host.latency(split))


def test_same_seed_same_plan_under_a_work_limit(tmp_path: Path) -> None:
    data = random_file(np.random.default_rng(5), num_nodes=12, training=False, accelerators=3, cpus=1)
    problem = problem_of(data, tmp_path, "latency")
    one, other = (solve(problem, "latency_search", work_limit=150, seed=3) for _ in range(2))
    assert one.score is not None and one.plan == other.plan


def test_largest_load_is_declined(tmp_path: Path) -> None:
    data = random_file(np.random.default_rng(1), num_nodes=4, training=False, accelerators=2, cpus=1)
    solution = solve(problem_of(data, tmp_path, "contiguous"), "latency_search", time_limit_s=5)
    assert solution.status is Status.DECLINED
