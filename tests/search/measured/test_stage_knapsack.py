"""Long stages: relaxation and branch and bound against all choices."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from solver.program import Floats
from solver.search.measured import stage_knapsack
from solver.search.measured.stage_knapsack import branch, counts_in_flight, relax, upgrades


def brute_force(work_s: Floats, memory: Floats, counts: list[int], room: float) -> float:
    best = math.inf
    for chosen in product(*map(range, counts)):
        if sum(memory[b, v] for b, v in enumerate(chosen)) <= room:
            best = min(best, sum(work_s[b, v] for b, v in enumerate(chosen)))
    return best


@pytest.mark.parametrize("seed", range(150))
def test_bounds_and_answers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    counts = rng.integers(1, 4, n)
    shape = (n, 3)
    work_s, memory = rng.integers(0, 20, shape) / 4.0, rng.integers(0, 30, shape).astype(float)
    room = float(rng.integers(0, 15 * n))
    wanted = brute_force(work_s, memory, counts.tolist(), room)
    made = upgrades(counts, work_s, memory)
    chosen = np.zeros(n, np.int64)
    least, rounded = relax(np.ones(n, np.bool_), made.first, work_s, memory, room, tuple(made[:5]), chosen)
    assert least <= wanted + 1e-9 and rounded >= wanted - 1e-9
    assert (least == math.inf) == (wanted == math.inf)
    found, value, is_proven = branch(counts, work_s, memory, room, made.first, tuple(made[:5]))
    assert is_proven and value == pytest.approx(wanted)
    if wanted < math.inf:
        for choice in (chosen, found):
            assert sum(memory[b, v] for b, v in enumerate(choice)) <= room
        assert sum(work_s[b, v] for b, v in enumerate(found)) == pytest.approx(wanted)


def test_a_hard_knapsack_ends_unproven_or_proven_but_valid() -> None:
    rng = np.random.default_rng(0)
    n = 60
    saved = rng.integers(1000, 2000, n).astype(float)
    work_s = np.column_stack((np.zeros(n), saved + 100))
    memory = np.column_stack((saved, np.zeros(n)))
    room = float(saved.sum() / 2 + 0.5)
    made = upgrades(np.full(n, 2), work_s, memory)
    least, _ = relax(
        np.ones(n, np.bool_), made.first, work_s, memory, room, tuple(made[:5]), np.zeros(n, np.int64)
    )
    found, value, _ = branch(np.full(n, 2), work_s, memory, room, made.first, tuple(made[:5]))
    assert least <= value == pytest.approx(sum(work_s[b, v] for b, v in enumerate(found)))
    assert sum(memory[b, v] for b, v in enumerate(found)) <= room


def test_counts_are_all_at_first_and_then_grow() -> None:
    assert counts_in_flight(5).tolist() == [1, 2, 3, 4, 5]
    many = counts_in_flight(512).tolist()
    every = stage_knapsack.EVERY_COUNT
    assert many[:every] == list(range(1, every + 1)) and many[-1] == 512
    assert many == sorted(set(many)) and len(many) < 120
