"""hetpipe: virtual workers side by side, each cut for its slowest stage."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from solver.algorithms.hetpipe import allocations, least_bottleneck, stage_times
from solver.search.literature.group_tables import GroupTables
from solver.solve import solve
from solver.status import Status
from tests.algorithms.cases import chain, cluster, problem, random_problem


@pytest.mark.parametrize("seed", range(40))
def test_no_cut_has_a_faster_slowest_stage(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tables = GroupTables(what := random_problem(seed), what.num_micro_batches or 1)
    num = int(rng.integers(1, tables.chain.max_depth + 1))
    order = rng.permutation(len(tables.devices))[:num].tolist()
    times, fits = stage_times(tables, order), tables.chain.fits[order]
    best = np.inf
    for inner in combinations(range(1, tables.num_blocks), num - 1):
        cuts = (0, *inner, tables.num_blocks)
        if all(fits[s, num - s, cuts[s], cuts[s + 1]] for s in range(num)):
            best = min(best, max(times[s, cuts[s], cuts[s + 1]] for s in range(num)))
    found = least_bottleneck(times, fits)
    if found is None:
        assert best == np.inf
        return
    seconds, cuts = found
    assert seconds == pytest.approx(best)
    assert max(times[s, cuts[s], cuts[s + 1]] for s in range(num)) == pytest.approx(best)


def test_policies_put_alike_devices_together_or_deal_them_out() -> None:
    alike, dealt = allocations([3, 1, 0, 2], 2)
    assert (alike, dealt) == (((3, 1), (0, 2)), ((3, 0), (1, 2)))


def test_two_workers_of_two_boards_share_the_micro_batches() -> None:
    """Two blocks of 1000 flop each way, boards of 1000 and 500 flop/s twice, 12 micro-batches of one sample,
    no time for messages, room for one block a board. One worker leaves two boards without a block. Dealt out,
    a worker of 1000 and 500 flop/s takes 4 s a micro-batch in its slowest stage: 6 each, 6 x 4 + 2 = 26 s or
    more. Alike, they take 2 s and 4 s, so 8 and 4 micro-batches: 8 x 2 + 2 = 18 s and 4 x 4 + 4 = 20 s.
    """
    speeds = {"a1": 1000.0, "a2": 1000.0, "b1": 500.0, "b2": 500.0}
    boards = cluster(speeds, rate=1e12, memory=dict.fromkeys(speeds, 350.0))
    blocks = chain(2, forward_flop=1000.0, backward_weight_flop=1000.0, weight_bytes=100)
    what = problem(blocks, boards, batch=12)
    solution = solve(what, "hetpipe")
    assert solution.plan is not None
    assert [pipeline.micro_batches for pipeline in solution.plan.pipelines] == [8, 4]
    assert [[*stage.shares] for stage in solution.plan.pipelines[1].stages] == [["b1"], ["b2"]]
    assert solution.score == pytest.approx(20.0, rel=1e-6)


def test_micro_batches_add_up_to_those_of_the_problem() -> None:
    for seed in range(10):
        what = random_problem(seed, "time")
        solution = solve(what, "hetpipe")
        if solution.plan is not None:
            assert sum(p.num_micro_batches for p in solution.plan.pipelines) == what.num_micro_batches
            assert {p.samples for p in solution.plan.pipelines} == {what.job.batch // what.num_micro_batches}


def test_no_room_is_said() -> None:
    boards = cluster({"x": 1.0, "y": 1.0}, memory={"x": 10_000, "y": 1})
    solution = solve(problem(chain(2, weight_bytes=10_000), boards), "hetpipe")
    assert solution.status is not Status.FEASIBLE and "bytes" in solution.reason
