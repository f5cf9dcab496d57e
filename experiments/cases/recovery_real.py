"""Recovery for real: each of four emulated boards is killed while they train a small net."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from experiments.figures._chaos import WORKLOAD, cluster, plan
from models import catalog
from solver.execution.elastic.run import run_elastic
from solver.execution.elastic.strikes import Strike
from solver.execution.run import run
from solver.plan import Plan
from solver.repair.policy import PolicyName, Repair, replanned

STEPS, STRUCK = 6, 3
"""Steps of a run, and the one during which a board is killed."""
BOARDS = ("kitchen", "hall")
"""The only one of the first stage, and one of the two of the second."""
SPEED = 8.0
"""How many times faster than in the chaos run the boards and links are: a step takes about half a second."""


def real_rows(*, quick: bool) -> list[dict[str, Any]]:
    """Return a row for every board and way: what passed until training went on, real seconds.

    Parameters
    ----------
    quick
        One board only, and a light repair beside a restart.
    """
    whole, found = plan(), []
    policies: tuple[PolicyName, ...] = ("light",) if quick else ("light", "full")
    for device in BOARDS[:1] if quick else BOARDS:
        found += [*(_elastic(whole, device, policy) for policy in policies), _restart(whole, device)]
    return found


def _elastic(whole: Plan, device: str, policy: PolicyName) -> dict[str, Any]:
    """Kill a board during a step of an elastic run."""
    result = run_elastic(
        whole,
        catalog.workload(WORKLOAD),
        cluster(SPEED),
        steps=STEPS,
        dilation=1.0,
        strikes=(Strike(STRUCK, device, "kill", back_after=None, delay_s=0.1),),
        repair=Repair(policy=policy),
        reference=False,
    )
    change = result.story.changes[0]
    detect_s = sum(event.detect_s or 0.0 for event in change.events)
    return {
        "device": device,
        "way": policy,
        "step_s_after": change.step_s_after,
        "measured_detect_s": detect_s,
        "measured_stop_s": change.stop_s,
        "measured_plan_s": change.replan_s,
        "measured_move_s": change.move_s,
        "measured_recovery_s": detect_s + change.resume_s,
    }


def _restart(whole: Plan, device: str) -> dict[str, Any]:
    """Save a checkpoint, end all processes, plan anew, start others, load: until the first step begins."""
    workload, boards = catalog.workload(WORKLOAD), cluster(SPEED)
    words: dict[str, Any] = {"dilation": 1.0, "reference": False}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        run(whole, workload, boards, steps=STRUCK, out=out, keep_checkpoint=True, **words)
        began = time.monotonic()
        anew = replanned(whole, workload, boards, {device}, Repair())
        assert anew is not None, "three boards of 1 GB can train this net"
        planned_s = time.monotonic() - began
        heard: list[float] = []
        result = run(
            anew,
            workload,
            boards,
            steps=STRUCK + 1,
            resume=out,
            progress=lambda step, loss: heard.append(time.monotonic()),
            **words,
        )
    step_s = result.trace.step_times_s[0] * result.trace.dilation
    recovery_s = heard[0] - began - step_s
    return {
        "device": device,
        "way": "restart",
        "step_s_after": result.report.step_time_s,
        "measured_plan_s": planned_s,
        "measured_move_s": recovery_s - planned_s,
        "measured_recovery_s": recovery_s,
    }
