"""Chains of least energy under a deadline: both exact ways against brute force, and by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from experiments.figures._energy_chains import exhaustive, random_problem
from models.cluster import Cluster
from solver.job import Job
from solver.problem import Problem
from solver.solve import solve
from solver.status import Status
from tests.algorithms.boards import chain

EXACT = ("energy_exact", "energy_ilp")


def boards(**words: Any) -> Cluster:
    """Two boards of 1 Gflop/s that idle at 1 W and compute at 5 W; slowly, at half the speed, at 2.25 W."""
    slow = {"slow": {"flop_per_s": {"fp32": 0.5e9}, "busy_w": 2.25}}
    board = {"flop_per_s": {"fp32": 1e9}, "memory_bytes": 1e9, "idle_w": 1, "busy_w": 5, "sleep_w": 0.25}
    devices = [{"name": name, "power_modes": slow, **board, **words} for name in ("x0", "x1")]
    net = {"name": "net", "members": ["x0", "x1"], "bandwidth_bytes_per_s": 1e15}
    return Cluster.model_validate({"name": "boards", "devices": devices, "segments": [net]})


def what(deadline_s: float | None = None, **words: Any) -> Problem:
    """8 samples of 2 blocks of 2 Gflop: 32 s on one board, 64 s slowly."""
    words = {"num_micro_batches": 1, "power_modes": "free", "left_out": "off", **words}
    job = Job(batch=8, deadline_s=deadline_s)
    return Problem(chain(2), boards(), job, "energy", **words)


@pytest.mark.parametrize("solver", EXACT)
@pytest.mark.parametrize(
    ("deadline_s", "words", "joules", "modes"),
    [
        # One board for 64 s at 2.25 W is 144 J; quickly it is 32 s at 5 W: 160 J.
        (None, {}, 144, ["slow"]),
        (64, {}, 144, ["slow"]),
        (63, {}, 160, [None]),
        # One micro-batch: two boards take as long as one, each waits for the other.
        (31, {}, None, []),
        # Two micro-batches, F and B of 4 s each: 24 s, of which both wait 8 s at 1 W.
        (31.9, {"num_micro_batches": 2}, 160 + 16, [None, None]),
        # The other board waits at 1 W, 64 J more or 32, or sleeps at a quarter of that.
        (None, {"left_out": "idle"}, 192, [None]),
        (None, {"left_out": "sleep"}, 160, ["slow"]),
        (None, {"power_modes": "own"}, 160, [None]),
    ],
)
def test_by_hand(
    solver: str,
    deadline_s: float | None,
    words: dict[str, Any],
    joules: float | None,
    modes: list[str | None],
) -> None:
    solution = solve(what(deadline_s, **words), solver)
    if joules is None:
        assert solution.status is Status.INFEASIBLE
        return
    assert solution.plan is not None and solution.status is Status.OPTIMAL
    assert solution.score == pytest.approx(joules)
    used = [name for stage in solution.plan.pipelines[0].stages for name in dict(stage.shares)]
    choice = solution.plan.devices
    assert [choice[name].power_mode if name in choice else None for name in used] == modes


@pytest.mark.parametrize("solver", EXACT)
@pytest.mark.parametrize("seed", range(6))
def test_equal_to_brute_force(solver: str, seed: int) -> None:
    problem = random_problem(seed, num_devices=3, num_blocks=5)
    problem = replace(problem, num_micro_batches=4 if seed % 2 else 2)
    least_j, _ = exhaustive(problem)
    solution = solve(problem, solver)
    if least_j == float("inf"):
        assert solution.status is Status.INFEASIBLE
    else:
        assert solution.status is Status.OPTIMAL
        assert solution.score == pytest.approx(least_j, rel=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_a_bound_that_was_cut_short_is_not_above_the_optimum(seed: int) -> None:
    problem = replace(random_problem(seed, num_devices=3, num_blocks=6), num_micro_batches=4)
    solution, cut_short = (solve(problem, "energy_exact", work_limit=limit) for limit in (None, 1))
    if solution.score is not None and cut_short.bound is not None:
        assert cut_short.bound <= solution.score * (1 + 1e-9)


@pytest.mark.parametrize("solver", EXACT)
def test_everybody_takes_part_where_that_is_asked(solver: str) -> None:
    solution = solve(what(all_take_part=True), solver)
    assert solution.plan is not None and solution.status is Status.OPTIMAL
    assert len(solution.plan.pipelines[0].stages) == 2


@pytest.mark.parametrize("solver", EXACT)
def test_other_objectives_are_declined(solver: str) -> None:
    assert solve(replace(what(), objective="time"), solver).status is Status.DECLINED
