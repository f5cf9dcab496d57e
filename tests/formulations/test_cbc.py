"""CBC: what it says is told truthfully."""

from __future__ import annotations

import math

import pulp

from solver.formulations.cbc import solve_cbc


def programme(**words: float) -> pulp.LpProblem:
    problem = pulp.LpProblem("small", pulp.LpMinimize)
    problem += sum(cost * problem.add_variable(name, cat="Binary") for name, cost in words.items())
    return problem


def test_the_optimum_is_found_and_finished() -> None:
    problem = programme(x=3.0, y=5.0)
    x, y = (problem.variablesDict()[name] for name in "xy")
    problem += x + y >= 1
    answer = solve_cbc(problem, math.inf)
    assert (answer.found, answer.finished, answer.bound) == (True, True, 3.0)
    assert (x.value(), y.value()) == (1.0, 0.0)


def test_no_integers_is_infeasible_although_fractions_would_do() -> None:
    problem = programme(x=1.0, y=1.0, z=1.0)
    x, y, z = (problem.variablesDict()[name] for name in "xyz")
    problem += x + y == 1
    problem += y + z == 1
    problem += x + z == 1
    answer = solve_cbc(problem, math.inf)
    assert (answer.found, answer.finished, answer.bound) == (False, True, math.inf)


def test_without_an_objective_anything_feasible_will_do() -> None:
    problem = pulp.LpProblem("any", pulp.LpMinimize)
    problem += problem.add_variable("x", cat="Binary") >= 1
    answer = solve_cbc(problem, math.inf)
    assert (answer.found, answer.finished) == (True, True)
