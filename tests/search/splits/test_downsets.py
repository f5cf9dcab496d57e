"""Down-sets of atoms equal those found as Python integers; atoms merge what they may."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from solver.search.measured.ideals import ideals
from solver.search.splits.atoms import make_atoms
from solver.search.splits.downsets import all_downsets, prefixes, some_order
from solver.search.splits.host_graph import host_graph
from tests.search.host_cases import problem_of, random_file


def nothing(work: int) -> None:
    """Count no work."""


def files(seed: int, **words: object) -> dict[str, object]:
    data = random_file(np.random.default_rng(seed), num_nodes=9, training=False, accelerators=2, cpus=1)
    for i, node in enumerate(data["nodes"]):
        node.update({"colorClass": 100 + i, "fpgaLatency": 1.0, **words})
    return data


@pytest.mark.parametrize("seed", range(8))
def test_all_down_sets(seed: int, tmp_path: Path) -> None:
    problem = problem_of(files(seed), tmp_path, "contiguous")
    atoms = make_atoms(host_graph(problem), np.inf)
    downsets = all_downsets(atoms, 10**6, nothing)
    every = ideals(problem.workload, 10**6)
    assert downsets is not None and every is not None and atoms.num == 9
    assert downsets.num == len(every)
    sizes = [int(word).bit_count() for word in downsets.words[:, 0]]
    assert sizes == sorted(int(mask).bit_count() for mask in every)
    for i in range(downsets.num):
        for e in range(downsets.start[i], downsets.start[i + 1]):
            before, after = int(downsets.words[i, 0]), int(downsets.words[downsets.child[e], 0])
            assert after == before | 1 << int(downsets.added[e]) != before
    assert len(np.unique(downsets.words, axis=0)) == downsets.num
    assert all_downsets(atoms, downsets.num - 1, nothing) is None


def test_prefixes_of_any_order_are_down_sets(tmp_path: Path) -> None:
    atoms = make_atoms(host_graph(problem_of(files(2), tmp_path, "contiguous")), np.inf)
    downsets = all_downsets(atoms, 10**6, nothing)
    assert downsets is not None
    known = set(downsets.words[:, 0].tolist())
    for rng in (None, np.random.default_rng(0), np.random.default_rng(1)):
        assert set(prefixes(atoms, some_order(atoms, rng)).words[:, 0].tolist()) <= known


def test_nets_that_reach_the_limit_are_merged(tmp_path: Path) -> None:
    graph = host_graph(problem_of(files(3), tmp_path, "contiguous"))
    whole = make_atoms(graph, np.inf)
    costs = np.unique(whole.net_cost_s.max(axis=1))
    assert make_atoms(graph, float(costs[-1])).num < whole.num
    assert make_atoms(graph, float(costs[-1]) * 1.01).num == whole.num


def test_what_takes_no_time_goes_to_its_only_neighbour(tmp_path: Path) -> None:
    data = files(4)
    # 0 -> 1 -> ... -> 8, in which the ends take no time: each is merged into its neighbour.
    data["edges"] = [
        {"sourceId": 10 * i + 3, "destId": 10 * i + 13, "cost": 1.0, "size": 1.0} for i in range(8)
    ]
    nodes = data["nodes"]
    assert isinstance(nodes, list)
    for node in (nodes[0], nodes[8]):
        node.update({"cpuLatency": 0.0, "fpgaLatency": 0.0, "supportedOnFpga": 1})
    for node in nodes[1:8]:
        node.update({"cpuLatency": 1.0, "supportedOnFpga": 1})
    atoms = make_atoms(host_graph(problem_of(data, tmp_path, "contiguous")), np.inf)
    assert atoms.num == 7
    # With little memory the ends may have to go elsewhere.
    data["maxSizePerFPGA"] = 1.0
    assert make_atoms(host_graph(problem_of(data, tmp_path, "contiguous")), np.inf).num == 9


@pytest.mark.parametrize("most", [1, 4, 8])
def test_atoms_shrink_to_a_number(most: int, tmp_path: Path) -> None:
    data = files(5)
    data["edges"] = [
        {"sourceId": 10 * i + 3, "destId": 10 * j + 3, "cost": 1.0, "size": 1.0}
        for i, j in [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (4, 5), (4, 6), (5, 7), (6, 7), (7, 8)]
    ]
    atoms = make_atoms(host_graph(problem_of(data, tmp_path, "contiguous")), np.inf, most=most)
    assert 1 <= atoms.num <= most
    assert (atoms.succ > np.repeat(np.arange(atoms.num), np.diff(atoms.succ_start))).all()
