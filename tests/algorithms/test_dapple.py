"""dapple: the longest step over alike devices, and its estimate of latency."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy as np
import pytest

from solver.algorithms.dapple import Alike, Shape, best_shapes, estimate_s
from solver.search.incumbent import Search
from solver.solve import solve
from tests.algorithms.cases import chain, cluster, placed, problem


def shapes(num_blocks: int, num_devices: int, num_stages: int) -> Iterator[Shape]:
    for inner in combinations(range(1, num_blocks), num_stages - 1):
        for split in combinations(range(1, num_devices), num_stages - 1):
            bounds = (0, *split, num_devices)
            counts = [b - a for a, b in pairwise(bounds)]
            yield tuple(zip((*inner, num_blocks), counts, strict=True))


def longest(alike: Alike, shape: Shape) -> float:
    begin, steps = 0, []
    for end, r in shape:
        steps += [alike.transfer_s[begin], alike.compute_s[r, end] - alike.compute_s[r, begin]]
        begin = end
    return float(max(steps))


@pytest.mark.parametrize("seed", range(30))
def test_no_shape_of_so_many_stages_has_a_shorter_longest_step(seed: int) -> None:
    rng = np.random.default_rng(seed)
    num_blocks, num_devices = int(rng.integers(1, 6)), int(rng.integers(1, 5))
    times = rng.random((num_devices + 1, num_blocks))
    compute = np.concatenate([np.zeros((num_devices + 1, 1)), times.cumsum(axis=1)], axis=1)
    transfer = np.array([0.0, *rng.random(num_blocks - 1), 0.0])
    alike = Alike(compute, transfer, np.zeros_like(compute))
    search = Search(problem(chain(1), cluster({"x": 1.0})))
    found = {len(shape): shape for shape in best_shapes(alike, num_devices, search)}
    assert set(found) == set(range(1, min(num_blocks, num_devices) + 1))
    for num_stages, shape in found.items():
        assert sum(r for _, r in shape) == num_devices
        wanted = min(longest(alike, one) for one in shapes(num_blocks, num_devices, num_stages))
        assert longest(alike, shape) == pytest.approx(wanted)


def test_the_estimate_of_two_stages() -> None:
    """Three blocks of 4 s; two of them on two devices at half the time, the last on one; 5 micro-batches.
    Steps: 4, transfer 1, 4. Longest 4: (5 - 1) x 4 + 8 + 1. The ring of the first takes 6 s, of which nothing
    is hidden; that of the second (3 s) hides behind one longest step."""
    compute = np.array([[0.0, 0, 0, 0], [0, 4, 8, 12], [0, 2, 4, 6]])
    reduce = np.array([[0.0, 0, 0, 0], [0, 1, 2, 5], [0, 3, 6, 9]])
    alike = Alike(compute, np.array([0.0, 1, 1, 0]), reduce)
    assert estimate_s(alike, ((2, 2), (3, 1)), 5) == pytest.approx(16 + 8 + 1 + 6)


def test_three_equal_boards_on_a_chain_of_two_blocks() -> None:
    """Two blocks of 2 + 2 flop, boards of 1 flop/s, 4 micro-batches of 2 samples, weights of 1000 bytes at 10
    bytes/s. One stage of three boards reduces 2000 bytes: 267 s. Two stages reduce one block over two boards:
    100 s, of which the second stage hides one longest step: the pair comes last."""
    boards = cluster({"x": 1.0, "y": 1.0, "z": 1.0}, rate=10.0, memory=dict.fromkeys("xyz", 1e6))
    what = problem(chain(2, weight_bytes=1000), boards, batch=8, num_micro_batches=4)
    assert placed(solve(what, "dapple").plan) in ([("a", "x"), ("b", "y+z")], [("a", "x+y"), ("b", "z")])


def test_samples_are_shared_evenly_whatever_the_speed() -> None:
    what = problem(chain(1), cluster({"x": 4.0, "y": 1.0}), batch=5, num_micro_batches=1)
    solution = solve(what, "dapple")
    assert solution.plan is not None
    assert solution.plan.pipelines[0].stages[0].shares == {"x": 3, "y": 2}
