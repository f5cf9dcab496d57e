"""Beam: stages that fit, never better than the optimum, and mostly as good."""

from __future__ import annotations

import pytest

from models.synthetic import transformer_chain, unequal_switch
from solver.job import Job
from solver.problem import Problem
from solver.search.chains.beam import good_chain
from solver.search.chains.chain import ChainTables
from solver.search.chains.chain_value import bottleneck_s
from solver.search.incumbent import Search
from solver.solve import solve
from tests.algorithms.cases import chain, cluster, problem, random_problem


def test_it_finds_the_cut_by_hand() -> None:
    what = problem(chain(3), cluster({"slow": 1, "fast": 2}), objective="bottleneck")
    found = good_chain(ChainTables(what, 4), Search(what))
    assert found is not None and found[0] == pytest.approx(4.0)


@pytest.mark.parametrize("seed", range(20))
def test_what_it_finds_fits_and_is_worth_what_it_says(seed: int) -> None:
    what = random_problem(seed)
    tables = ChainTables(what, what.num_micro_batches or 1)
    found, exact = good_chain(tables, Search(what)), solve(what, "bitmask_dp")
    if found is None:
        return
    value, stages = found
    assert exact.score is not None and value >= exact.score * (1 - 1e-9)
    assert value == bottleneck_s(tables, stages)
    for k, (name, h, i) in enumerate(stages):
        assert tables.fits[tables.devices.index(name), len(stages) - k, h, i]


def test_it_comes_near_on_many_boards_with_little_memory() -> None:
    workload = transformer_chain(24)
    room = 2.5 * sum(block.weight_bytes * 2 for block in workload.blocks)
    what = Problem(workload, unequal_switch(8, room), Job(batch=16), "bottleneck", num_micro_batches=8)
    found, exact = good_chain(ChainTables(what, 8), Search(what)), solve(what, "bitmask_dp")
    assert found is not None and exact.score is not None
    assert found[0] <= 1.02 * exact.score
