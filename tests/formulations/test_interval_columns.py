"""Interval columns: build, invert, and what CBC's tolerance would let through."""

from __future__ import annotations

import math

import numpy as np
import pytest

from solver.formulations.cbc import solve_cbc
from solver.formulations.interval_columns import SCALE, add_boundary_lanes, add_medium, build, least_pass_s
from solver.search.chains.chain import ChainTables
from solver.search.chains.chain_value import bottleneck_s
from tests.algorithms.cases import chain, cluster, problem, random_problem

SPEEDS = {"slow": 1.0, "fast": 2.0}


def tables(kind: str = "switch", rate: float = 1e9, memory: dict[str, float] | None = None) -> ChainTables:
    return ChainTables(problem(chain(3), cluster(SPEEDS, kind, rate, memory), objective="bottleneck"), 4)


def test_columns_that_are_too_busy_or_on_no_path_are_not_made() -> None:
    """Within 4 s the slow board holds one block, the fast one two. In two stages nobody holds b alone."""
    what = tables()
    programme = build(what, what.fits, what.lane_s, 4.0)
    assert programme is not None
    made = {(what.devices[v], int(h), int(i)) for v, h, i, _ in programme.columns}
    ends = {("slow", 0, 1), ("slow", 2, 3), ("fast", 0, 1), ("fast", 2, 3)}
    assert made == ends | {("fast", 0, 2), ("fast", 1, 3)}


def test_the_solution_is_read_back_in_order() -> None:
    what = tables()
    programme = build(what, what.fits, what.lane_s, 4.0)
    assert programme is not None and solve_cbc(programme.problem, math.inf).found
    stages = programme.invert()
    assert [(h, i) for _, h, i in stages] in ([(0, 1), (1, 3)], [(0, 2), (2, 3)])
    assert bottleneck_s(what, stages) == pytest.approx(4.0)


def test_below_the_optimum_there_is_nothing() -> None:
    what = tables()
    programme = build(what, what.fits, what.lane_s, 3.9)
    assert programme is None or not solve_cbc(programme.problem, math.inf).found


def test_memory_leaves_no_columns() -> None:
    what = tables(memory={"slow": 1.0, "fast": 1.0})
    assert build(what, what.fits, what.lane_s, 100.0) is None


def test_a_shared_medium_carries_both_ways() -> None:
    """A message takes 2.4 s each way: 4.8 s on the medium."""
    what = tables("shared", rate=1 / 2.4)
    for limit, found in ((4.7, False), (4.9, True)):
        programme = build(what, what.fits, what.lane_s, limit)
        assert programme is not None
        add_medium(programme)
        assert solve_cbc(programme.problem, math.inf).found is found


def test_what_is_too_busy_by_less_than_the_tolerance_is_cut_off() -> None:
    """All boundaries cost the same, so one cover inequality is enough for all plans with two of them."""
    what = tables("shared", rate=1 / 2.4)
    limit = 4.8 * (1 - 1e-11)
    programme = build(what, what.fits, what.lane_s, limit)
    assert programme is not None
    add_medium(programme)
    rounds = 0
    while solve_cbc(programme.problem, math.inf).found:
        assert bottleneck_s(what, programme.invert()) > limit
        assert programme.cut_off()
        rounds += 1
    assert rounds <= 1


def test_boundaries_carry_what_the_tables_say() -> None:
    """Whatever feasible solution comes out, its lanes are within the limit."""
    for seed in range(30):
        what = random_problem(seed)
        count = what.num_micro_batches or 1
        costs = ChainTables(what, count)
        limit = 2 * float(np.median(costs.compute_s[np.isfinite(costs.compute_s)]))
        programme = build(costs, costs.fits, costs.compute_s, limit)
        if programme is None:
            continue
        add_boundary_lanes(programme)
        if solve_cbc(programme.problem, math.inf).found:
            assert bottleneck_s(costs, programme.invert()) <= limit * (1 + 1e-6)
            for terms in programme.lanes:
                assert sum(cost * (x.value() or 0) for x, cost in terms) <= SCALE * (1 + 1e-6)


def test_one_micro_batch_passes_blocks_on_the_fastest_board_at_best() -> None:
    """4 flop a block at 2 flop/s, messages of 1 s each way at each boundary only if a gradient passes."""
    found = least_pass_s(tables(rate=1.0))
    assert found.tolist() == pytest.approx([0.0, 4.0, 6.0, 6.0])
