"""Random mixtures of nets, modes and words: the undivided training, bytes, and memory as predicted."""

from __future__ import annotations

import pytest

from solver.check import check
from solver.execution.support import check_executable
from solver.execution.workers.pool import LocalPool
from tests.execution.mixed_plans import worded_case
from tests.execution.test_run import FOUR, assert_transparent, execute


@pytest.mark.parametrize("seed", [0, 9, 10, 16, 37, 79, 81, 106])
def test_random_mixtures_of_all_words(pool: LocalPool, seed: int) -> None:
    plan, workload = worded_case(seed)
    check(plan, workload, FOUR)
    check_executable(plan, workload, FOUR)
    result = execute(plan, pool, workload, steps=2)
    assert_transparent(result)
    for pair in result.to_json()["peak_memory_bytes"].values():
        assert pair["measured"] == pytest.approx(pair["predicted"], rel=0.05)
