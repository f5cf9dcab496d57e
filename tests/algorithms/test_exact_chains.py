"""bitmask_dp and interval_ilp on chains worked out by hand, and how the optimum changes with the problem."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cluster import Cluster
from models.workload import Workload
from solver.problem import Problem
from solver.settings import Settings
from solver.solve import solve
from solver.status import Solution, Status
from tests.algorithms.cases import chain, cluster, placed, problem, random_problem

EXACT = ("bitmask_dp", "interval_ilp")
BOTH = pytest.mark.parametrize("name", EXACT)
SPEEDS = {"slow": 1.0, "fast": 2.0}
FEW = settings(max_examples=15, deadline=None)


@BOTH
def test_the_slow_board_takes_one_block_of_three(name: str) -> None:
    """4 s for one block at 1 flop/s, 4 s for two at 2 flop/s; all on the fast one: 6 s."""
    solution = solve(problem(chain(3), cluster(SPEEDS), objective="bottleneck"), name)
    assert (solution.status, solution.score) == (Status.OPTIMAL, pytest.approx(4.0))
    assert sorted(placed(solution.plan)) in ([("a", "slow"), ("bc", "fast")], [("ab", "fast"), ("c", "slow")])


@BOTH
@pytest.mark.parametrize(
    ("kind", "rate", "overlap", "bottleneck_s"),
    [
        ("switch", 0.2, True, 5.0),  # 5 s a message, on lanes of its own
        ("switch", 0.125, True, 6.0),  # 8 s a message: the fast board alone
        ("shared", 0.4, True, 5.0),  # 2.5 s a message, both ways over one medium
        ("shared", 0.2, True, 6.0),
        ("switch", 1.0, False, 6.0),  # 4 s + 1 s + 1 s on one lane: as long as the fast board alone
        ("switch", 2.0, False, 5.0),  # 4 s + 0.5 s + 0.5 s
    ],
)
def test_messages_take_their_lanes(
    name: str, kind: str, rate: float, overlap: bool, bottleneck_s: float
) -> None:
    what = problem(
        chain(3), cluster(SPEEDS, kind, rate), objective="bottleneck", settings=Settings(overlap=overlap)
    )
    assert solve(what, name).score == pytest.approx(bottleneck_s)


@BOTH
def test_a_slow_link_is_gone_round(name: str) -> None:
    """Three equal boards, one slow link: x and z stand at the ends, y between them."""
    boards = cluster({"x": 1, "y": 1, "z": 1})
    links = [
        {"between": pair, "bandwidth_bytes_per_s": rate}
        for pair, rate in ((("x", "y"), 1.0), (("y", "z"), 1.0), (("x", "z"), 0.01))
    ]
    joined = Cluster.model_validate({"name": "c", "devices": boards.devices, "links": links})
    solution = solve(problem(chain(3), joined, objective="bottleneck"), name)
    assert solution.score == pytest.approx(4.0)
    assert placed(solution.plan)[1] == ("b", "y")


@BOTH
def test_memory_decides_who_stands_last(name: str) -> None:
    """A sample keeps 100 bytes a block. The first of two stages has 3 micro-batches in flight: 300 and more;
    the last has one. The board of 150 bytes must be last."""
    memory = {"small": 150.0, "roomy": 1000.0}
    boards = cluster({"small": 1, "roomy": 1}, memory=memory)
    solution = solve(problem(chain(2, kept_bytes=100), boards, objective="bottleneck"), name)
    assert placed(solution.plan) == [("a", "roomy"), ("b", "small")]


@BOTH
def test_without_room_it_says_by_how_much(name: str) -> None:
    """One board alone needs 2 x (1 + 1) bytes of weights and gradients and 200 of activations: 204 of 90."""
    memory = {"x": 90.0, "y": 90.0}
    what = problem(chain(2, kept_bytes=100), cluster({"x": 1, "y": 1}, memory=memory), objective="bottleneck")
    solution = solve(what, name)
    assert solution.status is Status.INFEASIBLE
    assert (
        "2.2667 times its memory" in solution.reason and "would need 204 bytes and has 90" in solution.reason
    )


@BOTH
def test_data_that_no_one_place_has_is_a_reason_of_its_own(name: str) -> None:
    """Blocks a and c read data of x, block b data of y, and each board has one stage."""
    data = chain(3).model_dump(mode="json")
    for block, owner in zip(data["blocks"], "xyx", strict=True):
        block["data"] = {"name": owner}
    workload = Workload.model_validate(data)
    devices = [
        {"name": name_, "flop_per_s": {"fp32": 1.0}, "memory_bytes": 1e9, "data": [name_]} for name_ in "xy"
    ]
    net = {"name": "net", "members": ["x", "y"], "bandwidth_bytes_per_s": 1e9}
    boards = Cluster.model_validate({"name": "c", "devices": devices, "segments": [net]})
    solution = solve(problem(workload, boards, objective="bottleneck"), name)
    assert solution.status is Status.INFEASIBLE
    assert "modality: x, y may not leave their owners" in solution.reason


@BOTH
def test_under_time_the_bound_can_be_the_optimum(name: str) -> None:
    """Two equal boards, two micro-batches, 2 + 2 s a block. The second starts after 2 s (4 s with the way
    back), computes 8 s, so the step takes 12 s; one board alone takes 16 s."""
    solution = solve(problem(chain(2), cluster({"x": 1, "y": 1}), batch=2), name)
    assert solution.score == pytest.approx(12.0)
    assert solution.bound == pytest.approx(12.0, rel=2e-6)


@BOTH
def test_every_count_of_micro_batches_is_covered(name: str) -> None:
    what = problem(chain(2), cluster({"x": 1, "y": 1}), num_micro_batches=None)
    solution = solve(what, name)
    assert solution.space.num_micro_batches == (1, 2, 4)
    each = [solve(replace(what, num_micro_batches=count), name).score for count in (1, 2, 4)]
    assert solution.score == pytest.approx(min(score for score in each if score is not None))


@BOTH
@pytest.mark.parametrize("objective", ["energy", "memory", "traffic"])
def test_other_objectives_get_a_plan_without_a_bound(name: str, objective: str) -> None:
    solution = solve(problem(chain(3), cluster(SPEEDS), objective=objective), name)
    assert (solution.status, solution.bound) == (Status.FEASIBLE, None)


def test_too_many_devices_are_declined() -> None:
    what = problem(chain(3), cluster({f"d{i}": 1 for i in range(17)}), objective="bottleneck")
    solution = solve(what, "bitmask_dp")
    assert solution.status is Status.DECLINED and "use interval_ilp" in solution.reason


@BOTH
def test_a_graph_is_declined(name: str) -> None:
    data = chain(3).model_dump(mode="json")
    workload = Workload.model_validate({**data, "edges": data["edges"][:1]})
    solution = solve(problem(workload, cluster(SPEEDS)), name)
    assert solution.status is Status.DECLINED and "DAG" in solution.reason


def bottleneck(what: Problem) -> float:
    solution: Solution = solve(what, "bitmask_dp")
    return float("inf") if solution.score is None else solution.score


def changed(what: Problem, device: str, field: str, factor: float) -> Problem:
    devices = []
    for old in what.cluster.model_dump(mode="json")["devices"]:
        if old["name"] == device:
            target = old["flop_per_s"]["fp32"] if field == "flop_per_s" else old[field]
            target["value"] *= factor
        devices.append(old)
    return replace(
        what, cluster=Cluster.model_validate({**what.cluster.model_dump(mode="json"), "devices": devices})
    )


@FEW
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_renaming_devices_changes_nothing(seed: int, random: object) -> None:
    what = random_problem(seed)
    text = what.cluster.model_dump_json()
    for name in what.cluster.by_name:
        text = text.replace(f'"{name}"', f'"renamed_{name}"')
    other = replace(what, cluster=Cluster.model_validate_json(text))
    assert bottleneck(other) == pytest.approx(bottleneck(what), rel=1e-9)


@FEW
@given(st.integers(0, 10_000), st.floats(1.0, 10.0))
def test_a_faster_device_never_worsens_the_optimum(seed: int, factor: float) -> None:
    what = random_problem(seed)
    faster = changed(what, what.usable[-1], "flop_per_s", factor)
    assert bottleneck(faster) <= bottleneck(what) * (1 + 1e-9)


@FEW
@given(st.integers(0, 10_000), st.floats(1.0, 10.0))
def test_more_memory_never_loses_feasibility(seed: int, factor: float) -> None:
    what = random_problem(seed)
    roomier = changed(what, what.usable[0], "memory_bytes", factor)
    assert bottleneck(roomier) <= bottleneck(what) * (1 + 1e-9)


@FEW
@given(st.integers(0, 10_000), st.floats(0.5, 20.0))
def test_scaling_all_times_scales_the_answer(seed: int, factor: float) -> None:
    what = random_problem(seed)
    data = what.cluster.model_dump(mode="json")
    for device in data["devices"]:
        device["flop_per_s"]["fp32"]["value"] /= factor
        device["overhead_s"]["value"] *= factor
    for part in (*data["segments"], *data["links"]):
        part["bandwidth_bytes_per_s"] /= factor
        part["latency_s"] *= factor
    slower = replace(what, cluster=Cluster.model_validate(data))
    before = bottleneck(what)
    assert bottleneck(slower) == pytest.approx(before * factor, rel=1e-9)
