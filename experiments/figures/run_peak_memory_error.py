"""Largest relative error of a device's predicted peak memory, over three plans of 4 processes."""

from __future__ import annotations

from experiments.figures import Figure
from experiments.figures._runs import padded


def measure() -> Figure:
    errors, naive = {}, []
    for kind, result in padded().items():
        for device, pair in result.to_json()["peak_memory_bytes"].items():
            errors[f"{kind}, {device}"] = abs(pair["predicted"] / pair["measured"] - 1)
            static = result.report.memory[device].static.total_bytes
            naive.append(abs(static / pair["measured"] - 1))
    return Figure(
        value=max(errors.values()),
        unit="",
        baseline=max(naive),
        baseline_is="counting weights, gradients and optimizer states alone",
        lower_is_better=True,
        goal=0.1,
        details=errors,
    )
