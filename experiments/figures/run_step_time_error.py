"""Relative error of the predicted step time on emulated boards: median of data, pipeline and hybrid plans."""

from __future__ import annotations

from statistics import median

from experiments.figures import Figure
from experiments.figures._runs import links_free_s, padded


def measure() -> Figure:
    figures = {kind: result.to_json() for kind, result in padded().items()}
    measured = {kind: f["step_time_s"]["measured_median"] for kind, f in figures.items()}
    errors = {kind: abs(f["step_time_s"]["predicted"] / measured[kind] - 1) for kind, f in figures.items()}
    naive = [abs(links_free_s(kind) / seconds - 1) for kind, seconds in measured.items()]
    return Figure(
        value=median(errors.values()),
        unit="",
        baseline=median(naive),
        baseline_is="a model of computation alone: links cost nothing",
        lower_is_better=True,
        goal=0.03,
        details={
            kind: {
                "error": errors[kind],
                **f["step_time_s"],
                "overruns": f["overruns"],
                "dilation": f["dilation"],
            }
            for kind, f in figures.items()
        },
    )
