"""Rings and stars that plans can ask for: seconds by hand, and the rings that no plan can name."""

from __future__ import annotations

import pytest

from experiments.cases.collectives import free_rings_s, rings, stars
from experiments.cases.regimes import Network, boards_of, over
from models import catalog
from solver.job import Job
from solver.problem import Problem
from solver.solve import solve


def problem(network: Network) -> Problem:
    boards = boards_of("jetson_mixed")
    workload = catalog.workload("vit_digits")
    return Problem(workload, over(boards, network, "four"), Job(batch=32), num_micro_batches=1)


def test_rings_over_a_switch_take_equally_long() -> None:
    asked = problem(Network("switch", 100))
    plan = solve(asked, "data_parallel").plan
    assert plan is not None
    found = list(rings(asked, plan))
    size = sum(asked.costs.block(name).trained_bytes for name in asked.workload.order)
    by_hand = 6 * (size / 4 / 12.5e6 + 2e-4)  # 2 (n - 1) steps of a quarter over 100 Mbit/s
    assert len(found) == 24
    assert [one.sync_s for one in found] == pytest.approx([by_hand] * 24)
    assert free_rings_s(asked, plan) == pytest.approx((by_hand, by_hand))


def test_a_plan_says_only_where_a_ring_over_unequal_links_begins() -> None:
    asked = problem(Network("mixed", 1))
    plan = solve(asked, "data_parallel").plan
    assert plan is not None
    found = list(rings(asked, plan))
    assert {one.first for one in found} == {"nano", "tx2", "nx", "orin"}
    assert len(found) == 4
    least, most = free_rings_s(asked, plan)
    assert all(least * (1 - 1e-9) <= one.sync_s <= most * (1 + 1e-9) for one in found)


def test_a_star_over_a_switch_sends_everything_through_its_centre() -> None:
    asked = problem(Network("switch", 100))
    plan = solve(asked, "data_parallel").plan
    assert plan is not None
    size = sum(asked.costs.block(name).trained_bytes for name in asked.workload.order)
    found = list(stars(asked, plan))
    assert [one.first for one in found] == ["nano", "tx2", "nx", "orin"]
    # Three members send all to the centre one after another, then it sends all to each.
    assert [one.sync_s for one in found] == pytest.approx([2 * 3 * (size / 12.5e6 + 2e-4)] * 4)
