"""Rings and stars that plans can ask for: seconds by hand, and the ring that we choose."""

from __future__ import annotations

import pytest

from experiments.cases.collectives import chosen_ring, nearest_rings, rings, stars
from experiments.cases.regimes import Network, boards_of, over
from models import catalog
from solver.job import Job
from solver.plan import Plan
from solver.problem import Problem
from solver.solve import solve


def problem(network: Network) -> Problem:
    boards = boards_of("jetson_mixed")
    workload = catalog.workload("vit_digits")
    return Problem(workload, over(boards, network, "four"), Job(batch=32), num_micro_batches=1)


def data_parallel(asked: Problem) -> Plan:
    plan = solve(asked, "data_parallel").plan
    assert plan is not None
    return plan


def test_rings_over_a_switch_take_equally_long() -> None:
    asked = problem(Network("switch", 100))
    plan = data_parallel(asked)
    found = list(rings(asked, plan))
    size = sum(asked.costs.block(name).trained_bytes for name in asked.workload.order)
    by_hand = 6 * (size / 4 / 12.5e6 + 2e-4)  # 2 (n - 1) steps of a quarter over 100 Mbit/s
    assert [one.sync_s for one in found] == pytest.approx([by_hand] * 3)
    assert chosen_ring(asked, plan).plan.pipelines[0].stages[0].ring == ()


def test_a_ring_that_is_not_named_begins_with_the_first_share() -> None:
    asked = problem(Network("mixed", 1))
    found = list(nearest_rings(asked, data_parallel(asked)))
    assert [one.first for one in found] == ["nano", "tx2", "nx", "orin"]


def test_the_ring_we_choose_over_unequal_links_is_the_best_of_all() -> None:
    asked = problem(Network("mixed", 2))
    plan = data_parallel(asked)
    times = [one.step_time_s for one in rings(asked, plan)]
    nearest = [one.step_time_s for one in nearest_rings(asked, plan)]
    assert chosen_ring(asked, plan).step_time_s == pytest.approx(min(times))
    # In this draw the nearest next never comes upon it, whichever device begins.
    assert min(nearest) > 1.01 * min(times)


def test_a_star_over_a_switch_sends_everything_through_its_centre() -> None:
    asked = problem(Network("switch", 100))
    size = sum(asked.costs.block(name).trained_bytes for name in asked.workload.order)
    found = list(stars(asked, data_parallel(asked)))
    assert [one.first for one in found] == ["nano", "tx2", "nx", "orin"]
    # Three members send all to the centre one after another, then it sends all to each.
    assert [one.sync_s for one in found] == pytest.approx([2 * 3 * (size / 12.5e6 + 2e-4)] * 4)
