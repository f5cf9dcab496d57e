"""Quickstart: the main job on real input: a net, four unequal boards, a plan, and the proof by running it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from models.document import write_text
from solver import api
from solver.problem import Problem
from solver.progress import planning, training
from solver.report import Report
from solver.status import Solution

if TYPE_CHECKING:
    from rich.console import Console

WORKLOAD, CLUSTER = "vit_digits", "four_boards"
BATCH, STEPS, PLANNING_S = 64, 20, 15.0
TIMING, PARITY = 0.05, 1e-5
"""Largest relative differences that are accepted: of the step time, and of losses and weights."""


def quickstart(out: Path) -> int:
    """Plan, train, compare, draw. Returns the exit code.

    Parameters
    ----------
    out
        Folder for plan, trace and report; it is replaced.
    """
    from rich.console import Console

    console = Console(highlight=False)
    what = api.problem(WORKLOAD, CLUSTER, batch=BATCH, optimizer="momentum", out=out / "plan.json")
    console.print(
        f"[bold]1. Plan[/bold]  {WORKLOAD} (a vision transformer on real 8x8 images) over {CLUSTER}"
    )
    solution = _plan(what)
    if solution.plan is None or solution.report is None:
        console.print(f"no plan: {solution.reason}")
        return 1
    shutil.rmtree(out, ignore_errors=True)
    write_text(out / "plan.json", solution.plan.to_json())
    from solver.reporting.show import print_run, print_solution

    print_solution(console, solution, what.objective)
    _alone(console, what, solution.report)
    console.print(
        f"\n[bold]2. Train[/bold]  {STEPS} steps by that plan, one real process per board, boards emulated"
    )
    from solver.execution.run import run
    from solver.reporting.folder import write_run

    loaded = api.load(out / "plan.json")
    with training(STEPS) as progress:
        result = run(loaded.plan, loaded.workload, loaded.cluster, steps=STEPS, out=out, progress=progress)
    print_run(console, loaded.plan, loaded.cluster, result)
    write_run(out, loaded, result, solution=solution, overwrite=True)
    console.print(f"\n[bold]3. Look[/bold]  open {out / 'report.html'} in a browser")
    return _verdict(console, result.to_json())


def _plan(what: Problem) -> Solution:
    with planning(what.objective) as progress:
        return api.plan(what, "best", time_limit_s=PLANNING_S, progress=progress)


def _alone(console: Console, what: Problem, report: Report) -> None:
    """Say what the best single board would take: the first question people ask."""
    alone = api.plan(what, "single")
    if alone.score is not None:
        times = alone.score / report.step_time_s
        text = (
            f"the best single board takes {alone.score:.4g} s a step: the plan is {times:.2f} times as fast"
        )
        console.print(text)


def _verdict(console: Console, result: dict[str, object]) -> int:
    """Print what held and what did not; 0 if training was right, 1 if not."""
    loss = float(str(result["max_relative_loss_difference"]))
    weights = float(str(result["max_relative_weight_difference"]))
    step, traffic = result["step_time_s"], result["traffic_bytes"]
    assert isinstance(step, dict) and isinstance(traffic, dict)
    error = abs(step["measured_median"] / step["predicted"] - 1)
    right = loss <= PARITY and weights <= PARITY and traffic["predicted"] == traffic["measured"]
    lines = [
        f"losses within {loss:.1e}, weights within {weights:.1e} of the undivided run",
        f"bytes over links: {traffic['measured']} measured, {traffic['predicted']} predicted",
        f"step time {error:.1%} from the prediction"
        + ("" if error <= TIMING else " (a busy host: run again)"),
    ]
    for line in lines:
        console.print(line)
    return 0 if right else 1
