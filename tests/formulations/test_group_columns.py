"""Group columns: prices, mixtures and bounds against all hybrid pipelines of small problems."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest

from models.cluster import Cluster
from solver.evaluate import judge
from solver.formulations.group_columns import Master
from solver.job import Job
from solver.plan import Plan, Stage, pipeline_plan
from solver.problem import Problem
from solver.search.hybrid.group_caps import GroupCaps
from solver.solve import solve
from tests import random_plans

BLOCKS, DEVICES, SAMPLES, COUNT = 4, 3, 3, 2


def small(seed: int, memory: float | None = None) -> Problem:
    rng = np.random.default_rng(seed)
    workload, cluster = random_plans.chain(rng, BLOCKS), random_plans.cluster(rng, DEVICES)
    if memory is not None:
        plain = cluster.model_dump()
        for device in plain["devices"]:
            device["memory_bytes"] = {"value": memory * float(rng.uniform(0.7, 1.3))}
        cluster = Cluster.model_validate(plain)
    job = Job(batch=SAMPLES * COUNT, optimizer="momentum")
    return Problem(workload, cluster, job, objective="bottleneck", num_micro_batches=COUNT)


def every_hybrid(problem: Problem) -> list[Plan]:
    """All cuts, groups and shares."""
    order, found = problem.workload.order, []
    for num in range(1, min(BLOCKS, DEVICES) + 1):
        for places in product(range(num + 1), repeat=DEVICES):  # the last place: left out
            groups = [[d for d in range(DEVICES) if places[d] == s] for s in range(num)]
            if not all(groups):
                continue
            shared = [list(all_shares([problem.usable[d] for d in group])) for group in groups]
            for inner in combinations(range(1, BLOCKS), num - 1):
                ends = (*inner, BLOCKS)
                for shares in product(*shared):
                    stages = [
                        Stage(blocks=order[h:i], shares=s)
                        for h, i, s in zip((0, *inner), ends, shares, strict=True)
                    ]
                    found.append(pipeline_plan(problem, stages, COUNT))
    return found


def all_shares(names: list[str]):
    for inner in combinations(range(1, SAMPLES), len(names) - 1):
        yield dict(zip(names, np.diff([0, *inner, SAMPLES]).tolist(), strict=True))


@pytest.mark.parametrize(("seed", "memory"), [(0, None), (1, None), (2, 2.5e6), (3, 3.5e6), (4, 2e6)])
def test_bound_and_plans_against_all_hybrid_pipelines(seed: int, memory: float | None) -> None:
    problem = small(seed, memory)
    judged = [judge(problem, plan) for plan in every_hybrid(problem)]
    scores = [score for report, score in judged if report.is_feasible]
    times = [report.step_time_s for report, _ in judged if report.is_feasible]
    found = solve(problem, "group_columns", time_limit_s=30)
    if not scores:
        assert found.plan is None
        return
    best = min(scores)
    assert found.bound is None or found.bound <= best * (1 + 1e-9)
    assert found.score is None or found.score >= best * (1 - 1e-9)
    timed = solve(replace(problem, objective="time"), "group_columns", time_limit_s=30)
    assert timed.bound is None or timed.bound <= min(times) * (1 + 1e-9)
    assert found.score is not None or memory is not None


def test_bound_is_close_where_memory_is_loose() -> None:
    gaps = [solve(small(seed), "group_columns", time_limit_s=30).gap for seed in range(6)]
    assert np.median(gaps) < 0.3


def test_cheapest_group_covers_the_micro_batch() -> None:
    """The knapsack against all groups."""
    groups = GroupCaps(small(5), COUNT)
    master = Master(groups, 1.6 * groups.low_s)
    rng = np.random.default_rng(0)
    for _ in range(5):
        prices = rng.dirichlet(np.ones(DEVICES))
        priced = master.price(prices)
        expected = cheapest_path(master, prices)
        assert (priced is None) == (expected is None)
        if priced:
            assert priced[0] == pytest.approx(expected)
            cost = sum(prices[d] for column in priced[1] for d in column.members())
            assert cost == pytest.approx(priced[0])
            assert all(map(master.keeps, priced[1]))


def cheapest_path(master: Master, prices: np.ndarray) -> float | None:
    """All cuts, and for every interval all groups, which may share devices."""
    best = None
    for num in range(1, master.groups.max_depth + 1):
        for inner in combinations(range(1, BLOCKS), num - 1):
            cuts = (0, *inner, BLOCKS)
            total = 0.0
            for s in range(num):
                room = master.caps[num - s, cuts[s], cuts[s + 1]]
                costs = [
                    sum(prices[d] for d in group)
                    for size in range(1, DEVICES + 1)
                    for group in combinations(range(DEVICES), size)
                    if sum(room[d] for d in group) >= SAMPLES
                ]
                total += min(costs, default=np.inf)
            if np.isfinite(total) and (best is None or total < best):
                best = total
    return best


def test_shares_add_up_and_keep_the_limit() -> None:
    groups = GroupCaps(small(6), COUNT)
    limit = 2 * groups.low_s
    caps = groups.caps(limit)[1, 0, BLOCKS]
    if caps.sum() >= SAMPLES:
        shares = groups.shares([0, 1, 2], 0, BLOCKS, 1, limit)
        assert sum(shares.values()) == SAMPLES
        assert all(n <= caps[groups.devices.index(name)] for name, n in shares.items())


def test_micro_batches_of_too_many_samples_are_left_out_and_said() -> None:
    what = small(3)
    large = replace(what, job=what.job.model_copy(update={"batch": 999_999_937}), num_micro_batches=1)
    solution = solve(large, "group_columns")
    assert solution.bound is None and "999999937 samples" in solution.reason
