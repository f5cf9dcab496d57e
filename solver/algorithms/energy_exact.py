"""energy_exact: chains of least energy, or carbon, under limits, power modes chosen, by branch and bound.

Our own. For each number of micro-batches the chain is built from the last stage to the first: a device, one
of its power modes, and a first block. Tables over sets of devices say what the blocks before take at least,
in time and in energy; the idle power of everybody for so long is energy too. What cannot beat the best plan,
fit into memory, or keep the deadline, a budget of energy or carbon, a battery or the limit on bytes to less
trusted devices is cut off, and whole chains are scored as the evaluator scores them, under every limit.

Assumes a chain that is trained, the objective energy or carbon, and a cost rule that is scored in batches;
declines others, and more than ``MOST_DEVICES`` devices. Claim: exact for chains of one device a stage, in any
order, of any of the devices, in any of their power modes where the problem leaves those free, in-flight caps
by the rule of the schedule, and every number of micro-batches asked. Where time runs out the bound still
holds.
"""

from __future__ import annotations

import math

import numpy as np

from solver.errors import DeclinedError
from solver.problem import Problem
from solver.search.chains.trust import untrusted_limit
from solver.search.incumbent import Interrupted, Search
from solver.search.power.expanded import Expanded
from solver.search.power.limits import decline_unless_chains
from solver.search.power.proof import EnergyTree
from solver.space import Space
from solver.status import Outcome

MOST_DEVICES = 10
"""Tables over sets of devices: beyond so many they are too large."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Find the chain with modes that takes least energy, or emits least.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it; the best plan so far is the cut-off.

    Raises
    ------
    DeclinedError
        With the reason.
    """
    decline_unless_chains(problem)
    if len(problem.usable) > MOST_DEVICES:
        message = f"{len(problem.usable)} devices; energy_exact has tables for up to {MOST_DEVICES}"
        raise DeclinedError(f"{message}; use best")
    counts = problem.micro_batch_counts
    space = Space(("data",), num_micro_batches=counts, power_modes=problem.power_modes)
    expanded = Expanded(problem)
    trees = [EnergyTree(expanded, search, count) for count in counts]
    trees.sort(key=lambda tree: (tree.bound_j, tree.count))
    reason = "all chains were covered"
    try:
        for tree in trees:
            tree.run()
    except Interrupted as stop:
        reason = str(stop)
    if all(tree.is_closed for tree in trees):
        if search.best_plan is None:
            return Outcome(space, infeasible=True, reason=_why(trees))
        return Outcome(space, bound=search.best_score * (1 - 1e-10), reason=reason)
    return Outcome(space, bound=min(search.best_score, *(tree.bound_j for tree in trees)), reason=reason)


def _why(trees: list[EnergyTree]) -> str:
    """Say why there is no plan."""
    if all(math.isinf(tree.bound_j) for tree in trees):
        return f"no chain keeps memory and {_limits(trees[0])}: all were covered by bounds"
    return "no chain keeps every limit: all were covered"


def _limits(tree: EnergyTree) -> str:
    """Name the limits that bounds know."""
    limits = tree.model.limits
    given = {
        "the deadline": math.isfinite(limits.step_s),
        "the energy budget": math.isfinite(limits.energy_j),
        "the carbon budget": math.isfinite(limits.carbon_g),
        "the batteries": bool(np.isfinite(limits.device_j).any()),
        "the limit on untrusted bytes": math.isfinite(untrusted_limit(tree.expanded.original)),
    }
    named = [name for name, is_given in given.items() if is_given]
    return ", ".join(named) if named else "where data may be"
