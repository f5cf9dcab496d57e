"""Chain tables against the evaluator: memory to the byte, lanes, updates; and bounds on the step."""

from __future__ import annotations

import numpy as np
import pytest

from solver.evaluate import judge
from solver.search.chains.chain import ChainTables, Interval
from solver.search.chains.chain_value import bottleneck_s, step_bound_s
from tests.algorithms.cases import chain, cluster, problem, random_problem


def drawn(tables: ChainTables, rng: np.random.Generator) -> list[Interval]:
    most, num_blocks = tables.max_depth, tables.num_blocks
    num = int(rng.integers(1, most + 1))
    inner = rng.choice(np.arange(1, num_blocks), num - 1, replace=False) if num > 1 else []
    cuts = [0, *sorted(int(cut) for cut in inner), num_blocks]
    order = rng.permutation(len(tables.devices))[:num]
    return [(tables.devices[v], cuts[k], cuts[k + 1]) for k, v in enumerate(order)]


@pytest.mark.parametrize("seed", range(80))
def test_random_chains_cost_what_the_evaluator_says(seed: int) -> None:
    what = random_problem(seed)
    rng = np.random.default_rng(seed)
    tables = ChainTables(what, what.num_micro_batches or 1)
    stages = drawn(tables, rng)
    report, bottleneck = judge(what, tables.plan(stages))
    broken = {violation.where for violation in report.violations}
    for k, (name, h, i) in enumerate(stages):
        depth, v = len(stages) - k, tables.devices.index(name)
        assert tables.need_bytes[depth, h, i] == report.memory[name].peak_bytes
        assert tables.fits[v, depth, h, i] == (name not in broken)
    assert bottleneck_s(tables, stages) == pytest.approx(bottleneck, rel=1e-9)
    if tables.is_uniform and not len(tables.media):
        lanes = [tables.lane_s[tables.devices.index(name), h, i] for name, h, i in stages]
        assert max(lanes) == pytest.approx(bottleneck, rel=1e-9)
    updates = [row.duration_s for row in report.program.rows if row.phase == "update"]
    expected = [tables.update_s[tables.devices.index(name), h, i] for name, h, i in stages]
    assert sorted(updates) == pytest.approx(sorted(value for value in expected if value), rel=1e-9)
    assert step_bound_s(tables, stages) <= report.step_time_s * (1 + 1e-9)
    assert tables.num_micro_batches * bottleneck <= report.step_time_s * (1 + 1e-9)
    assert tables.work_s <= bottleneck


def test_two_stages_by_hand() -> None:
    """M = 4. The first stage of two keeps 3 samples in flight: 10 kept and 1 output each, and receives
    gradients of 1 byte up to 2 computations ahead; its weight and gradient are 2 bytes.

    At worst 3 x (10 + 1) + 3 x 1 + 2 = 38; the last stage alone in flight: 10, one input waiting (the kept
    input is the received one) and one gradient not yet sent: 10 + 2 x 1 + 1 + 2 = 15 at most.
    """
    what = problem(chain(2, kept_bytes=10), cluster({"x": 1, "y": 1}))
    tables = ChainTables(what, 4)
    assert tables.need_bytes[2, 0, 1] == 38
    assert tables.need_bytes[1, 1, 2] == 15


def test_links_alike_are_told_from_links_that_differ() -> None:
    assert ChainTables(problem(chain(2), cluster({"x": 1, "y": 1, "z": 1})), 4).is_uniform
    seeds = [seed for seed in range(40) if len(random_problem(seed).cluster.links) > 1]
    for seed in seeds[:5]:
        what = random_problem(seed)
        tables = ChainTables(what, what.num_micro_batches or 1)
        assert tables.is_symmetric
        assert not tables.is_uniform or tables.num_blocks == 1
