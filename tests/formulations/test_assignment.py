"""Assignment by integer programming and by CP-SAT: both equal every split of small random graphs."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from solver.formulations.assignment import build
from solver.formulations.cbc import solve_cbc
from solver.search.splits.first_splits import value_s
from solver.search.splits.host_graph import host_graph
from solver.search.splits.load_graph import even_bound_s, load_graph, reduced
from solver.search.splits.load_search import anneal, greedy
from solver.solve import solve
from solver.status import Status
from tests.search.host_cases import least_s, problem_of, random_file


@pytest.mark.parametrize("variant", ["contiguous", "non-contiguous", "latency"])
@pytest.mark.parametrize("seed", range(3))
def test_programme_has_the_least_value(variant: str, seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    training = variant != "latency" and seed == 2
    data = random_file(
        rng, num_nodes=5 - training, training=training, accelerators=2, cpus=1, tight=seed == 1
    )
    host = host_graph(problem_of(data, tmp_path, variant))
    best = least_s(host)
    programme = build(host, 1.0)
    answer = solve_cbc(programme.problem, 60)
    assert answer.finished and answer.found == np.isfinite(best)
    if answer.found:
        assert host.is_feasible(programme.invert())
        assert value_s(host, programme.invert()) == pytest.approx(best, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("variant", ["contiguous", "non-contiguous"])
@pytest.mark.parametrize("seed", range(5))
def test_solvers_agree(variant: str, seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(10 + seed)
    data = random_file(rng, num_nodes=5, training=seed % 2 == 0, accelerators=2, cpus=1, tight=seed == 3)
    problem = problem_of(data, tmp_path, variant)
    best = least_s(host_graph(problem))
    proven = solve(problem, "assignment_cpsat", time_limit_s=60)
    if np.isinf(best):
        assert proven.status is Status.INFEASIBLE
        return
    assert proven.status is Status.OPTIMAL
    assert proven.score == pytest.approx(best, rel=1e-9, abs=1e-15)
    textbook = solve(problem, "assignment_ilp", time_limit_s=60)
    assert textbook.score == pytest.approx(best, rel=1e-4, abs=1e-15)
    assert textbook.bound is not None and best * (1 - 1e-4) <= textbook.bound <= best * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_hypergraph_costs_what_the_split_costs(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    data = random_file(rng, num_nodes=8, training=seed % 2 == 0, accelerators=3, cpus=1)
    host = host_graph(problem_of(data, tmp_path, "non-contiguous"))
    for graph in (load_graph(host), reduced(host, np.inf)):
        place = greedy(graph, np.arange(graph.num_vertices, dtype=np.int32))
        assert graph.loads(place) == pytest.approx(host.loads(graph.split(place)), rel=1e-12, abs=1e-15)
        value, found = anneal(graph, place, host.load(graph.split(place)) * 0.5, 2000, seed)
        assert value == pytest.approx(host.load(graph.split(found)), rel=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_merging_keeps_the_best_split(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    data = random_file(rng, num_nodes=6, training=False, accelerators=2, cpus=1)
    host = host_graph(problem_of(data, tmp_path, "non-contiguous"))
    best = least_s(host)
    assert even_bound_s(load_graph(host)) <= best
    graph = reduced(host, best * (1 + 1e-9))
    least = min(
        host.load(graph.split(np.array(devices, np.int32)))
        for devices in itertools.product(range(len(host.kind)), repeat=graph.num_vertices)
    )
    assert least == pytest.approx(best, rel=1e-9, abs=1e-15)


def test_too_little_memory_is_proven(tmp_path: Path) -> None:
    data = random_file(np.random.default_rng(0), num_nodes=4, training=False, accelerators=2, cpus=0)
    data["maxSizePerFPGA"] = 1.0
    for node in data["nodes"]:
        node.update(supportedOnFpga=1, size=1.0)
        node.pop("colorClass", None)
    problem = problem_of(data, tmp_path, "non-contiguous")
    for solver in ("assignment_cpsat", "assignment_ilp", "assignment_search"):
        assert solve(problem, solver, time_limit_s=30).status is Status.INFEASIBLE
