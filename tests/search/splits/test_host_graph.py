"""What a split costs as arrays, by the evaluator, and by the rules of the format written a second time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from solver.errors import DeclinedError
from solver.evaluate import judge
from solver.search.splits.host_graph import host_graph
from solver.settings import Settings
from tests.search.host_cases import latency_ms, loads_ms, problem_of, random_file


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("training", [False, True])
def test_loads_are_the_evaluators_and_the_formats(seed: int, training: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    data = random_file(rng, num_nodes=7, training=training, accelerators=3, cpus=2, tight=seed % 2 == 1)
    feasible = 0
    for variant in ("contiguous", "non-contiguous"):
        problem = problem_of(data, tmp_path, variant)
        graph = host_graph(problem)
        for _ in range(12):
            split = rng.integers(0, 5, int(graph.group.max()) + 1)[graph.group].astype(np.int32)
            split[~np.isfinite(graph.time_s[:, 0])] = 4
            report, score = judge(problem, graph.plan(split))
            loads = loads_ms(data, graph.placed(split))
            assert score * 1e3 == pytest.approx(max(loads.values()), rel=1e-9)
            assert graph.load(split) == pytest.approx(score, rel=1e-12)
            assert report.is_feasible == graph.is_feasible(split)
            feasible += report.is_feasible
            assert graph.split(graph.placed(split)).tolist() == split.tolist()
    assert feasible > 0


@pytest.mark.parametrize("seed", range(20))
def test_latency_is_the_evaluators_and_the_formats(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    data = random_file(rng, num_nodes=8, training=False, accelerators=3, cpus=0)
    problem = problem_of(data, tmp_path, "latency")
    graph = host_graph(problem)
    for _ in range(12):
        split = rng.integers(0, 4, int(graph.group.max()) + 1)[graph.group].astype(np.int32)
        split[~np.isfinite(graph.time_s[:, 0])] = 3
        report, score = judge(problem, graph.plan(split))
        expected = latency_ms(data, graph.placed(split))
        assert graph.latency(split) * 1e3 == pytest.approx(expected, rel=1e-9)
        assert report.is_feasible == graph.is_feasible(split)
        if np.isfinite(expected):
            assert score * 1e3 == pytest.approx(expected, rel=1e-9)


def test_other_problems_are_declined_with_the_reason(tmp_path: Path) -> None:
    data = random_file(np.random.default_rng(0), num_nodes=4, training=False, accelerators=2, cpus=1)
    problem = problem_of(data, tmp_path, "contiguous")
    with pytest.raises(DeclinedError, match="transfers through the host"):
        host_graph(replace(problem, settings=Settings()))
    with pytest.raises(DeclinedError, match="not for energy"):
        host_graph(replace(problem, objective="energy"))
