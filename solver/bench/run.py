"""Run: one solver on one case in a process of its own; the evaluator here confirms what it claims.

The process of the run (:mod:`solver.bench.child`) is not trusted. Its plan comes back as JSON, and this
process, in which no code of a solver ran, judges it again: only a confirmed score is recorded.
"""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from models.document import parse, validate
from models.errors import InputError, PartageError
from solver.bench.machine import machine, versions
from solver.bench.task import Task
from solver.evaluate import judge
from solver.plan import Plan
from solver.problem import Problem
from solver.status import Status
from solver.suites import catalog as suites
from solver.suites.case import Case

TOLERANCE = 1e-9
"""Relative difference at which two scores are the same."""

FAILED = "FAILED"
"""Status of a run that broke; ``failure`` says how: one of ``FAILURES``."""

FAILURES = {
    "exception": "the solver raised",
    "crash": "its process died",
    "hang": "it did not stop at its time limit",
    "memory": "it ran out of memory",
    "lie": "the evaluator does not confirm its score or bound",
    "garbage": "its answer is not an answer",
}

_WARDEN = Path(__file__).with_name("warden.py")


@dataclass(frozen=True)
class Done:
    """What a run left.

    Parameters
    ----------
    line
        Its line of ``runs.jsonl``.
    document
        The solution in the suite's own terms; ``None`` if there is none.
    output
        What it printed.
    """

    line: dict[str, Any]
    document: dict[str, Any] | None = None
    output: str = ""


@dataclass
class _Wrong(Exception):  # not an error of ours: what a solver claims cannot stand
    failure: str
    reason: str


@dataclass
class _Claim:
    """An answer, confirmed."""

    status: str
    score: float | None = None
    bound: float | None = None
    plan: Plan | None = None
    incumbents: list[list[float]] = field(default_factory=list)


def ask(request: dict[str, Any], owner: int | None = None) -> dict[str, Any]:
    """Have a request done in a process of its own; return the answer of its warden.

    Parameters
    ----------
    request
        See :func:`solver.bench.child.run`.
    owner
        Process that has to live on; the run is stopped if it is gone.
    """
    warden = subprocess.Popen(
        [sys.executable, "-P", str(_WARDEN)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert warden.stdin is not None
    with warden:
        try:
            warden.stdin.write(json.dumps(request).encode() + b"\n")
            warden.stdin.flush()
            data = _read(warden, owner)
        finally:
            warden.stdin.close()  # the end of its input ends the run
            warden.wait()
    if warden.returncode or not data:
        reason = f"the process that watched it ended with code {warden.returncode}"
        return {"answer": None, "failure": "crash", "reason": reason, "output": "", "incumbents": []}
    answer: dict[str, Any] = json.loads(data)
    return answer


def _read(warden: subprocess.Popen[bytes], owner: int | None) -> bytes:
    """Read to the end; go, and let the warden end the run, if the owner is gone."""
    assert warden.stdout is not None
    parts: list[bytes] = []
    while True:
        ready, _, _ = select.select([warden.stdout], [], [], 0.2)
        if ready:
            part = os.read(warden.stdout.fileno(), 1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)
        elif owner is not None and os.getppid() != owner:
            return b""


def run(task: Task, owner: int | None = None) -> Done:
    """Do one run.

    Parameters
    ----------
    task
        What to run.
    owner
        See :func:`ask`.
    """
    began, clock = datetime.now(UTC), time.monotonic()
    told = ask(task.request, owner)
    answer = told["answer"] or {"event": "failed", **told}
    line = _head(task, began)
    seconds = answer.get("wall_s", told.get("wall_s", time.monotonic() - clock))
    line |= {"wall_s": seconds, "peak_memory_bytes": told.get("peak_memory_bytes")}
    line["reason"] = answer.get("reason", "")
    try:
        if answer["event"] == "failed":
            raise _Wrong(answer["failure"], answer["reason"])
        claim = _confirmed(task, answer)
        document = _document(task, claim)
    except _Wrong as wrong:
        line |= {"status": FAILED, "failure": wrong.failure, "reason": wrong.reason}
        line["incumbents"] = told["incumbents"]
        return Done(line, output=told["output"])
    line |= {"status": claim.status, "score": claim.score, "bound": claim.bound, "gap": _gap(claim)}
    line |= {
        "space": answer["space"],
        "bounds": answer["bounds"],
        "incumbents": claim.incumbents,
        "stopped_by": _stopped_by(task, line),
    }
    if document is not None:
        line["objective"] = document.get("objective")
    return Done(line, document, told["output"])


def _head(task: Task, began: datetime) -> dict[str, Any]:
    """Return the line of a run before anything is known of how it went."""
    case = task.case
    return {
        "suite": case.suite,
        "instance": case.instance,
        "variant": case.variant,
        "parameters": dict(case.parameters),
        "labels": dict(case.labels),
        "case": case.name,
        "solver": task.solver_name,
        "seed": task.seed,
        "time_limit_s": task.time_limit_s,
        "work_limit": task.work_limit,
        "status": FAILED,
        "failure": None,
        "stopped_by": None,
        "score": None,
        "bound": None,
        "gap": None,
        "objective": None,
        "best_known": case.best_known,
        "known_bound": case.known_bound,
        "wall_s": None,
        "peak_memory_bytes": None,
        "solution_file": None,
        "incumbents": [],
        "bounds": [],
        "space": None,
        "reason": "",
        "jobs": task.jobs,
        "problem_sha256": task.sha256,
        "solver_sha256": task.solver_sha256,
        "began": began.isoformat(timespec="seconds"),
        "versions": versions(),
        "machine": machine(),
    }


@lru_cache(maxsize=2)
def _problem(suite: str, case: str) -> Problem:
    problem: Problem = suites.load(suite).problem(Case(**json.loads(case)))
    return problem


def problem_of(task: Task) -> Problem:
    """Return the problem of a task; kept for the next task of the same case."""
    return _problem(task.suite, json.dumps(task.request["case"]))


def _confirmed(task: Task, answer: dict[str, Any]) -> _Claim:
    """Judge the plan of an answer again; return what stands."""
    status, plan_text, bound = answer["status"], answer["plan"], answer["bound"]
    if bound is not None and not math.isfinite(bound):
        raise _Wrong("garbage", f"its bound is {bound!r}: no number")
    if plan_text is None:
        if status not in (Status.INFEASIBLE.name, Status.UNKNOWN.name, Status.DECLINED.name):
            raise _Wrong("garbage", f"its status is {status}, but there is no plan")
        return _Claim(status)
    try:
        plan = validate(Plan, parse(plan_text, "plan", is_json=True), "plan")
        report, score = judge(problem_of(task), plan)
    except InputError as error:
        raise _Wrong("garbage", f"its plan is not sound: {error}") from error
    claimed = answer["score"]
    slack = TOLERANCE * max(abs(score), 1e-300)
    if not report.is_feasible:
        broken = "; ".join(violation.message for violation in report.violations)
        raise _Wrong("lie", f"its plan breaks limits: {broken}")
    if claimed is None or not abs(claimed - score) <= slack:
        raise _Wrong("lie", f"it claims a score of {claimed!r}, the evaluator says {score!r}")
    if bound is not None and bound > score + slack:
        raise _Wrong("lie", f"its bound {bound!r} is above the score {score!r} of its own plan")
    proven = bound is not None and score - bound <= slack
    if (status == Status.OPTIMAL.name) != proven:
        raise _Wrong("lie", f"its status is {status} with score {score!r} and bound {bound!r}")
    return _Claim(status, score, bound, plan, answer["incumbents"])


def _document(task: Task, claim: _Claim) -> dict[str, Any] | None:
    if claim.plan is None:
        return None
    try:
        document: dict[str, Any] = suites.load(task.suite).document(task.case, claim.plan, claim.score)
    except PartageError as error:
        raise _Wrong("garbage", f"its plan cannot be said in the terms of the suite: {error}") from error
    return document


def _gap(claim: _Claim) -> float | None:
    if claim.score is None or claim.bound is None:
        return None
    return 0.0 if claim.score == 0 else max(0.0, (claim.score - claim.bound) / abs(claim.score))


def _stopped_by(task: Task, line: dict[str, Any]) -> str | None:
    """Say which limit ended a run: results that the clock ended differ between machines."""
    if "work limit" in line["reason"]:
        return "work limit"
    return "time limit" if "time limit" in line["reason"] or line["wall_s"] >= task.time_limit_s else None
