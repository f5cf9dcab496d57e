"""energy_ilp: chains of least energy, or carbon, under limits, power modes chosen, by an integer programme.

Our own formulation, with logic-based Benders decomposition (Hooker and Ottosson, Math. Programming 96,
2003): a master programme on columns (interval, device, mode) with a lower bound of the step time and so of
the energy of waiting; its solution is judged by the evaluator and cut off, until nothing is left that could
be better. The deadline, budgets of energy and carbon, batteries, and the limit on bytes to less trusted
devices are rows; see :mod:`solver.formulations.energy_columns`. CBC's tolerances are not ours: solutions are
looked at until the programme's least energy is above the best plan's by more than that.

Assumes a chain that is trained, and the objective energy or carbon; declines others, and more than
``MOST_COLUMNS`` columns. Claim: exact for the space of ``energy_exact``; they share tables of costs and
nothing else.
"""

from __future__ import annotations

import math

from solver.errors import DeclinedError
from solver.formulations.energy_columns import EnergyProgramme, longest_step_s, most_energy_j
from solver.formulations.mip import solve_mip
from solver.problem import Problem
from solver.search.incumbent import Interrupted, Search
from solver.search.power.costs import SMALL, PowerModel
from solver.search.power.expanded import Expanded, Interval
from solver.search.power.limits import decline_unless_chains
from solver.space import Space
from solver.status import Outcome

MOST_COLUMNS = 20_000
"""Columns beyond which a programme is not built."""
TOLERANCE = 2e-6
"""Relative energy above the best plan's up to which solutions are looked at: CBC may overlook as much."""

REBUILT = 1 - 1e-4
"""Relative energy of the best plan from which on programmes are built anew, with fewer columns."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Find the chain with modes that takes least energy.

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
    counts = problem.micro_batch_counts
    space = Space(("data",), num_micro_batches=counts, power_modes=problem.power_modes)
    expanded = Expanded(problem)
    models = [PowerModel(expanded, count) for count in counts]
    size = sum(model.costs.fits.sum() for model in models)
    if size > MOST_COLUMNS:
        raise DeclinedError(f"a programme of {size} columns; energy_ilp takes up to {MOST_COLUMNS}; use best")
    masters = [_Master(model, search) for model in models]
    _single_devices(expanded, models, search)
    try:
        while open_ones := [master for master in masters if not master.is_closed]:
            min(open_ones, key=lambda master: master.bound_j).step()
    except Interrupted as stop:
        bound = min(search.best_score, *(master.bound_j for master in masters))
        return Outcome(space, bound=bound, reason=str(stop))
    solved = sum(master.num_solved for master in masters)
    if search.best_plan is None:
        return Outcome(space, infeasible=True, reason=f"no chain keeps every limit; {solved} programmes")
    return Outcome(space, bound=search.best_score * (1 - 1e-10), reason=f"proven by {solved} programmes")


def _single_devices(expanded: Expanded, models: list[PowerModel], search: Search) -> None:
    """Offer every device in each mode alone: a first cut-off."""
    for model in models:
        for v in range(len(model.costs.device)):
            num_blocks = model.costs.compute_s.shape[1] - 1
            if model.costs.fits[1, v, 0, num_blocks]:
                search.tick()
                search.offer(expanded.plan([(v, 0, num_blocks)], model.num_micro_batches))


class _Master:
    """The programme of one number of micro-batches, and what it has proven.

    Parameters
    ----------
    model
        Costs.
    search
        Judges plans.
    """

    def __init__(self, model: PowerModel, search: Search) -> None:
        self.model, self.search = model, search
        self._base = model.main.base
        self.bound_j, self.num_solved = 0.0, 0
        self._built_j, self._looked_at = math.inf, list[list[Interval]]()
        self._programme: EnergyProgramme | None = None

    @property
    def is_closed(self) -> bool:
        """Whether nothing that is left can be better than the best plan."""
        if self.search.best_score == 0:  # nothing is counted, as where all supplies are clean
            return True
        return math.isinf(self.bound_j) or self.bound_j > self._useless_j

    @property
    def _useless_j(self) -> float:
        return min(self.search.best_score, self.model.main.most) * (1 + TOLERANCE)

    def step(self) -> None:
        """Solve once, judge the solution, and cut it off."""
        self.search.tick()
        if self._programme is None or self._useless_j < self._built_j * REBUILT:
            self._programme = self._build()
        programme = self._programme
        answer = solve_mip(programme.problem, self.search.remaining_s, self.search.mip)
        self.num_solved += 1
        if answer.found and not answer.finished:
            self._offer(programme)
        if not answer.finished:
            self.search.tick()
            raise Interrupted(f"{self.search.mip} stopped without an answer")
        if not answer.found:
            self.bound_j = math.inf
            return
        self.bound_j = max(self.bound_j, programme.energy_j * (1 - TOLERANCE / 2))
        self._offer(programme)
        self._looked_at.append(programme.invert())
        programme.cut_off(self._looked_at[-1])

    def _offer(self, programme: EnergyProgramme) -> None:
        self.search.offer(self.model.expanded.plan(programme.invert(), self.model.num_micro_batches))

    def _build(self) -> EnergyProgramme:
        costs, count = self.model.costs, self.model.num_micro_batches
        longest_s = min(self.model.limit_s, longest_step_s(costs, count))
        largest_j = most_energy_j(costs, self._base, longest_s)
        most_j = max(self._useless_j, SMALL * largest_j)
        if math.isinf(most_j):
            most_j = largest_j
        elif self._base > 0:
            longest_s = min(longest_s, most_j / self._base)
        everybody = self.model.expanded.original.all_take_part
        limits = longest_s * (1 + 1e-9), most_j * (1 + TOLERANCE)
        base = self._base, self.model.other.base
        programme = EnergyProgramme(costs, count, base, *limits, everybody)
        for stages in self._looked_at:
            programme.cut_off(stages)
        self._built_j = self._useless_j
        return programme
