"""Every solver of the catalogue keeps to the participants, and its bounds hold for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from solver.catalog import names
from solver.plan import participants_of
from solver.solve import solve
from solver.status import Status
from tests.participation import boards


@pytest.mark.parametrize("objective", ["time", "energy"])
@pytest.mark.parametrize("solver", names())
def test_plans_use_participants_only_and_bounds_are_below_the_best_of_them(
    solver: str, objective: str
) -> None:
    """The fastest board d1 may not take part: a solver that forgets it would take it."""
    asked = boards.problem([1, 9, 2], 20.0, objective=objective, participants=frozenset({"d0", "d2"}))
    found = solve(asked, solver, work_limit=60)
    best = solve(asked, "hybrid_exact")
    assert best.status is Status.OPTIMAL and best.score is not None
    if found.plan is not None:
        assert participants_of(found.plan) <= {"d0", "d2"}
    if found.bound is not None:
        assert found.bound <= best.score * (1 + 1e-9) or not found.space.covers(best.space)


@pytest.mark.parametrize("solver", names())
def test_plans_of_all_participants_have_all_of_them(solver: str) -> None:
    asked = boards.problem([1, 9, 2], 20.0)
    found = solve(replace(asked, all_take_part=True), solver, work_limit=60)
    assert found.plan is None or participants_of(found.plan) == {"d0", "d1", "d2"}
