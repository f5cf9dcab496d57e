"""annealing: simulated annealing of many hybrid pipelines at once, scored in batches.

Source: Kirkpatrick, Gelatt and Vecchi, "Optimization by simulated annealing", Science 220, 1983 (accept a
worse neighbour with probability exp(-difference / temperature)); the population is resampled in proportion
to Boltzmann weights as it cools, as in Hukushima and Iba, "Population annealing and its application to a
spin glass", AIP Conf. Proc. 690, 2003. Here the energy is the logarithm of the score, so temperatures are
relative worsenings; a plan that breaks a limit pays for how far it breaks it, each chain of the population
at a rate of its own. Rounds cool from hot to cold, each longer than the one before, and begin from the best
points of the last round and from chance.

Plans: a DAG is cut along its topological order; stages are groups of devices in mode data (one device for
serving); in-flight caps by pattern where the problem's rule is free. Assumes nothing, never declines. Where
the batch does not cover the problem every plan is lowered and walked, and the population is small. Claim: a
heuristic without bound; a unit of work is 256 plans of a batch, or one plan walked.
"""

from __future__ import annotations

import numpy as np

from solver.problem import Problem
from solver.program import Floats, Longs
from solver.search.incumbent import Interrupted, Search
from solver.search.packed.moves import change
from solver.search.packed.points import Points, joined
from solver.search.packed.scores import BEYOND
from solver.search.packed.start import Ground
from solver.status import Outcome

POPULATION, POPULATION_SLOW = 256, 8
"""Chains, where plans are scored in a batch, and where one by one."""
GENERATIONS, MOST_GENERATIONS = 200, 6400
"""Generations of the first round, and of the longest: each has twice as many as the one before."""
HOT, COLD = 0.3, 0.0005
"""Temperature at the beginning and the end of a round: relative worsening accepted with probability 1/e."""
RESAMPLED = 10
"""Generations between two resamplings."""
ELITE = 0.25
"""Part of a round's population that begins at the best points known."""
LENIENT, STRICT = 0.3, 30.0
"""What chains pay at least, and at most, for a limit that is broken by its whole amount."""
STEP_OVER = 0.02
"""What every broken limit counts beside how far it is broken."""
PATIENCE = 3
"""Rounds without a better plan after which it stops."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Anneal hybrid pipelines.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """
    ground = Ground(problem, search)
    try:
        annealer = Annealer(ground)
        waited, generations = 0, GENERATIONS
        while waited < PATIENCE:
            before = search.best_score
            annealer.cool(generations)
            better = search.best_score < before * (1 - 1e-12)
            waited = 0 if better else waited + 1
            generations = min(2 * generations, MOST_GENERATIONS)
    except Interrupted as stop:
        return Outcome(ground.space, reason=str(stop))
    finally:
        ground.scores.flush()
    return Outcome(ground.space, reason=f"{PATIENCE} rounds without a better plan")


class Annealer:
    """A population and what it has found.

    Parameters
    ----------
    ground
        Moves and scores.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.size = ground.population(POPULATION, POPULATION_SLOW)
        self.rates = LENIENT * (STRICT / LENIENT) ** np.linspace(0, 1, self.size)
        self.elite = ground.known()
        self.elite_worth = ground.scores.strict(self.elite)
        ground.scores.flush()

    def cool(self, generations: int) -> None:
        """Anneal from hot to cold.

        Parameters
        ----------
        generations
            How many.
        """
        scores, rng = self.ground.scores, self.ground.search.rng
        points = self._begin()
        values, broken = scores.score(points)
        heats = HOT * (COLD / HOT) ** (np.arange(generations) / max(1, generations - 1))
        for i, heat in enumerate(heats.tolist()):
            others = points.copy()
            change(others, self.ground.rule, rng)
            found = scores.score(others)
            worse = self._energy(*found) - self._energy(values, broken)
            taken = worse <= -heat * np.log(1 - rng.random(self.size))
            points.put(taken, others.take(taken))
            values[taken], broken[taken] = found[0][taken], found[1][taken]
            if i % RESAMPLED == RESAMPLED - 1:
                scores.flush()
                chosen = self._resample(
                    self._energy(values, broken), heat, float(heats[max(0, i - RESAMPLED)])
                )
                points, values, broken = points.take(chosen), values[chosen], broken[chosen]
        scores.flush()
        self._keep(points, np.where(broken > 0, BEYOND + broken, values))

    def _begin(self) -> Points:
        """Return the population of a round: the best points known, again and again, and random ones."""
        best = np.resize(np.argsort(self.elite_worth, kind="stable"), max(1, int(ELITE * self.size)))
        rest = self.ground.random(self.size - len(best))
        shuffled = self.ground.search.rng.permutation(self.size)
        return joined([self.elite.take(best), rest]).take(shuffled)

    def _energy(self, values: Floats, broken: Floats) -> Floats:
        energy: Floats = values + self.rates * np.where(broken > 0, broken + STEP_OVER, 0.0)
        return energy

    def _resample(self, energy: Floats, heat: float, before: float) -> Longs:
        """Return which points go on, in proportion to how their Boltzmann weights have grown."""
        weights = np.exp(-(1 / heat - 1 / before) * (energy - energy.min()))
        steps = np.cumsum(weights / weights.sum())
        steps[-1] = 1.0
        comb = (np.arange(self.size) + self.ground.search.rng.random()) / self.size
        return np.searchsorted(steps, comb)

    def _keep(self, points: Points, worth: Floats) -> None:
        """Keep the best different points of all rounds."""
        everything, all_worth = joined([self.elite, points]), np.concatenate((self.elite_worth, worth))
        _, first = np.unique(np.round(all_worth, 9), return_index=True)
        kept = first[: max(8, self.size // 16)]
        self.elite, self.elite_worth = everything.take(kept), all_worth[kept]
