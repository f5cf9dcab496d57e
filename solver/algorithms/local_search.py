"""local_search: iterated local search over hybrid pipelines, all single moves scored at once.

Source: Lourenço, Martin and Stützle, "Iterated local search", Handbook of Metaheuristics, 2003: descend to a
local optimum, kick it by a few random moves, descend again, and go on from the better of the two; after
``TIRED`` kicks in vain the next walk begins, from another start. The moves are those of
:mod:`solver.search.packed.polish`, the kicks those of :mod:`solver.search.packed.moves`.

Plans: a DAG is cut along its topological order; stages are groups of devices in mode data (one device for
serving), each with its own in-flight cap where the problem's rule is free. Starts are the best plan known,
single devices, even chains, and chance. Assumes nothing, never declines. Claim: a heuristic without bound,
which ends at a plan that no single move looked at improves, or with the time.
"""

from __future__ import annotations

from solver.problem import Problem
from solver.search.incumbent import Interrupted, Search
from solver.search.packed.moves import change
from solver.search.packed.points import Points
from solver.search.packed.polish import descend
from solver.search.packed.start import Ground
from solver.space import Space
from solver.status import Outcome

WALKS = 6
"""Walks without a better plan after which it stops."""
TIRED = 8
"""Kicks in vain after which a walk ends."""
KICKS = 4
"""Most random moves of a kick."""
RANDOM, RANDOM_SLOW = 256, 8
"""Random points of which the best begins a walk."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Walk from local optimum to local optimum.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """
    ground = Ground(problem, search)
    largest = 1 if problem.job.kind == "serve" else None
    space = Space(("data",), largest, ground.num_stages, ground.counts, problem.in_flight)
    waited, reason = 0, f"{WALKS} walks without a better plan"
    try:
        point = _best_of(ground, ground.known())
        while waited < WALKS:
            before = search.best_score
            _walk(ground, point)
            waited = 0 if search.best_score < before * (1 - 1e-9) else waited + 1
            point = _next_start(ground, waited)
    except Interrupted as stop:
        reason = str(stop)
    finally:
        ground.scores.flush()
    return Outcome(space, reason=reason)


def _next_start(ground: Ground, waited: int) -> Points:
    """Return where the next walk begins: by turns at chance, and at the best plan known."""
    if waited % 2:
        return _best_of(ground, ground.random(ground.population(RANDOM, RANDOM_SLOW)))
    return _best_of(ground, ground.known())


def _best_of(ground: Ground, points: Points) -> Points:
    return points.take([int(ground.scores.strict(points).argmin())])


def _walk(ground: Ground, point: Points) -> None:
    """Kick and descend until nothing better was found for long."""
    point, value = descend(ground, point)
    waited = 0
    while waited < TIRED:
        other = point.copy()
        for _ in range(1 + int(ground.search.rng.integers(KICKS))):
            change(other, ground.rule, ground.search.rng)
        other, found = descend(ground, other)
        waited = 0 if found < value else waited + 1
        if found <= value:
            point, value = other, found
