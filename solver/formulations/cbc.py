"""CBC: solve a PuLP problem by the CBC that PuLP carries, and say truthfully what came out."""

from __future__ import annotations

import math
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OPTIONS = ["preprocess off"]
"""CBC 2.10.3 preprocesses some feasible programmes without an objective into infeasible ones."""


@dataclass(frozen=True)
class Answer:
    """What CBC says.

    Parameters
    ----------
    found
        Whether the variables hold a solution.
    finished
        Whether the search ended: the solution is the best, or there is none.
    bound
        No solution is below it; minus infinity if nothing is known.
    """

    found: bool
    finished: bool
    bound: float


def solve_cbc(problem: Any, seconds: float) -> Answer:
    """Solve a minimisation.

    Parameters
    ----------
    problem
        A ``pulp.LpProblem``.
    seconds
        Limit of wall time; infinite for none.

    Notes
    -----
    PuLP calls a solution "Optimal" that a time limit cut short; only ``sol_status`` tells, and the bound
    stands in CBC's log alone. That no integers will do is in ``status``, not in ``sol_status``.
    """
    import pulp

    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "cbc.log"
        limit = None if math.isinf(seconds) else max(0.1, seconds)
        back_end = pulp.PULP_CBC_CMD(
            msg=False, timeLimit=limit, logPath=str(log), gapRel=0.0, gapAbs=0.0, options=OPTIONS
        )
        problem.solve(back_end)
        text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    if problem.sol_status == pulp.LpSolutionOptimal:
        return Answer(
            True, True, 0.0 if problem.objective is None else float(pulp.value(problem.objective) or 0.0)
        )
    if problem.status == pulp.LpStatusInfeasible:
        return Answer(False, True, math.inf)
    bounds = re.findall(r"^Lower bound:\s*([-+.\de]+)", text, re.MULTILINE)
    found = problem.sol_status == pulp.LpSolutionIntegerFeasible
    return Answer(found, False, float(bounds[-1]) if bounds else -math.inf)
