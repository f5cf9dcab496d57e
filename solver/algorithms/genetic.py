"""genetic: a genetic algorithm over hybrid pipelines, scored in batches.

Source: Holland, "Adaptation in Natural and Artificial Systems", 1975; parents by tournament, survivors the
best of parents and children ((mu + lambda), Back, Hoffmeister and Schwefel, "A survey of evolution
strategies", ICGA 1991). A child has the first stages of one parent and the last stages of the other, with
the devices that are left; most children are changed a little, by the moves of simulated annealing. Survivors
have different scores, so the population does not become one plan. It begins anew from its best and from
chance when it has stood still for a while.

Plans and limits as in ``annealing``. Assumes nothing, never declines. Claim: a heuristic without bound; a
unit of work is 256 plans of a batch, or one plan walked where the batch does not cover the problem.
"""

from __future__ import annotations

import numpy as np

from solver.problem import Problem
from solver.program import Floats
from solver.search.incumbent import Interrupted, Search
from solver.search.packed.cross import cross
from solver.search.packed.moves import change
from solver.search.packed.points import Points, joined
from solver.search.packed.start import Ground
from solver.status import Outcome

POPULATION, POPULATION_SLOW = 512, 16
"""Points that survive, where plans are scored in a batch, and where one by one."""
TOURNAMENT = 3
"""Points of which the best becomes a parent."""
CROSSED, CHANGED = 0.6, 0.8
"""How often a child has two parents, and how often it is changed."""
STALE = 40
"""Generations without a better plan after which the population begins anew."""
KEPT = 16
"""Part of the population that survives that: one of so many."""
PATIENCE = 3
"""Beginnings without a better plan after which it stops."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Breed hybrid pipelines.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """
    ground = Ground(problem, search)
    try:
        known = ground.known()
        ground.scores.strict(known)
        ground.scores.flush()
        waited = 0
        while waited < PATIENCE:
            before = search.best_score
            known = _breed(ground, known)
            waited = 0 if search.best_score < before * (1 - 1e-12) else waited + 1
    except Interrupted as stop:
        return Outcome(ground.space, reason=str(stop))
    finally:
        ground.scores.flush()
    return Outcome(ground.space, reason=f"{PATIENCE} beginnings without a better plan")


def _breed(ground: Ground, known: Points) -> Points:
    """Breed until nothing better comes; return the best points."""
    size = ground.population(POPULATION, POPULATION_SLOW)
    points = joined([known, ground.random(size)])
    worth = ground.scores.strict(points)
    points, worth = _survivors(points, worth, size)
    waited = 0
    while waited < STALE:
        children = _children(ground, points, worth, size)
        found = ground.scores.strict(children)
        ground.scores.flush()
        best = worth[0]
        points, worth = _survivors(joined([points, children]), np.concatenate((worth, found)), size)
        waited = 0 if worth[0] < best - 1e-12 else waited + 1
    return points.take(np.arange(min(len(worth), max(1, size // KEPT))))


def _children(ground: Ground, points: Points, worth: Floats, size: int) -> Points:
    rng = ground.search.rng
    # Survivors are sorted, so the smallest number drawn is the best.
    parents = rng.integers(len(worth), size=(2, size, TOURNAMENT)).min(axis=2)
    first = points.take(parents[0])
    children = first.copy()
    crossed = rng.random(size) < CROSSED
    children.put(crossed, cross(first, points.take(parents[1]), ground.rule, rng).take(crossed))
    changed = ~crossed | (rng.random(size) < CHANGED)
    others = children.copy()
    change(others, ground.rule, rng)
    children.put(changed, others.take(changed))
    return children


def _survivors(points: Points, worth: Floats, size: int) -> tuple[Points, Floats]:
    """Return the best points of different worth, best first."""
    _, first = np.unique(np.round(worth, 10), return_index=True)
    kept = first[:size]
    return points.take(kept), worth[kept]
