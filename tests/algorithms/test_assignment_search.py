"""Splits without a rule of contiguity: the best of all splits of small random graphs, and its proof."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from solver.search.splits.host_graph import host_graph
from solver.solve import solve
from solver.status import Status
from tests.search.host_cases import least_s, problem_of, random_file


@pytest.mark.parametrize("seed", range(6))
def test_small_graphs_are_solved_and_proven(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    data = random_file(
        rng, num_nodes=4 + seed % 2, training=seed % 3 == 0, accelerators=2, cpus=1, tight=seed % 2 == 1
    )
    problem = problem_of(data, tmp_path, "non-contiguous")
    best = least_s(host_graph(problem))
    solution = solve(problem, "assignment_search", time_limit_s=30, seed=seed)
    if np.isinf(best):
        assert solution.status is Status.INFEASIBLE
        return
    assert solution.score == pytest.approx(best, rel=1e-9, abs=1e-15)
    assert solution.status is Status.OPTIMAL


def test_same_seed_same_plan_under_a_work_limit(tmp_path: Path) -> None:
    data = random_file(np.random.default_rng(5), num_nodes=9, training=False, accelerators=3, cpus=1)
    problem = problem_of(data, tmp_path, "non-contiguous")
    one, other = (solve(problem, "assignment_search", work_limit=800, seed=3) for _ in range(2))
    assert one.plan == other.plan
    assert one.score is not None and one.score == other.score


def test_contiguous_and_latency_problems_are_declined(tmp_path: Path) -> None:
    data = random_file(np.random.default_rng(1), num_nodes=4, training=False, accelerators=2, cpus=1)
    for variant in ("contiguous", "latency"):
        solution = solve(problem_of(data, tmp_path, variant), "assignment_search", time_limit_s=5)
        assert solution.status is Status.DECLINED
