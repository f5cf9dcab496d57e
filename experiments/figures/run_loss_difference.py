"""Largest relative loss difference to the undivided run: three plans, 20 steps, fp32, SGD with momentum."""

from __future__ import annotations

import numpy as np

from experiments.figures import Figure
from experiments.figures._runs import padded


def measure() -> Figure:
    found = {kind: result.max_relative_loss_difference or 0.0 for kind, result in padded().items()}
    return Figure(
        value=max(found.values()),
        unit="",
        baseline=float(np.finfo(np.float32).eps),
        baseline_is="spacing of fp32 numbers at 1",
        lower_is_better=True,
        goal=1e-5,
        details=found,
    )
