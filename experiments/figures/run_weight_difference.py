"""Largest relative difference of final weights to the undivided run: fp32 momentum, and fp64 AdamW."""

from __future__ import annotations

import numpy as np

from experiments.figures import Figure
from experiments.figures._runs import padded, runs


def measure() -> Figure:
    cases = {"fp32 momentum": padded(), "fp64 adamw": runs("adamw", "fp64", "raw")}
    found = {
        f"{case}, {kind}": result.max_relative_weight_difference or 0.0
        for case, results in cases.items()
        for kind, result in results.items()
    }
    losses = {kind: result.max_relative_loss_difference for kind, result in cases["fp64 adamw"].items()}
    return Figure(
        value=max(found.values()),
        unit="",
        baseline=float(np.finfo(np.float32).eps),
        baseline_is="spacing of fp32 numbers at 1",
        lower_is_better=True,
        goal=1e-5,
        details={"weights": found, "losses fp64 adamw": losses},
    )
