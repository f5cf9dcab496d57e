"""Part of the predicted throughput kept through a fault every 20 steps: devices killed, frozen, silent."""

from __future__ import annotations

from typing import Any

from experiments.figures import Figure
from experiments.figures._chaos import chaos

STEPS, EVERY = 200, 20


def measure() -> Figure:
    found = chaos(STEPS, EVERY)
    held = promises(found)
    kept = found["throughput_kept"] if all(held.values()) else 0.0
    return Figure(
        value=kept,
        unit="of what the plans predict; 0 if another promise is broken",
        baseline=1.0,
        baseline_is="every step that counts takes what is predicted for the devices then alive",
        goal=0.9,
        details={"promises": held, **found},
    )


def promises(found: dict[str, Any]) -> dict[str, bool]:
    """What must hold beside the throughput."""
    longest = found["longest_detection_s"]
    return {
        "all steps done": found["steps"] == STEPS,
        "step of 3 s at least": found["step_s"] >= 3,
        "every fault noticed, every device back": found["noticed"]
        == found["returned"]
        == sum(found["faults"].values()),
        "final loss of the run without faults": found["final_loss_difference"] <= 1e-4,
        "kill noticed in 0.5 s": longest.get("kill", 0.0) < 0.5,
        "silence noticed in 3 s": max(longest.get("freeze", 0.0), longest.get("silence", 0.0)) < 3,
        "woken workers fenced": found["frozen_devices_fenced"],
        "no step but the one in flight repeated": found["steps_lost"] == 0,
        "no orphans, no ports": not found["orphans"] and not found["leaked_ports"],
    }
