"""local_search: walks out of a local optimum, and nothing beats the exhaustive search."""

from __future__ import annotations

import pytest

from solver.plan import Stage, pipeline_plan
from solver.solve import solve
from tests.algorithms.boards import boards, problem


def test_two_boards_share_samples_as_their_speeds() -> None:
    """64 Gflop on 1 + 3 Gflop/s: 16 s where the slow board takes 2 of 8 samples."""
    solution = solve(problem(boards(1, 3)), "local_search", work_limit=100)
    assert solution.plan is not None
    (stage,) = solution.plan.pipelines[0].stages
    assert stage.shares == {"x0": 2, "x1": 6}
    assert solution.score == pytest.approx(16.0, rel=1e-6)


@pytest.mark.parametrize("in_flight", ["default", "free"])
def test_it_is_as_good_as_the_exhaustive_search_on_small_problems(in_flight: str) -> None:
    what = problem(boards(1, 3, 2), num_micro_batches=4, in_flight=in_flight)
    found, exact = solve(what, "local_search", work_limit=2000), solve(what, "hybrid_exact")
    assert exact.bound is not None
    assert found.score == pytest.approx(exact.bound, rel=1e-6)


def test_it_goes_on_from_a_start_plan() -> None:
    what = problem(boards(1, 3))
    start = pipeline_plan(what, [Stage(blocks=what.workload.order, shares={"x0": 8})], 1)
    solution = solve(what, "local_search", work_limit=100, start=start)
    assert next(round(one.score) for one in solution.incumbents) == 64
    assert solution.score == pytest.approx(16.0, rel=1e-6)
