"""Fit: the constants under which predictions are nearest to the odd rows and put their plans in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from scipy.optimize import differential_evolution

from models.formats.vtrain import GptRun
from solver.program import Longs
from solver.validation.vtrain.constants import Constants
from solver.validation.vtrain.costs import Floats, Shapes, iteration_s

START = Constants(
    gemm_efficiency=0.8,
    whole_vocabulary_efficiency=0.25,
    score_bytes=20,
    kernel_s=5e-4,
    launch_s=1e-3,
    launch_growth=0.1,
    launch_cut_s=1.2e-4,
    launch_unfused_s=5e-4,
    tensor_efficiency=0.35,
    tensor_latency_s=1.5e-4,
    tensor_latency_growth=0.3,
    message_bytes_per_s=13.4e9,
)
"""Middle of the box that is searched."""

SPREAD = 2.2
"""Each constant is searched from START / SPREAD to START x SPREAD."""

ROUNDS = 400
STARTS = 2
"""Searches from different seeds, of which the best counts."""


def group_of(run: GptRun) -> str:
    """Return what plans must have in common to answer the same question: workload, batch and GPUs."""
    net = f"hidden {run.hidden}, {run.heads} heads, {run.layers} layers, {run.sequence} tokens"
    return f"{net}, batch {run.global_batch}, {run.gpus} GPUs"


def fit(runs: Sequence[GptRun], progress: Callable[[int, int], None] | None = None) -> Constants:
    """Return the constants of the least mean relative error less Kendall's tau among plans of a workload.

    Parameters
    ----------
    runs
        Measured runs.
    progress
        Told (done, all).

    Notes
    -----
    Differential evolution with a fixed seed, on the closed form; constants are rounded to four digits, so
    that a last bit of a machine does not show.
    """
    middle, width = np.log(list(START.model_dump().values())), np.log(SPREAD)
    loss = _loss_of(runs)
    rounds: list[float] = []

    def report(best: Floats, convergence: float) -> None:
        rounds.append(convergence)
        if progress is not None:
            progress(min(len(rounds), STARTS * ROUNDS), STARTS * ROUNDS)

    searches = [
        differential_evolution(
            loss,
            list(zip(middle - width, middle + width, strict=True)),
            x0=middle,
            rng=seed,
            maxiter=ROUNDS,
            popsize=12,
            polish=False,
            tol=1e-6,
            callback=report,
        )
        for seed in range(STARTS)
    ]
    found = min(searches, key=lambda search: float(search.fun))
    rounded = {name: float(f"{value:.4g}") for name, value in _constants(found.x).model_dump().items()}
    return Constants(**rounded)


def _loss_of(runs: Sequence[GptRun]) -> Callable[[Floats], float]:
    """Return the loss as a function of the logarithms of the constants."""
    shapes = Shapes.of(runs)
    measured = np.array([run.iteration_s for run in runs], np.float64)
    first, second = _pairs(runs)
    order = np.sign(measured[first] - measured[second])

    def loss(logs: Floats) -> float:
        predicted = iteration_s(shapes, _constants(logs))
        tau = float((order * np.sign(predicted[first] - predicted[second])).mean())
        return float(np.abs(predicted / measured - 1).mean()) - tau

    return loss


def _constants(logs: Floats) -> Constants:
    return Constants.model_construct(**dict(zip(Constants.model_fields, np.exp(logs).tolist(), strict=True)))


def _pairs(runs: Sequence[GptRun]) -> tuple[Longs, Longs]:
    """Return the pairs of runs of one group, as two lists of their places."""
    groups: dict[str, list[int]] = {}
    for i, run in enumerate(runs):
        groups.setdefault(group_of(run), []).append(i)
    pairs = [pair for group in groups.values() for pair in combinations(group, 2)]
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    return first, second
