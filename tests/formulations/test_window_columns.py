"""Window columns: the programme's answer is the best path of columns, by listing all."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from solver.formulations.window_columns import Chosen, StageCosts, Window, repair
from solver.job import Job
from solver.problem import Problem
from tests import random_plans

BLOCKS, MICRO_BATCHES = 4, 3


def costs_of(seed: int) -> StageCosts:
    rng = np.random.default_rng(seed)
    workload, boards = random_plans.chain(rng, BLOCKS), random_plans.cluster(rng, 3)
    what = Problem(workload, boards, Job(batch=6), num_micro_batches=MICRO_BATCHES)
    return StageCosts(what, MICRO_BATCHES, fills=False)


def value(costs: StageCosts, path: Chosen, floor_s: float) -> float:
    longest = max(floor_s, *(costs.stage_s(*stage) for stage in path))
    return (MICRO_BATCHES - 1) * longest + sum(costs.once_s(*stage) for stage in path)


def paths(costs: StageCosts, window: Window) -> list[Chosen]:
    found = []
    for num in (1, 2, 3):
        for inner in combinations(range(window.start + 1, window.end), num - 1):
            cuts = [window.start, *inner, window.end]
            for groups in permutations(window.groups, num):
                devices = [d for group in groups for d in group]
                if len(set(devices)) < len(devices):
                    continue
                path = []
                for s, group in enumerate(groups):
                    depth = window.after + num - s
                    ways = [w for w in (0, 1) if costs.fits(cuts[s], cuts[s + 1], depth, group, w)]
                    path += [(cuts[s], cuts[s + 1], group, w) for w in ways[:1]]
                if len(path) == num:
                    found.append(path)
    return found


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("end", "after", "floor_s"), [(BLOCKS, 0, 0.0), (3, 1, 0.01)])
def test_the_answer_is_the_best_path(seed: int, end: int, after: int, floor_s: float) -> None:
    costs = costs_of(seed)
    groups = ((0,), (1,), (2,), (0, 1), (1, 2), (0, 2))
    # Three stages now, so that one, two and three may come.
    window = Window(0, end, after, groups, [(0, 1, (0,)), (1, 2, (1,)), (2, end, (2,))], floor_s)
    every = paths(costs, window)
    found = repair(costs, window, seed=1, seconds=10.0)
    if not every:
        assert found is None
        return
    assert found is not None and found in every
    best = min(value(costs, path, floor_s) for path in every)
    assert value(costs, found, floor_s) == pytest.approx(best, rel=1e-4)


def test_the_same_seed_gives_the_same_answer() -> None:
    window = Window(0, BLOCKS, 0, ((0,), (1,), (2,)), [(0, 2, (0,)), (2, 4, (1,))], 0.0)
    assert repair(costs_of(1), window, 5, 10.0) == repair(costs_of(1), window, 5, 10.0)
