"""Mixed-integer back ends: each that is installed says the same as CBC."""

from __future__ import annotations

import math

import numpy as np
import pulp
import pytest

from models.errors import InputError
from solver.formulations.mip import BACK_ENDS, available, check_back_end, solve_mip


def knapsack(seed: int, size: int, *, feasible: bool = True) -> pulp.LpProblem:
    """Cover a demand at least cost."""
    rng = np.random.default_rng(seed)
    weights, costs = rng.integers(10, 99, size), rng.integers(10, 99, size)
    problem = pulp.LpProblem("cover", pulp.LpMinimize)
    chosen = [problem.add_variable(f"x{i}", cat="Binary") for i in range(size)]
    problem += pulp.lpSum(int(c) * x for c, x in zip(costs, chosen, strict=True))
    demand = int(weights.sum()) * (0.5 if feasible else 2.0)
    problem += pulp.lpSum(int(w) * x for w, x in zip(weights, chosen, strict=True)) >= demand
    return problem


@pytest.mark.parametrize("back_end", available())
@pytest.mark.parametrize("seed", range(3))
def test_every_back_end_finds_the_optimum(back_end: str, seed: int) -> None:
    best = solve_mip(knapsack(seed, 14), math.inf)
    found = solve_mip(knapsack(seed, 14), 20, back_end)
    assert found.found
    assert found.finished
    assert found.bound == pytest.approx(best.bound, rel=1e-6)


@pytest.mark.parametrize("back_end", available())
def test_every_back_end_proves_that_there_is_nothing(back_end: str) -> None:
    answer = solve_mip(knapsack(0, 8, feasible=False), 20, back_end)
    assert (answer.found, answer.finished, answer.bound) == (False, True, math.inf)


def test_unknown_back_end() -> None:
    with pytest.raises(InputError, match="there are: cbc, highs"):
        check_back_end("no_such")


def test_back_end_that_is_not_installed(monkeypatch) -> None:
    monkeypatch.setattr("solver.formulations.mip.available", lambda: ("cbc",))
    with pytest.raises(InputError, match=r"pip install 'partage\[highs\]'"):
        check_back_end("highs")
    assert BACK_ENDS[0] == "cbc"
