"""Stages alone: which stages of one device keep every limit if all else takes as little as it can."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from solver.errors import DeclinedError
from solver.problem import Problem
from solver.program import Floats
from solver.search.chains.chain import Bools
from solver.search.power.costs import PowerCosts, PowerModel
from solver.search.power.expanded import Expanded
from solver.search.power.limits import decline_unless_scored
from solver.search.step_limits import KEPT


def limited_model(problem: Problem, num_micro_batches: int) -> PowerModel | None:
    """Return the costs of devices as they are, in joules too; ``None`` where no limit asks for them.

    Parameters
    ----------
    problem
        What is decided; ``None`` too where its cost rules are not those of the tables.
    num_micro_batches
        Micro-batches of a step.
    """
    own = replace(problem, power_modes="own")
    try:
        decline_unless_scored(own)
    except DeclinedError:
        return None
    model = PowerModel(Expanded(own), num_micro_batches)
    return model if model.limits.is_limited else None


def kept_alone(model: PowerModel) -> Bools:
    """Return (V, n, n): whether a step with a stage can keep the deadline, budgets and its device's battery.

    Parameters
    ----------
    model
        Costs and limits.
    """
    costs, count = model.costs, model.num_micro_batches
    alone = count * costs.compute_s + costs.update_s
    kept: Bools = alone <= np.minimum(model.limit_s * KEPT, costs.most_s)
    for objective in ("energy", "carbon"):
        account = model.account(objective)
        if math.isfinite(account.most):
            kept &= least_with(costs, count, account.stage, account.waiting, account.base) <= account.most
    return kept


def least_with(
    costs: PowerCosts, num_micro_batches: int, stage: Floats, waiting: Floats, base: float
) -> Floats:
    """Return (V, n, n): what a step with a stage counts at least; other blocks are where they count least.

    Parameters
    ----------
    costs
        Of stages.
    num_micro_batches
        Micro-batches of a step.
    stage, waiting, base
        See :class:`solver.search.power.costs.Account`.
    """
    num_blocks = costs.compute_s.shape[1] - 1
    blocks = np.arange(num_blocks)
    alone = num_micro_batches * costs.compute_s + costs.update_s
    busy = np.isfinite(alone) & (alone > 0)
    rate = np.divide(stage, alone, out=np.zeros_like(alone), where=busy)
    passes = num_micro_batches * costs.compute_s[:, blocks, blocks + 1]
    can = np.isfinite(passes)
    per_s = rate[:, blocks, blocks + 1] + waiting[:, None]
    least = np.where(can, np.where(can, passes, 0.0) * per_s, np.inf).min(axis=0)
    others = np.concatenate([[0.0], np.cumsum(least)])
    beside: Floats = others[-1] - others[None, :] + others[:, None]
    return stage + (waiting[:, None, None] + base) * np.where(busy, alone, 0.0) + beside
