"""Largest difference to the undivided run over all modes and mixtures: 20 steps, fp32 SGD and fp64 AdamW."""

from __future__ import annotations

import numpy as np

from experiments.figures import Figure
from experiments.figures._mixtures import runs
from solver.execution.run import RunResult

CASES = {"fp32 sgd": ("sgd", "fp32"), "fp64 adamw": ("adamw", "fp64")}


def measure() -> Figure:
    found = {
        case: {name: _differences(result) for name, result in runs(*words).items()}
        for case, words in CASES.items()
    }
    worst = max(value for rows in found.values() for row in rows.values() for value in row.values())
    return Figure(
        value=worst,
        unit="",
        baseline=float(np.finfo(np.float32).eps),
        baseline_is="spacing of fp32 numbers at 1",
        lower_is_better=True,
        goal=1e-5,
        details=found,
    )


def _differences(result: RunResult) -> dict[str, float]:
    """Relative differences of losses and weights, and bytes of a step that are not as predicted."""
    measured, predicted = result.traffic(), result.report.program.bytes_by_pair()
    pairs = {*measured, *predicted}
    return {
        "losses": result.max_relative_loss_difference or 0.0,
        "weights": result.max_relative_weight_difference or 0.0,
        "bytes": float(sum(abs(measured.get(pair, 0) - predicted.get(pair, 0)) for pair in pairs)),
    }
