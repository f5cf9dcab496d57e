"""Contribution: values of real problems, by hand and against brute force; ledgers that go on."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from models.errors import InputError
from solver.participation.contribution import contribution
from solver.participation.ledger import Ledger
from solver.participation.planner import Planner
from solver.problem import Problem
from solver.solve import solve
from tests.participation import boards

PLANNER = Planner("hybrid_exact", 4000)


def times_of_groups(problem: Problem) -> dict[frozenset[str], float]:
    """Least step time of every group by the exact solver, members free to be left out."""
    names, found = problem.usable, {}
    for mask in range(1, 1 << len(names)):
        group = frozenset(name for i, name in enumerate(names) if mask >> i & 1)
        found[group] = solve(replace(problem, participants=group), "hybrid_exact").score
    return found


def test_seconds_saved_are_those_of_brute_force_over_orders() -> None:
    problem = boards.problem([1, 2, 1], 2.0)
    times = times_of_groups(problem)
    worst = max(times.values())
    expected = dict.fromkeys(problem.usable, 0.0)
    for order in permutations(problem.usable):
        for k, name in enumerate(order):
            before = worst - times[frozenset(order[:k])] if k else 0.0
            expected[name] += (worst - times[frozenset(order[: k + 1])] - before) / 6
    made = contribution(problem, PLANNER, ["time"])
    worth = made.objectives["time"]
    assert {one.device: one.saved for one in worth.devices} == pytest.approx(expected, abs=1e-12)
    assert worth.reference == pytest.approx(worst) and made.method == "exact"


@pytest.mark.parametrize("objective", ["time", "energy"])
def test_values_add_up_to_all_together_and_equal_boards_are_equal(objective: str) -> None:
    problem = boards.problem([1, 2, 1])
    worth = contribution(problem, PLANNER, [objective]).objectives[objective]
    best = solve(replace(problem, objective=objective), "hybrid_exact").score
    assert worth.cost == pytest.approx(best, rel=1e-12)
    assert sum(one.saved for one in worth.devices) == pytest.approx(worth.reference - best)
    assert sum(one.rate for one in worth.devices) == pytest.approx(4 / best)
    assert worth.devices[0].saved == worth.devices[2].saved


def test_a_board_that_helps_nobody_is_worth_what_it_can_do_alone() -> None:
    """Over links of 1 byte/s nobody shares. Four samples take d1 half as long as d0, so d0 adds its rate r
    only where it comes first: r / 2, and d1 adds 2 r or r: 3 r / 2."""
    problem = boards.problem([1, 2], 1e-6)
    alone = 4 / solve(replace(problem, participants=frozenset({"d0"})), "single").score
    worth = contribution(problem, PLANNER, ["time"]).objectives["time"]
    assert [one.rate for one in worth.devices] == pytest.approx([alone / 2, 1.5 * alone], rel=1e-3)
    assert worth.chosen == ("d1",)


def test_sampling_agrees_with_all_groups() -> None:
    """With three devices 16 orders are seldom all the same; values lie within four standard errors."""
    problem = boards.problem([1, 2, 3], 2.0)
    every = contribution(problem, PLANNER, ["time"]).objectives["time"]
    some = contribution(problem, PLANNER, ["time"], sample=True, num_pairs=8)
    assert (some.method, some.num_orders) == ("sampled", 16)
    for mine, true in zip(some.objectives["time"].devices, every.devices, strict=True):
        assert abs(mine.saved - true.saved) <= 4 * mine.saved_error + 1e-12


def test_broken_off_it_goes_on_and_says_the_same(tmp_path: Path) -> None:
    problem, asked = boards.problem([1, 2, 1]), {"question": 1}
    whole = contribution(problem, PLANNER, ["time"])
    path = tmp_path / "partial.jsonl"
    contribution(problem, PLANNER, ["time"], ledger=Ledger(path, asked))
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + whole.objectives["time"].num_groups
    path.write_text("".join(lines[:3]) + lines[3][:10])
    ledger = Ledger(path, asked)
    again = contribution(problem, PLANNER, ["time"], ledger=ledger)
    assert again == whole
    assert [json.loads(line) for line in path.read_text().splitlines()] == [json.loads(x) for x in lines]
    ledger.done()
    assert not path.exists()


def test_a_ledger_of_another_question_is_a_fault(tmp_path: Path) -> None:
    Ledger(tmp_path / "x", {"batch": 4})
    with pytest.raises(InputError, match="another question"):
        Ledger(tmp_path / "x", {"batch": 8})


def test_wrong_objectives_are_all_said() -> None:
    with pytest.raises(InputError) as error:
        contribution(boards.problem([1, 2]), PLANNER, ["money", "weighted"], num_pairs=1)
    assert len(error.value.faults) == 3


def test_beyond_ten_devices_orders_are_drawn_and_values_add_up() -> None:
    """Eleven boards of three kinds."""
    problem = boards.problem([1] * 5 + [2] * 4 + [3] * 2)
    made = contribution(problem, Planner("local_search", 4), ["time"], num_pairs=2)
    worth = made.objectives["time"]
    assert (made.method, made.num_orders) == ("sampled", 4) and worth.cost is not None
    assert sum(one.saved for one in worth.devices) == pytest.approx(worth.reference - worth.cost)
    assert len({one.rate for one in worth.devices[:5]}) == 1
