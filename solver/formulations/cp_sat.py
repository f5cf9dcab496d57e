"""CP-SAT: a solver that can be interrupted, and leaves the interrupt to Python.

By itself CP-SAT takes the handler of Ctrl-C away and does not give it back: afterwards Ctrl-C would end the
whole process, and the best plan with it.
"""

from __future__ import annotations

import threading
from typing import Any

POLL_S = 0.05
"""Seconds between two looks for an interrupt."""


def new_solver() -> Any:
    """Return a ``CpSolver`` that leaves Ctrl-C alone."""
    from ortools.sat.python import cp_model

    solver = cp_model.CpSolver()
    solver.parameters.catch_sigint_signal = False
    return solver


def solve_cp(solver: Any, model: Any, callback: Any = None) -> Any:
    """Solve a model, and return the status.

    Parameters
    ----------
    solver
        Of :func:`new_solver`.
    model
        A ``CpModel``.
    callback
        A ``CpSolverSolutionCallback``; called in the thread of the search.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, after the search was stopped.

    Notes
    -----
    It works in a thread of its own: Python hears of an interrupt only between two instructions of the main
    thread, which must not be inside of CP-SAT then.
    """
    found: list[Any] = []
    done = threading.Event()

    def work() -> None:
        try:
            found.append(solver.solve(model, callback))
        except Exception as error:  # handed on below
            found.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=work, name="cp-sat", daemon=True)
    thread.start()
    try:
        while not done.wait(POLL_S):
            pass
    except KeyboardInterrupt:
        solver.stop_search()
        done.wait()
        raise
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]
