"""Limits of hybrid pipelines: by hand, and branch and bound under limits against all plans, one by one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from models.cluster import Cluster
from solver.algorithms import hybrid_exact
from solver.evaluate import judge
from solver.job import Job
from solver.problem import Problem
from solver.search.hybrid.bound_tables import HybridTables
from solver.search.hybrid.limits import HybridLimits
from solver.solve import solve
from solver.status import Status
from tests.algorithms.boards import chain
from tests.limited import every_plan, small_problem
from tests.limited_chains import ENDLESS_J, Judged, least, limited


def what(**words: object) -> Problem:
    """8 samples of 2 blocks of 2 Gflop; boards of 1 Gflop/s, 1 W idle, 5 W busy; x1 is trusted less."""
    board = {"flop_per_s": {"fp32": 1e9}, "memory_bytes": 1e9, "idle_w": 1, "busy_w": 5, "battery_j": 1000}
    devices = [{"name": f"x{i}", "trust": 1 - i, **board} for i in range(2)]
    net = {"name": "net", "members": ["x0", "x1"], "bandwidth_bytes_per_s": 1e15}
    cluster = Cluster.model_validate({"name": "boards", "devices": devices, "segments": [net]})
    return Problem(chain(2), cluster, Job(batch=8, **words), num_micro_batches=1, left_out="off")


@pytest.mark.parametrize(
    ("words", "samples"),
    [
        ({}, 8),
        # A sample of both blocks takes 4 s: four take 16 s.
        ({"deadline_s": 16.0}, 4),
        # 20 J a sample, and 1 W while the other board is not ready before 16 s.
        ({"steps": 10}, 5),
        # All work takes 128 J above idle power, which two boards draw for 16 s at least.
        ({"energy_budget_j": 159.0}, 0),
    ],
)
def test_samples_that_a_board_can_take(words: dict[str, float], samples: int) -> None:
    tables = HybridTables(what(**words), 1)
    assert tables.most_samples[0, :, 0, 2].tolist() == [samples, samples]


def test_bytes_down_count_where_a_whole_group_is_trusted_less() -> None:
    """800 bytes go from x0 to x1 in a step of 8 samples; back comes none, the block before is not trained."""
    starts, sent, back = np.array([0, 1]), np.array([0.0, 100.0, 100.0]), np.zeros(3)
    for most, order, broken in ((799, [1, 2], True), (800, [1, 2], False), (0, [2, 1], False)):
        limits = HybridLimits(what(untrusted_limit_bytes=most), 1)
        assert limits.breaks(starts, np.array(order), 1.0, sent, back) is broken


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kinds", [("energy", "battery"), ("carbon",), ("time", "untrusted")])
def test_branch_and_bound_is_right_under_limits(
    seed: int, kinds: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hybrid_exact, "MOST_PLANS", 0)
    free = small_problem(seed)
    plain = free.cluster.model_dump()
    for board in plain["devices"]:
        board["battery_j"] = ENDLESS_J
    job = free.job.model_copy(update={"steps": 10})
    free = replace(free, cluster=Cluster.model_validate(plain), job=job)
    pairs = [(plan, judge(free, plan)[0]) for plan in every_plan(free)]
    every = Judged([plan for plan, _ in pairs], [report for _, report in pairs])
    for turn in range(3):
        problem = limited(free, every, 10 * seed + turn, kinds)
        best, found = least(problem, every), solve(problem, "hybrid_exact")
        assert found.status is (Status.INFEASIBLE if math.isinf(best) else Status.OPTIMAL)
        assert found.score is None or found.score == pytest.approx(best, rel=1e-9)
