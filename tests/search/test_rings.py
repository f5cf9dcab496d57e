"""Rings of plans: as good as the best of all orders by the evaluator, and left alone where none is better."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest

from models.cluster import Cluster
from solver.evaluate import judge
from solver.plan import Plan, Stage, pipeline_plan
from solver.problem import Problem
from solver.search import rings
from solver.search.incumbent import Search
from solver.search.rings import choose_rings, ring_rule, with_ring
from tests.algorithms.boards import boards, chain, problem

NAMES = ("x0", "x1", "x2", "x3", "x4")


def unequal(seed: int, num: int) -> Cluster:
    """Boards with a link of its own rate between every two."""
    rng = np.random.default_rng(seed)
    links = [
        {"between": pair, "bandwidth_bytes_per_s": float(rng.integers(100, 2000)), "latency_s": 0.01}
        for pair in combinations(NAMES[:num], 2)
    ]
    bare = boards(*[1.0] * num).model_dump(exclude={"segments", "links"})
    return Cluster.model_validate({**bare, "links": links})


def data_parallel(asked: Problem, **words: Any) -> Plan:
    names = asked.usable
    shares = {name: 8 // len(names) + (i < 8 % len(names)) for i, name in enumerate(names)}
    return pipeline_plan(asked, [Stage(blocks=asked.workload.order, shares=dict(shares), **words)], 1)


@pytest.mark.parametrize(("seed", "num"), [(0, 4), (1, 4), (4, 5), (5, 5)])
def test_the_evaluator_knows_no_better_order(seed: int, num: int) -> None:
    asked = problem(unequal(seed, num))
    plan = data_parallel(asked)
    search = Search(asked)
    choose_rings(search, [plan])
    first, *others = asked.usable
    orders = ((first, *rest) for rest in permutations(others))
    least = min(judge(asked, with_ring(plan, (0, 0), order))[1] for order in orders)
    own = judge(asked, plan)[1]
    assert min(search.best_score, own) == pytest.approx(least, rel=1e-12)


def test_every_stage_gets_a_ring_of_its_own() -> None:
    """Four boards and four: in both groups the nearest next goes over the slowest link at last."""
    eight = ("a", "b", "c", "d", "e", "f", "g", "h")
    rate = dict.fromkeys(combinations(eight, 2), 500.0)
    for one in (eight[:4], eight[4:]):
        a, b, c, d = one
        rate |= {(a, b): 800.0, (b, c): 800.0, (c, d): 800.0, (a, c): 200.0, (b, d): 200.0, (a, d): 100.0}
    links = [{"between": pair, "bandwidth_bytes_per_s": value} for pair, value in rate.items()]
    devices = [{"name": name, "flop_per_s": {"fp32": 1e9}, "memory_bytes": 1e9} for name in eight]
    cluster = Cluster.model_validate({"name": "eight", "devices": devices, "links": links})
    asked = problem(cluster)
    order = asked.workload.order
    first, second = dict.fromkeys(eight[:4], 2), dict.fromkeys(eight[4:], 2)
    stages = [Stage(blocks=order[:2], shares=dict(first)), Stage(blocks=order[2:], shares=dict(second))]
    search = Search(asked)
    search.offer(pipeline_plan(asked, stages, 1))
    before = search.best_score
    choose_rings(search)
    assert search.best_plan is not None
    named = [stage.ring for stage in search.best_plan.pipelines[0].stages]
    assert named == [("a", "b", "d", "c"), ("e", "f", "h", "g")]
    # Both reduce 2000 bytes at once, in six steps of 500 over their slowest hop: 200 instead of 100 byte/s.
    assert before - search.best_score == pytest.approx(6 * (500 / 100 - 500 / 200))


def test_where_all_devices_are_equally_far_nothing_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = problem(boards(1, 1, 2, 2))
    assert ring_rule(asked) == "any"
    monkeypatch.setattr(rings, "judge", None)
    search = Search(asked)
    choose_rings(search, [data_parallel(asked)])
    assert search.best_plan is None


def test_bounds_name_the_rings_they_hold_for() -> None:
    assert ring_rule(problem(unequal(0, 4))) == "nearest"
    assert ring_rule(problem(unequal(0, 3))) == "any"  # three can be joined in one way only


def trusted(*levels: int) -> Cluster:
    """Equal boards on one switch, each with a level of trust."""
    bare = boards(*[1.0] * len(levels)).model_dump()
    for device, level in zip(bare["devices"], levels, strict=True):
        device["trust"] = level
    return Cluster.model_validate(bare)


def test_what_crosses_to_less_trusted_devices_depends_on_the_ring_over_equal_links_too() -> None:
    levels = trusted(2, 1, 0)
    asked = problem(levels, "untrusted")
    plan = data_parallel(asked)
    down_twice, down_once = (
        judge(asked, with_ring(plan, (0, 0), ring))[1] for ring in (("x0", "x1", "x2"), ("x0", "x2", "x1"))
    )
    assert down_once < down_twice == judge(asked, plan)[1]
    assert ring_rule(asked) == "nearest"
    assert ring_rule(problem(levels)) == "any"
    limited = asked.job.model_copy(update={"untrusted_limit_bytes": 10**9})
    assert ring_rule(Problem(asked.workload, levels, limited, num_micro_batches=1)) == "nearest"


def test_a_ring_that_goes_down_in_trust_once_keeps_a_limit_that_others_break() -> None:
    levels = trusted(2, 1, 0, 1)
    free = problem(levels, "untrusted")
    plan = data_parallel(free)
    first, *others = free.usable
    all_bytes = [judge(free, with_ring(plan, (0, 0), (first, *rest)))[1] for rest in permutations(others)]
    search = Search(free)
    choose_rings(search, [plan])
    assert search.best_score == min(all_bytes) < judge(free, plan)[1]
    limited = free.job.model_copy(update={"untrusted_limit_bytes": int(min(all_bytes))})
    held = Problem(free.workload, levels, limited, num_micro_batches=1)
    search = Search(held)
    choose_rings(search, [data_parallel(held)])
    assert search.best_plan is not None


def test_other_plans_are_left_out_when_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = problem(unequal(0, 4))
    monkeypatch.setattr(Search, "remaining_s", -1.0)
    search = Search(asked)
    choose_rings(search, [data_parallel(asked)])
    assert search.best_plan is None


def test_a_plan_that_is_judged_infeasible_stays_so_or_is_saved_by_its_ring() -> None:
    """Under a deadline between the two rings only the better one keeps it."""
    asked = problem(unequal(0, 4), workload=chain(weight_bytes=4000))
    plan = data_parallel(asked)
    free = Search(asked)
    free.offer(plan)
    choose_rings(free)
    slow, fast = judge(asked, plan)[1], free.best_score
    job = asked.job.model_copy(update={"deadline_s": (slow + fast) / 2})
    held = Problem(asked.workload, asked.cluster, job, num_micro_batches=1)
    search = Search(held)
    choose_rings(search, [data_parallel(held)])
    assert fast < slow
    assert search.best_score == pytest.approx(fast)
