"""Mixed-integer back ends: a PuLP problem, written once, solved by what is installed.

``cbc`` comes with PuLP and is always there. ``highs``, ``scip``, ``gurobi`` and ``copt`` are used when their
Python packages are installed (``pip install partage[highs]`` and so on); the last two need a licence for
anything that is not small.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any

from models.errors import Fault, InputError
from solver.formulations.cbc import Answer, solve_cbc

BACK_ENDS = ("cbc", "highs", "scip", "gurobi", "copt")
"""Names of all back ends; CBC needs no installation."""


def available() -> tuple[str, ...]:
    """Return the back ends that are installed."""
    return tuple(name for name in BACK_ENDS if name == "cbc" or _maker(name)().available())


def check_back_end(name: str) -> None:
    """Raise if a back end cannot be used.

    Raises
    ------
    InputError
        If there is no such back end, or it is not installed.
    """
    if name not in BACK_ENDS:
        message = f"no mixed-integer back end {name!r}; there are: {', '.join(BACK_ENDS)}"
        raise InputError([Fault("mip", message)], "solver")
    if name not in available():
        message = f"{name} is not installed: pip install 'partage[{name}]', or use {', '.join(available())}"
        raise InputError([Fault("mip", message)], "solver")


def solve_mip(problem: Any, seconds: float, back_end: str = "cbc") -> Answer:
    """Solve a minimisation.

    Parameters
    ----------
    problem
        A ``pulp.LpProblem``; its variables hold the solution afterwards.
    seconds
        Limit of wall time; infinite for none.
    back_end
        One of ``BACK_ENDS``.

    Raises
    ------
    InputError
        If the back end is not installed.
    """
    if back_end == "cbc":
        return solve_cbc(problem, seconds)
    check_back_end(back_end)
    import pulp

    limit = None if math.isinf(seconds) else max(0.1, seconds)
    problem.solve(_maker(back_end)(msg=False, timeLimit=limit, gapRel=0.0))
    if problem.sol_status == pulp.LpSolutionOptimal:
        value = 0.0 if problem.objective is None else float(pulp.value(problem.objective) or 0.0)
        return Answer(True, True, value)
    if problem.status == pulp.LpStatusInfeasible:
        return Answer(False, True, math.inf)
    found = problem.sol_status == pulp.LpSolutionIntegerFeasible
    return Answer(found, False, _bound(problem, back_end))


def _maker(name: str) -> Callable[..., Any]:
    import pulp

    made: dict[str, Callable[..., Any]] = {
        "highs": pulp.HiGHS,
        "scip": pulp.SCIP_PY,
        "gurobi": pulp.GUROBI,
        "copt": pulp.COPT,
    }
    return made[name]


def _bound(problem: Any, back_end: str) -> float:
    """Return the bound of a search that was cut short; minus infinity if the back end does not say."""
    model: Any = getattr(problem, "solverModel", None)
    read: dict[str, Callable[[], float]] = {
        "highs": lambda: model.getInfo().mip_dual_bound,
        "scip": lambda: model.getDualbound(),
        "gurobi": lambda: model.ObjBound,
        "copt": lambda: model.BestBnd,
    }
    value = -math.inf
    if model is not None:
        with contextlib.suppress(AttributeError, ValueError):
            value = float(read[back_end]())
    return value
