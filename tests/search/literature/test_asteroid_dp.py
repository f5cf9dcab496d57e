"""The shared table of Asteroid's dynamic programme: against the paper's algorithms written down plainly."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from models.synthetic import random_chain, random_cluster
from solver.job import Job
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.literature.asteroid_dp import AsteroidTable
from solver.search.literature.group_tables import GroupTables
from solver.search.literature.sample_shares import share_samples
from tests.algorithms.cases import chain, cluster, problem
from tests.search import plain_asteroid


def random_tables(seed: int) -> GroupTables:
    rng = np.random.default_rng(seed)
    workload = random_chain(rng, int(rng.integers(2, 6)))
    links = str(rng.choice(["switch", "pairs", "rooms"]))
    boards = random_cluster(rng, int(rng.integers(1, 5)), links)
    count = int(rng.choice([2, 4, 8]))
    what = Problem(workload, boards, Job(batch=count * int(rng.integers(1, 7))), num_micro_batches=count)
    return GroupTables(what, count)


@pytest.mark.parametrize("seed", range(60))
def test_every_subset_has_the_latency_of_its_own_run(seed: int) -> None:
    tables = random_tables(seed)
    order = sorted(range(len(tables.devices)), key=lambda v: -tables.limit_bytes[v])
    places = range(len(order))
    targets = [one for size in places for one in combinations(places, size + 1)]
    table = AsteroidTable(tables, order, targets, Search(tables.problem))
    for target in targets:
        wanted = plain_asteroid.best_latency(tables, tuple(order[p] for p in target))
        assert table.latency_s(target) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("seed", range(60, 80))
def test_a_run_on_all_devices_is_that_of_the_table_of_every_subset(seed: int) -> None:
    tables = random_tables(seed)
    places = tuple(range(len(tables.devices)))
    targets = [one for size in places for one in combinations(places, size + 1)]
    search = Search(tables.problem)
    whole = AsteroidTable(tables, places, [places], search)
    every = AsteroidTable(tables, places, targets, search)
    assert whole.latency_s(places) == every.latency_s(places)
    plans = [plan for plan in every.found() if plan.target == places]
    assert [plan.latency_s for plan in plans] == [plan.latency_s for plan in whole.found()]
    for plan, other in zip(whole.found(), plans, strict=True):
        assert whole.stages(plan) == every.stages(other)


@pytest.mark.parametrize("seed", range(40))
def test_shares_are_those_of_the_plain_algorithm(seed: int) -> None:
    tables = random_tables(seed)
    group = tuple(range(len(tables.devices)))
    end = tables.num_blocks
    for depth in range(1, tables.chain.max_depth + 1):
        wanted = plain_asteroid.shares_of(tables, group, 0, end, depth)
        room = tables.limit_bytes - tables.static_bytes[end]
        caps = np.minimum(tables.samples, room // np.maximum(tables.held_bytes[depth, 0, end], 1e-9))
        if (room < 0).any():
            assert wanted is None
            continue
        shares = np.zeros(len(group), np.int64)
        found = share_samples(
            *(np.array(group), caps.astype(np.int64), 0, end, tables.times_s, tables.samples, shares)
        )
        assert found == (wanted is not None)
        if wanted is not None:
            assert shares.tolist() == wanted


@pytest.mark.parametrize("seed", range(40))
def test_shares_follow_measured_times_that_are_flat_in_places(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tables = GroupTables(problem(chain(1), cluster({"x": 4.0, "y": 2.0, "z": 1.0}), batch=9), 1)
    steps = rng.integers(0, 3, (2, 3, tables.samples, 1)) * rng.random((1, 3, 1, 1))
    times = np.zeros((2, 3, tables.samples + 1, 2))
    times[:, :, 1:, 1:] = steps.cumsum(axis=2)
    tables.__dict__["times_s"] = times  # in place of the cached one
    shares = np.zeros(3, np.int64)
    assert share_samples(np.arange(3), np.full(3, tables.samples), 0, 1, times, tables.samples, shares)
    assert shares.tolist() == plain_asteroid.shares_of(tables, (0, 1, 2), 0, 1, 1)


def test_samples_go_by_capacity_then_leave_the_straggler() -> None:
    """8 samples on boards of 4, 2 and 1 flop/s: quotas 4.57, 2.29, 1.14, so 4, 2, 1, and the one left goes
    to the largest remainder, the first: 5, 2, 1. Seconds at 4 flop a sample: 5, 4, 4. Moving one away from
    the first gives the second (the fastest, first of two) 3 samples and 6 s: undone.
    """
    what = problem(chain(1), cluster({"x": 4.0, "y": 2.0, "z": 1.0}), batch=8, num_micro_batches=1)
    tables = GroupTables(what, 1)
    shares = np.zeros(3, np.int64)
    caps = np.array([8, 8, 8])
    assert share_samples(np.arange(3), caps, 0, 1, tables.times_s, 8, shares)
    assert shares.tolist() == [5, 2, 1]


def test_a_cap_sends_the_rest_to_those_with_headroom() -> None:
    """The first has room for 2 samples only; 6 are left for boards of 2 and 1 flop/s: 4 and 2."""
    what = problem(chain(1), cluster({"x": 4.0, "y": 2.0, "z": 1.0}), batch=8, num_micro_batches=1)
    tables = GroupTables(what, 1)
    shares = np.zeros(3, np.int64)
    assert share_samples(np.arange(3), np.array([2, 8, 8]), 0, 1, tables.times_s, 8, shares)
    assert shares.tolist() == [2, 4, 2]
    assert not share_samples(np.arange(3), np.array([2, 3, 2]), 0, 1, tables.times_s, 8, shares)
