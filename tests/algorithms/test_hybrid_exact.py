"""hybrid_exact by hand, against exhaustive search by code of its own, and what it answers beside plans."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from experiments.figures._exact import is_exact
from experiments.figures._hybrids import exhaustive_s, random_problem
from experiments.figures.best_of_100_hybrids import NUM, branch_and_bound, measure
from solver.algorithms import hybrid_exact
from solver.problem import Problem
from solver.search.hybrid.proof import Proof
from solver.search.incumbent import Search
from solver.solve import solve
from solver.status import Status
from tests.algorithms.cases import chain, cluster, placed, problem
from tests.algorithms.cases import random_problem as any_problem


def test_two_equal_boards_share_a_micro_batch() -> None:
    """Two blocks of 2 + 2 s a sample, 4 samples in 2 micro-batches of 2, links without delay. Shared 1 + 1
    every micro-batch takes 8 s: 16 s. Alone a board takes 32 s; as a pipeline 8 s more than 16 s."""
    what = problem(chain(2), cluster({"x": 1, "y": 1}), batch=4, num_micro_batches=2)
    solution = solve(what, "hybrid_exact")
    assert (solution.status, solution.score) == (Status.OPTIMAL, pytest.approx(16.0, rel=1e-6))
    assert placed(solution.plan) == [("ab", "x+y")]


def test_weights_that_are_slow_to_reduce_make_a_pipeline() -> None:
    """As above, but block b has 1000 bytes of weights over a link of 1 byte/s: a ring would take 1000 s."""
    data = chain(2).model_dump(mode="json")
    data["blocks"][1]["weight_bytes"] = 1000
    workload = type(chain(2)).model_validate(data)
    what = problem(workload, cluster({"x": 1, "y": 1}, rate=1.0), batch=4, num_micro_batches=2)
    solution = solve(what, "hybrid_exact")
    assert solution.status is Status.OPTIMAL
    assert sorted(placed(solution.plan)) in ([("a", "x"), ("b", "y")], [("a", "y"), ("b", "x")])
    # First 4 s and a message of 2 bytes, twice 8 s on the second, then 2 s and 4 s back.
    assert solution.score == pytest.approx(28.0)


@pytest.mark.parametrize("batch", [8, 32])
@pytest.mark.parametrize("seed", range(4))
def test_it_equals_brute_force(seed: int, batch: int) -> None:
    what = random_problem(seed, batch)
    least_s = exhaustive_s(what)
    assert is_exact(solve(what, "hybrid_exact"), least_s)
    assert branch_and_bound(what, least_s) == (True, False)


@pytest.mark.slow
def test_all_of_a_hundred_equal_brute_force() -> None:
    assert measure().value == NUM


def grown(what: Problem, work_limit: int | None = None) -> tuple[Search, Proof]:
    """Prove by branch and bound however small the space."""
    search = Search(what, work_limit=work_limit)
    proof = Proof(what, search)
    proof.run()
    return search, proof


def test_every_count_of_micro_batches_is_covered() -> None:
    for seed in range(12):
        what = replace(any_problem(seed, "time"), num_micro_batches=None)
        exact = solve(what, "hybrid_exact")
        if exact.status is Status.DECLINED:
            continue
        assert exact.space.num_micro_batches == what.micro_batch_counts
        search, proof = grown(what)
        assert proof.is_closed
        assert search.best_score == pytest.approx(math.inf if exact.score is None else exact.score)


def test_a_bound_under_a_work_limit_holds_and_is_the_same_again() -> None:
    what = random_problem(1, 32)
    best = exhaustive_s(what)
    for limit in (1, 2, 3, 5, 8, 13):
        (search, proof), (again, same) = grown(what, limit), grown(what, limit)
        assert proof.bound <= best * (1 + 1e-9)
        assert (proof.bound, search.best_plan) == (same.bound, again.best_plan)


def test_more_work_never_loosens_the_bound_below_the_quick_one() -> None:
    what = random_problem(2, 32)
    bounds = [grown(what, limit)[1].bound for limit in (1, 1000)]
    assert bounds[0] <= bounds[1] == pytest.approx(exhaustive_s(what))


def test_a_start_is_the_cut_off_and_its_score_the_bound() -> None:
    what = random_problem(3, 32)
    best = solve(what, "hybrid_exact")
    again = solve(what, "hybrid_exact", start=best.plan)
    assert (again.status, again.score) == (Status.OPTIMAL, best.score)


def test_many_devices_get_a_bound_without_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    what = problem(chain(8), cluster({f"d{i}": 1.0 for i in range(20)}), batch=8, num_micro_batches=4)
    solution = solve(what, "hybrid_exact")
    # 8 blocks of 8 s a micro-batch on 20 boards, 4 times, would be 12.8 s; but two samples take two boards.
    assert solution.score is not None and 4 * 64 / 20 < (solution.bound or 0.0) <= solution.score


def test_no_room_is_proven_by_branch_and_bound_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights fit on every board, what is kept of a micro-batch on none."""
    monkeypatch.setattr(hybrid_exact, "MOST_PLANS", 0)
    boards = cluster({"x": 1, "y": 1}, memory={"x": 50.0, "y": 50.0})
    solution = solve(problem(chain(2, kept_bytes=100), boards, num_micro_batches=2), "hybrid_exact")
    assert solution.status is Status.INFEASIBLE
    assert "memory" in solution.reason


@pytest.mark.parametrize("objective", ["bottleneck", "energy", "memory", "traffic"])
def test_other_objectives_are_proven_in_small_spaces(objective: str) -> None:
    what = replace(random_problem(4, 8), objective=objective)
    assert solve(what, "hybrid_exact").status is Status.OPTIMAL


def test_limits_on_figures_it_does_not_know_are_declined() -> None:
    solution = solve(replace(random_problem(4, 8), at_most={"latency": 1.0}), "hybrid_exact")
    assert solution.status is Status.DECLINED and "latency" in solution.reason
