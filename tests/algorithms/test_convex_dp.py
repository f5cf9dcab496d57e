"""convex_dp equals brute force over the rules of the format, and the published optima."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.cluster import Cluster
from models.quantity import Quantity
from solver.algorithms import convex_dp
from solver.solve import solve
from solver.status import Status
from solver.suites import dnn_partitioning
from tests.search.host_cases import loads_ms, problem_of, random_file

OPTIMA_MS = {
    "layer/bert24_inference": 17.7899,
    "layer/bert24_training": 41.7458,
    "layer/resnet50_inference": 33.7747,
    "layer/resnet50_training": 78.6318,
    "operator/bert_l-3_inference": 27.9186,
    "operator/bert_l-3_training": 65.3031,
    "operator/bert_l-12_inference": 147.478,
    "operator/resnet50_training": 255.194,
}
"""Contiguous optima by the dynamic program of the authors' code, to six digits."""


def colours(data: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    found: dict[Any, list[dict[str, Any]]] = {}
    for node in data["nodes"]:
        found.setdefault(node.get("colorClass", f"own{node['id']}"), []).append(node)
    return list(found.values())


def splits(data: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Every split that keeps colours, support and memory; accelerators are alike."""
    groups = colours(data)
    names = [f"acc{i}" for i in range(data["maxFPGAs"])] + [f"cpu{i}" for i in range(data["maxCPUs"])]
    for chosen in itertools.product(names, repeat=len(groups)):
        placed = {str(n["id"]): d for group, d in zip(groups, chosen, strict=True) for n in group}
        used = dict.fromkeys(names, 0.0)
        for node in data["nodes"]:
            used[placed[str(node["id"])]] += node["size"]
        if any(used[name] > data["maxSizePerFPGA"] for name in names if name.startswith("acc")):
            continue
        if all(n["supportedOnFpga"] or placed[str(n["id"])].startswith("cpu") for n in data["nodes"]):
            yield placed


def order_edges(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Edges between forward nodes; those of backward nodes without a forward partner, turned round."""
    backward = {n["id"]: n["isBackwardNode"] for n in data["nodes"]}
    orphans = {n["id"] for group in colours(data) if all(m["isBackwardNode"] for m in group) for n in group}
    found = []
    for edge in data["edges"]:
        a, b = edge["sourceId"], edge["destId"]
        if not backward[a] and not backward[b]:
            found.append((str(a), str(b)))
        if backward[a] and backward[b] and {a, b} & orphans:
            found.append((str(b), str(a)))
    return found


def is_acyclic(edges: list[tuple[str, str]], placed: Mapping[str, str]) -> bool:
    pairs = {(placed[a], placed[b]) for a, b in edges if placed[a] != placed[b]}
    left = set(placed.values())
    while left:
        first = {d for d in left if not any(b == d and a in left for a, b in pairs)}
        if not first:
            return False
        left -= first
    return True


def least_ms(data: Mapping[str, Any]) -> float:
    edges = order_edges(data)
    found = (max(loads_ms(data, p).values()) for p in splits(data) if is_acyclic(edges, p))
    return min(found, default=float("inf"))


@pytest.mark.parametrize("seed", range(24))
def test_it_equals_brute_force(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    accelerators, cpus = ((2, 1), (3, 0), (1, 2), (3, 1))[seed % 4]
    data = random_file(
        rng, num_nodes=5, training=seed % 3 > 0, accelerators=accelerators, cpus=cpus, tight=seed % 5 < 2
    )
    if cpus == 0:
        for node in data["nodes"]:
            node["supportedOnFpga"] = 1
    while len(colours(data)) > 6:
        data["nodes"][int(rng.integers(len(data["nodes"])))]["colorClass"] = int(rng.integers(4))
    problem = problem_of(data, tmp_path, "contiguous")
    solution = solve(problem, "convex_dp")
    expected = least_ms(data)
    if expected == float("inf"):
        assert solution.status is Status.INFEASIBLE
        assert solution.reason
        return
    assert solution.status is Status.OPTIMAL
    assert solution.score is not None and solution.score * 1e3 == pytest.approx(expected, rel=1e-9)


def test_with_few_down_sets_allowed_there_is_still_a_plan_and_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    data = random_file(rng, num_nodes=12, training=True, accelerators=3, cpus=1)
    problem = problem_of(data, tmp_path, "contiguous")
    best = solve(problem, "convex_dp").score
    assert best is not None
    for most_words, many in ((300, 8), (10**6, 8)):
        monkeypatch.setattr(convex_dp, "MOST_WORDS", most_words)
        monkeypatch.setattr(convex_dp, "MANY", many)
        solution = solve(problem, "convex_dp")
        assert solution.score is not None and solution.bound is not None
        assert solution.bound <= best * (1 + 1e-9) and solution.score >= best * (1 - 1e-9)
        assert (solution.status is Status.OPTIMAL) == (most_words > 300)


@pytest.mark.parametrize("instance", OPTIMA_MS)
def test_published_optima(instance: str) -> None:
    case = next(c for c in dnn_partitioning.cases() if c.name == f"{instance}:contiguous")
    solution = solve(dnn_partitioning.problem(case), "convex_dp")
    assert solution.status is Status.OPTIMAL
    assert solution.score is not None and solution.score * 1e3 == pytest.approx(OPTIMA_MS[instance], rel=4e-6)
    assert solution.score == pytest.approx(case.best_known, rel=1e-9)


def test_work_is_limited_and_what_was_found_is_kept(tmp_path: Path) -> None:
    data = random_file(np.random.default_rng(3), num_nodes=14, training=False, accelerators=3, cpus=1)
    problem = problem_of(data, tmp_path, "contiguous")
    solutions = [solve(problem, "convex_dp", work_limit=200) for _ in range(2)]
    assert solutions[0].status is Status.FEASIBLE and solutions[0].plan == solutions[1].plan
    assert solutions[0].score is not None and solutions[0].bound is not None


def test_other_problems_are_declined_with_a_reason(tmp_path: Path) -> None:
    data = random_file(np.random.default_rng(1), num_nodes=4, training=False, accelerators=2, cpus=1)
    declined = {
        "contiguous splits": problem_of(data, tmp_path, "non-contiguous"),
        "not for latency": problem_of(data, tmp_path, "latency"),
    }
    problem = problem_of(data, tmp_path, "contiguous")
    first, *others = problem.cluster.devices
    smaller = first.model_copy(update={"memory_bytes": Quantity(value=5)})
    cluster = Cluster(name="uneven", devices=(smaller, *others), segments=problem.cluster.segments)
    declined["differ in memory"] = replace(problem, cluster=cluster)
    for words, other in declined.items():
        solution = solve(other, "convex_dp")
        assert solution.status is Status.DECLINED and words in solution.reason
