"""Step limits: the most that a step may take: seconds, joules, grams CO2e, and joules of every battery."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from solver.accounts import J_PER_KWH
from solver.problem import Problem
from solver.program import Floats

KEPT = 1 + 1e-9
"""Limits are widened by so much where bounds are held to them: the evaluator says of what is at a limit."""
SMALLEST = 1e-300


@dataclass(frozen=True)
class StepLimits:
    """The most that a step may take; infinite where nothing is said.

    Parameters
    ----------
    step_s
        Longest step, seconds.
    energy_j, carbon_g
        Most energy of all devices, and most grams CO2e.
    device_j
        (D,), most energy of each device of the cluster: its battery has to last for all steps.
    """

    step_s: float
    energy_j: float
    carbon_g: float
    device_j: Floats

    @property
    def counts_joules(self) -> bool:
        """Whether there is a limit on energy, grams or a battery."""
        return bool(np.isfinite([self.energy_j, self.carbon_g, *self.device_j]).any())

    @property
    def is_limited(self) -> bool:
        """Whether there is any of these limits."""
        return math.isfinite(self.step_s) or self.counts_joules

    def of(self, objective: str) -> float:
        """Return the limit on energy or carbon, widened by rounding; above 0: what takes nothing keeps it.

        Parameters
        ----------
        objective
            ``energy`` or ``carbon``.
        """
        return max({"energy": self.energy_j, "carbon": self.carbon_g}[objective] * KEPT, SMALLEST)


def step_limits(problem: Problem) -> StepLimits:
    """Return the limits of a problem.

    Parameters
    ----------
    problem
        What is decided.
    """
    job, most = problem.job, problem.at_most

    def least(name: str, own: float | None) -> float:
        return min(most.get(name, math.inf), math.inf if own is None else own)

    batteries = [device.battery_j for device in problem.cluster.devices]
    return StepLimits(
        least("time", job.deadline_s),
        least("energy", job.energy_budget_j),
        least("carbon", job.carbon_budget_g),
        np.array([b.value / job.steps if b is not None and job.steps else math.inf for b in batteries]),
    )


def worth_of_joule(problem: Problem, objective: str) -> Floats:
    """Return (D,) what a joule of each device of the cluster counts under an objective.

    Parameters
    ----------
    problem
        What is decided.
    objective
        ``energy``: joules; ``carbon``: grams CO2e, none where the supply's intensity is not known.
    """
    if objective == "energy":
        return np.ones(len(problem.cluster.devices))
    known = [device.carbon_g_per_kwh for device in problem.cluster.devices]
    return np.array([0.0 if one is None else one.value / J_PER_KWH for one in known])
