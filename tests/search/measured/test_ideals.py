"""Ideals against all subsets of small DAGs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from models.workload import Workload
from solver.search.measured.ideals import ideals, prefixes


def dag(num_blocks: int, pairs: list[tuple[int, int]]) -> Workload:
    names = [f"b{i}" for i in range(num_blocks)]
    edges = [{"source": names[a], "target": names[b]} for a, b in pairs]
    blocks = [{"name": name, "forward_flop": 1} for name in names]
    return Workload.model_validate({"name": "dag", "blocks": blocks, "edges": edges})


@pytest.mark.parametrize("seed", range(20))
def test_all_sets_that_hold_their_predecessors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 8))
    work = dag(n, [(a, b) for a in range(n) for b in range(a + 1, n) if rng.random() < 0.3])
    place = {name: i for i, name in enumerate(work.order)}
    pairs = [(place[edge.source], place[edge.target]) for edge in work.edges]
    wanted = {mask for mask in range(2**n) if all(mask >> a & 1 or not mask >> b & 1 for a, b in pairs)}
    found = ideals(work, 2**n)
    assert found is not None and set(found) == wanted and len(found) == len(wanted)
    sizes = [mask.bit_count() for mask in found]
    assert sizes == sorted(sizes) and sizes[0] == 0 and sizes[-1] == n
    assert ideals(work, len(found) - 1) is None
    assert set(prefixes(work)) <= wanted


def test_a_chain_has_its_prefixes() -> None:
    work = dag(5, list(pairwise(range(5))))
    assert ideals(work, 6) == prefixes(work) == (0, 1, 3, 7, 15, 31)
