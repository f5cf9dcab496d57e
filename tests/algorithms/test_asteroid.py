"""asteroid and asteroid_subsets: worked out by hand, and what they decline."""

from __future__ import annotations

import pytest

from models import catalog
from solver.job import Job
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.literature.asteroid_dp import AsteroidTable
from solver.search.literature.group_tables import GroupTables
from solver.solve import solve
from solver.status import Status
from tests.algorithms.cases import chain, cluster, placed, problem, random_problem


def test_latency_of_two_stages_by_equations_4_to_6() -> None:
    """Blocks a, b of 2 flop each way, boards of 2 and 1 flop/s (the first has more memory), 4 micro-batches
    of one sample, messages of 1 byte at 0.5 bytes/s.

    Two stages: steps (Ef, Eb) = (1, 1), (2, 2), (2, 2). M E + what is before: 8, 2 + 16, 2 + 4 + 16 = 22:
    the last dominates. Latency: step 0: 22; step 1: 1 + 16 + 4 = 21; step 2: 3 + 16 = 19. So 22 s.
    One stage: the one sample of a micro-batch is on the first board, (2, 2), 4 x 4 = 16 s, then the ring of
    both boards: 2 steps of half of 2 bytes at 0.5 bytes/s, 4 s. 20 s: chosen, and the plan has one board.
    """
    boards = cluster({"x": 2.0, "y": 1.0}, rate=0.5, memory={"x": 2000, "y": 1000})
    what = problem(chain(2), boards)
    tables = GroupTables(what, 4)
    table = AsteroidTable(tables, (0, 1), [(0, 1)], Search(what))
    assert {p.num_stages: p.latency_s for p in table.found()} == pytest.approx({1: 20, 2: 22})
    solution = solve(what, "asteroid")
    assert placed(solution.plan) == [("ab", "x")]
    assert solution.score == pytest.approx(16)


def test_devices_stand_most_memory_first() -> None:
    """Boards alike but for memory: the first stage, which keeps most, goes to the one with most."""
    boards = cluster({"x": 1.0, "y": 1.0, "z": 1.0}, memory={"x": 1000, "y": 3000, "z": 2000})
    solution = solve(problem(chain(3), boards, batch=16), "asteroid")
    assert [devices for _, devices in placed(solution.plan)] == ["y", "z", "x"]


def test_all_devices_are_used_unless_a_subset_is_better() -> None:
    """A straggler of 0.01 flop/s with most memory must hold a block in a chain of two stages, since two
    samples on a board of its own kind would be slower still; without it one board does 2 x 8 s."""
    boards = cluster({"x": 1.0, "y": 0.01}, rate=1e-3, memory={"x": 1000, "y": 2000})
    what = problem(chain(2, weight_bytes=100), boards, batch=2)
    whole, subset = solve(what, "asteroid"), solve(what, "asteroid_subsets")
    assert whole.score is not None and subset.score == pytest.approx(16)
    assert whole.score > 2 * 16 and placed(subset.plan) == [("ab", "x")]


@pytest.mark.parametrize("seed", range(12))
def test_subsets_are_never_worse(seed: int) -> None:
    what = random_problem(seed, "time")
    whole, subset = solve(what, "asteroid"), solve(what, "asteroid_subsets")
    if whole.score is not None:
        assert subset.score is not None and subset.score <= whole.score


def test_beyond_eight_devices_they_are_left_out_one_by_one() -> None:
    """Nine boards on a slow network, one of them fast: it works alone, and that is found by leaving out."""
    speeds = {"fast": 100.0} | {f"slow{i}": 0.5 for i in range(8)}
    boards = cluster(speeds, rate=1e-2)
    what = problem(chain(3, weight_bytes=50), boards, batch=4)
    subset = solve(what, "asteroid_subsets")
    assert placed(subset.plan) == [("abc", "fast")]


def test_no_room_by_its_rule_is_said() -> None:
    boards = cluster({"x": 1.0, "y": 1.0}, memory={"x": 10_000, "y": 1})
    solution = solve(problem(chain(2, weight_bytes=100), boards), "asteroid")
    assert solution.status is Status.UNKNOWN and "memory" in solution.reason
    assert placed(solve(problem(chain(2, weight_bytes=100), boards), "asteroid_subsets").plan) == [
        ("ab", "x")
    ]


@pytest.mark.parametrize("name", ["asteroid", "asteroid_subsets"])
def test_a_graph_and_serving_are_declined(name: str) -> None:
    boards = cluster({"x": 1e9, "y": 1e9}, memory={"x": 1e12, "y": 1e12})
    graph = Problem(catalog.workload("imu_motions"), boards, Job(batch=8), num_micro_batches=2)
    serving = Problem(chain(2), boards, Job(batch=8, kind="serve"), num_micro_batches=2)
    for what in (graph, serving):
        solution = solve(what, name)
        assert solution.status is Status.DECLINED and solution.reason


def test_where_micro_batches_are_open_four_are_taken() -> None:
    boards = cluster({"x": 1.0, "y": 1.0})
    solution = solve(problem(chain(2), boards, batch=8, num_micro_batches=None), "asteroid")
    assert solution.plan is not None and solution.plan.pipelines[0].micro_batches == 4
