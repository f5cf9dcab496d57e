"""Groups of the experiment on participants: losses against the optimum, chances, what boards are worth."""

from __future__ import annotations

import pytest

from experiments.cases.groups import evidence, loss_percent, optimum, random_groups, worths
from solver.participation.coalitions import Coalitions
from solver.participation.planner import Planner
from tests.participation import boards


@pytest.fixture(scope="module")
def coalitions() -> Coalitions:
    """Two equal boards and a faster one, every group planned for."""
    found = Coalitions(boards.problem([1, 2, 1], 2.0), Planner("hybrid_exact", 4000))
    found.every_group()
    return found


def test_no_group_is_better_than_the_optimum(coalitions: Coalitions) -> None:
    best = optimum(coalitions)
    losses = {counts: loss_percent(coalitions, counts) for counts in coalitions.known}
    assert losses[coalitions.counts(best.participants)] == 0
    assert all(loss is not None and loss >= 0 for loss in losses.values())
    assert loss_percent(coalitions, None) is None


def test_random_groups_are_as_likely_as_they_are_many(coalitions: Coalitions) -> None:
    """Pairs of three boards: the two equal ones once, each of them with the fast one, so twice the same."""
    equal, mixed = (loss_percent(coalitions, counts) for counts in ((2, 0), (1, 1)))
    assert equal is not None and mixed is not None
    found = random_groups(coalitions, 2)
    assert found["random_half_percent"] == pytest.approx((equal + 2 * mixed) / 3)
    assert found["random_half_least_percent"] == min(equal, mixed)
    assert (found["random_half_most_percent"], found["random_half_no_plan"]) == (max(equal, mixed), 0)


def test_shares_add_up_to_all(coalitions: Coalitions) -> None:
    rows = worths(coalitions)
    assert sum(row["share_percent"] for row in rows) == pytest.approx(100)
    assert rows[0]["rate"] == rows[2]["rate"]
    assert [row["device"] for row in rows if row["in_optimum"]] == [
        name for name in ("d0", "d1", "d2") if name in optimum(coalitions).participants
    ]


def test_evidence_of_one_board_is_no_bytes_and_no_waiting(coalitions: Coalitions) -> None:
    """Alone d1 computes all the time; the others idle at 2 W each beside its 6 W: idle power is 6 of 10 W."""
    found = evidence("best", coalitions.known[coalitions.counts(["d1"])])
    assert found["best_megabytes"] == 0
    assert found["best_busy_percent"] == pytest.approx(100)
    assert found["best_idle_energy_percent"] == pytest.approx(60)
    assert set(evidence("best", None).values()) == {None}
