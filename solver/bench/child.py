"""Child: what happens inside the process of a run. It tells the warden, one JSON line an event."""

from __future__ import annotations

import inspect
import json
import math
import os
import traceback
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from models.errors import InputError
from solver import catalog as solvers
from solver.errors import InternalError
from solver.solve import solve
from solver.status import Solution
from solver.suites import catalog as suites
from solver.suites.case import Case
from solver.working_clock import when_compiling, working_s


def run(request: dict[str, Any], events: int) -> None:
    """Do what is asked, and tell.

    Parameters
    ----------
    request
        ``{"probe": [solver, ...]}``, or :attr:`solver.bench.task.Task.request`.
    events
        File descriptor to write to.
    """
    this = os.getpid()

    def tell(**words: Any) -> None:
        if os.getpid() != this:
            os._exit(0)  # a copy that a solver forked and did not end: it has no say
        data = json.dumps(words).encode() + b"\n"
        while data:
            data = data[os.write(events, data) :]

    if "probe" in request:
        tell(event="probed", faults=[fault for ref in request["probe"] for fault in _faults(ref)])
        return
    tell(**_solved(request, tell))


def _faults(ref: str) -> list[list[str]]:
    try:
        solvers.load(ref)
    except InputError as error:
        return [[fault.path, fault.message] for fault in error.faults]
    return []


def _solved(request: dict[str, Any], tell: Callable[..., None]) -> dict[str, Any]:
    """Return the answer of the solver, or how it failed."""
    case = Case(**request["case"])
    problem = suites.load(request["suite"]).problem(case)

    def progress(message: str, score: float) -> None:
        tell(event="incumbent", wall_s=working_s() - began, score=score)

    _, function = solvers.load(request["solver"])
    when_compiling(lambda begins: tell(event="compiling" if begins else "compiled"))
    tell(event="solving")
    began = working_s()
    try:
        solution = solve(
            problem,
            request["solver"],
            time_limit_s=request["time_limit_s"],
            seed=request["seed"],
            work_limit=request["work_limit"],
            progress=progress,
        )
    except InternalError as error:
        return _failed("lie", str(error), began)
    except MemoryError as error:
        return _failed("memory", f"out of memory {error}".strip(), began)
    except Exception as error:  # whatever a solver raises is a failure of this run, recorded
        traceback.print_exc()
        text = f"{type(error).__name__}: {error}"
        if _is_inside(error, function):
            return _failed("exception", text, began)
        return _failed("garbage", f"what it returned cannot be used: {text}", began)
    return _answer(solution, working_s() - began)


def _is_inside(error: BaseException, function: Callable[..., Any]) -> bool:
    """Say whether an error was raised while a solver ran; if not, what it had returned is the cause."""
    file = inspect.getsourcefile(inspect.unwrap(function))
    return any(frame.f_code.co_filename == file for frame, _ in traceback.walk_tb(error.__traceback__))


def _failed(kind: str, reason: str, began: float) -> dict[str, Any]:
    return {"event": "failed", "failure": kind, "reason": reason, "wall_s": working_s() - began}


def _answer(solution: Solution, wall_s: float) -> dict[str, Any]:
    bound = solution.bound
    return {
        "event": "solved",
        "status": solution.status.name,
        "plan": None if solution.plan is None else solution.plan.to_json(),
        "score": solution.score,
        "bound": None if bound is None or bound == -math.inf else float(bound),
        "space": {"words": str(solution.space), **asdict(solution.space)},
        "reason": solution.reason,
        "wall_s": wall_s,
        "incumbents": [[one.wall_s, one.score] for one in solution.incumbents],
        "bounds": [[one.wall_s, one.value] for one in solution.bounds if math.isfinite(one.value)],
    }
