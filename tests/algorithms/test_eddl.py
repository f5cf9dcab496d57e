"""eddl: samples to whoever is done first, and stragglers left out."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from solver.algorithms.eddl import earliest_done
from solver.search.incumbent import Interrupted, Search
from solver.solve import solve
from solver.status import Status
from tests.algorithms.cases import chain, cluster, placed, problem


@pytest.mark.parametrize("seed", range(40))
def test_no_shares_have_a_shorter_slowest_time(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples, names = int(rng.integers(1, 7)), ["x", "y", "z"][: int(rng.integers(1, 4))]
    times = {name: np.cumsum([0.0, *rng.random(samples)]) for name in names}
    room = {name: int(rng.integers(1, samples + 1)) for name in names}

    def slowest(shares: tuple[int, ...]) -> float:
        return max(float(times[name][n]) for name, n in zip(names, shares, strict=True))

    every = [
        shares for shares in product(*(range(room[name] + 1) for name in names)) if sum(shares) == samples
    ]
    found = earliest_done(times, room, samples)
    if not every:
        assert found is None
        return
    assert found is not None and sum(found.values()) == samples
    assert all(n <= room[name] for name, n in found.items())
    assert slowest(tuple(found.get(name, 0) for name in names)) == pytest.approx(min(map(slowest, every)))


def test_samples_follow_speed_and_the_step_ends_with_the_slowest() -> None:
    """One block of 2 flop each way; 6 samples a step on boards of 4 and 2 flop/s: 4 and 2 samples, 4 s."""
    what = problem(chain(1), cluster({"x": 4.0, "y": 2.0}), batch=6, num_micro_batches=1)
    solution = solve(what, "eddl")
    assert solution.plan is not None and solution.score == pytest.approx(4.0, rel=1e-6)
    assert solution.plan.pipelines[0].stages[0].shares == {"x": 4, "y": 2}


def test_a_straggler_stays_out_where_the_ring_costs_more_than_it_helps() -> None:
    """Alone the first board takes 6 s. With the second 4 s, and a ring of 2 steps of half of 1 byte at 0.1
    bytes/s: 14 s."""
    what = problem(chain(1), cluster({"x": 4.0, "y": 2.0}, rate=0.1), batch=6, num_micro_batches=1)
    solution = solve(what, "eddl")
    assert placed(solution.plan) == [("a", "x")] and solution.score == pytest.approx(6.0)


def test_a_board_gets_what_fits_into_its_memory() -> None:
    """6 samples that keep 100 bytes each; weights and gradients 2 bytes. The fast board has room for two."""
    boards = cluster({"x": 4.0, "y": 2.0}, memory={"x": 210, "y": 1000})
    what = problem(chain(1, kept_bytes=100, output_bytes=0), boards, batch=6, num_micro_batches=1)
    solution = solve(what, "eddl")
    assert solution.plan is not None and solution.plan.pipelines[0].stages[0].shares == {"x": 2, "y": 4}


def test_no_room_for_the_whole_workload_is_said() -> None:
    boards = cluster({"x": 4.0, "y": 2.0}, memory={"x": 30, "y": 30})
    solution = solve(problem(chain(2, weight_bytes=10), boards), "eddl")
    assert solution.status is Status.UNKNOWN and "memory_bytes" in solution.reason


def test_too_many_samples_to_give_one_by_one_are_declined() -> None:
    what = problem(chain(1), cluster({"x": 4.0, "y": 2.0}), batch=999_999_937, num_micro_batches=1)
    solution = solve(what, "eddl")
    assert solution.status is Status.DECLINED and "999" in solution.reason


def test_samples_are_given_no_longer_than_there_is_time() -> None:
    what = problem(chain(1), cluster({"x": 4.0, "y": 2.0}), batch=6, num_micro_batches=1)
    with pytest.raises(Interrupted):
        earliest_done({"x": np.arange(7.0)}, {"x": 6}, 6, Search(what, time_limit_s=0.0))
