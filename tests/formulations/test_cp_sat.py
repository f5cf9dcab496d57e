"""CP-SAT: Ctrl-C still belongs to Python, during a search and after it."""

from __future__ import annotations

import signal
import threading

import pytest
from ortools.sat.python import cp_model

from solver.formulations.cp_sat import new_solver, solve_cp


def hard() -> cp_model.CpModel:
    """Pigeons: 12 of them in 11 holes, with an objective, so that it takes long."""
    model = cp_model.CpModel()
    inside = [[model.new_bool_var("") for _ in range(13)] for _ in range(14)]
    for row in inside:
        model.add(sum(row) >= 1)
    for hole in zip(*inside, strict=True):
        for i, one in enumerate(hole):
            for other in hole[:i]:
                model.add(one + other <= 1)
    return model


def test_an_interrupt_stops_the_search_and_reaches_python() -> None:
    solver = new_solver()
    solver.parameters.num_workers = 1
    solver.parameters.cp_model_presolve = False
    solver.parameters.symmetry_level = 0
    solver.parameters.max_time_in_seconds = 120
    timer = threading.Timer(0.5, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        if solve_cp(solver, hard()) == cp_model.INFEASIBLE:
            timer.join()  # it was quicker than the interrupt
    timer.join()
    assert not any(thread.name == "cp-sat" and thread.is_alive() for thread in threading.enumerate())


def test_afterwards_ctrl_c_is_still_heard() -> None:
    model = cp_model.CpModel()
    x = model.new_int_var(0, 9, "x")
    model.maximize(x)
    solver = new_solver()
    assert solve_cp(solver, model) == cp_model.OPTIMAL
    assert solver.value(x) == 9
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_errors_of_the_search_are_handed_on() -> None:
    with pytest.raises((TypeError, AttributeError)):
        solve_cp(new_solver(), None)
