"""A board killed while it trains, for real: what was measured beside what was predicted."""

from __future__ import annotations

from typing import Any

from experiments.figures._chaos import WORKLOAD, cluster, plan
from models import catalog
from solver.execution.elastic.run import run_elastic
from solver.execution.elastic.strikes import Strike
from solver.repair.policy import Repair

STEPS, AT, SPEED = 8, 3, 4.0
"""Steps of the run, in which of them the board dies, and how much faster boards are than in the chaos run."""


def killed_row(device: str) -> dict[str, Any]:
    """Train some steps on four boards, kill one in the fourth, and return what happened.

    Parameters
    ----------
    device
        Who is killed, 0.3 s into the step.
    """
    boards, workload = cluster(SPEED), catalog.workload(WORKLOAD)
    strike = Strike(AT, device, "kill", back_after=None, delay_s=0.3)
    result = run_elastic(
        plan(), workload, boards, steps=STEPS, mode="padded", dilation=1.0, strikes=(strike,), repair=Repair()
    )
    changes = result.story.changes
    change = next(one for one in changes if any(event.device == device for event in one.events))
    event = next(event for event in change.events if event.device == device)
    chosen = change.candidates[0]
    times = result.story.step_times_s[change.step :]
    difference = result.max_relative_loss_difference
    return {
        "killed": device,
        "how": change.how,
        "step_before_s": change.step_s_before,
        "step_after_s": change.step_s_after,
        "measured_step_after_s": sorted(times)[len(times) // 2],
        "steps_lost": change.steps_lost,
        "measured_other_changes": len(changes) - 1,
        "moved_mb": change.moved_bytes / 1e6,
        "move_s": chosen["move_s"],
        "measured_move_s": change.move_s,
        "measured_detect_s": event.detect_s,
        "measured_stop_s": change.stop_s,
        "measured_replan_s": change.replan_s,
        "measured_resume_s": change.resume_s,
        "loss_as_without_fault": difference is not None and difference < 1e-4,
    }
