"""Small benches for the tests: instances of the suite ``toy``, and solvers that misbehave."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

from solver.bench.asked import Asked, chosen_cases, tasks
from solver.bench.run import Done, run

TOY = Path(__file__).with_name("toy.py")

HEAD = """
import math, os, subprocess, sys, time
from solver.plan import Plan, pipeline_plan
from solver.search.shares import chain_stages
from solver.space import Space
from solver.status import Outcome

def plan_of(problem):
    count = problem.micro_batch_counts[0]
    cuts = [0, len(problem.workload.order)]
    stages = chain_stages(problem, cuts, [problem.usable[0]], problem.job.batch // count)
    return pipeline_plan(problem, stages, count)

"""


def solver_file(folder: Path, name: str, body: str, top: str = "") -> str:
    """Write a solver with this body of ``solve(problem, search)``; return its path."""
    text = HEAD + dedent(top) + "\n\ndef solve(problem, search):\n"
    path = folder / f"{name}.py"
    path.write_text(text + "".join(f"    {line}\n" for line in dedent(body).strip().split("\n")))
    return str(path)


def instances(folder: Path, **toys: dict[str, Any]) -> Path:
    """Write instances ``layer/<name>``; two boards, one twice as fast, and two blocks unless given."""
    place = folder / "instances"
    (place / "layer").mkdir(parents=True, exist_ok=True)
    for name, words in (toys or {"small": {}}).items():
        data = {"speeds": [1.0, 2.0], "num_blocks": 2} | words
        (place / "layer" / f"{name}.toy").write_text(json.dumps(data))
    return place


def asked(folder: Path, *solvers: str, **words: Any) -> Asked:
    words = {"time_limit_s": 5.0, "instances": folder / "instances"} | words
    return Asked(str(TOY), solvers, **words)


def run_one(folder: Path, ref: str, **words: Any) -> Done:
    """Run one solver on the first case."""
    what = asked(folder, ref, **words)
    return run(tasks(what, chosen_cases(what)[:1], 1)[0])
