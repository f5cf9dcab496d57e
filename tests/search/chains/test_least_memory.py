"""least_memory: against every chain of single devices, and by hand."""

from __future__ import annotations

from itertools import combinations, permutations

import pytest

from solver.search.chains.chain import ChainTables
from solver.search.chains.least_memory import least_memory
from tests.algorithms.cases import chain, cluster, problem, random_problem


def by_hand_over_all(tables: ChainTables) -> float:
    """The least, over all chains, of the largest need / memory of a stage."""
    best = float("inf")
    blocks, names = range(1, tables.num_blocks), range(len(tables.devices))
    for num in range(1, tables.max_depth + 1):
        for inner in combinations(blocks, num - 1):
            cuts = (0, *inner, tables.num_blocks)
            for order in permutations(names, num):
                needs = [
                    tables.need_bytes[num - s, cuts[s], cuts[s + 1]] / tables.limit_bytes[v]
                    for s, v in enumerate(order)
                ]
                best = min(best, max(needs))
    return best


@pytest.mark.parametrize("seed", range(40))
def test_it_is_the_least_over_all_chains(seed: int) -> None:
    tables = ChainTables(what := random_problem(seed), what.num_micro_batches or 1)
    found = least_memory(tables)
    assert found.factor == pytest.approx(by_hand_over_all(tables), rel=1e-12)
    depth = len(found.stages)
    needs = [
        tables.need_bytes[depth - s, h, i] / tables.limit_bytes[tables.devices.index(v)]
        for s, (v, h, i) in enumerate(found.stages)
    ]
    assert max(needs) == pytest.approx(found.factor, rel=1e-12)
    assert [h for _, h, _ in found.stages] == [0, *(i for _, _, i in found.stages[:-1])]
    assert found.stages[-1][2] == tables.num_blocks


def test_two_equal_boards_share_the_weights() -> None:
    """Four blocks of 100 bytes of weights and as many of gradients, sgd; outputs of one byte a sample.

    One board holds 800 bytes and keeps no input; two hold 400 each and a few bytes of messages.
    """
    what = problem(chain(4, weight_bytes=100), cluster({"x": 1.0, "y": 1.0}, memory={"x": 1000, "y": 1000}))
    found = least_memory(ChainTables(what, 4))
    assert [(h, i) for _, h, i in found.stages] == [(0, 2), (2, 4)]
    assert 0.4 < found.factor < 0.41


def test_more_devices_than_tables_hold_is_refused() -> None:
    names = {f"d{i}": 1.0 for i in range(17)}
    with pytest.raises(ValueError, match="17 devices"):
        least_memory(ChainTables(problem(chain(2), cluster(names)), 4))
