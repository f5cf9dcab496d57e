"""Power assignments: the power modes of all devices together: fastest, thriftiest, and better by descent."""

from __future__ import annotations

import math
from collections.abc import Callable

from models.cluster import Device
from solver.plan import Plan, participants_of
from solver.power_modes import chosen_in, modes_of, with_modes
from solver.problem import Problem
from solver.search.incumbent import Interrupted, Search
from solver.search.power.bridge import bridge

Assignment = dict[str, str | None]
POLISHED = 0.1
"""Part of the time or work that is left for the polish of one change of a mode."""
BETTER = 1 - 1e-9
"""Relative score from which on a plan is better."""


def fastest(problem: Problem) -> tuple[Assignment, bool]:
    """Return every device's fastest mode, and whether each is at least as fast as all others in everything.

    Parameters
    ----------
    problem
        What is decided.
    """
    found, dominates = Assignment(), True
    for device in problem.cluster.devices:
        rates = {mode: _rates(problem, device.in_mode(mode)) for mode in modes_of(problem, device)}
        best = max(rates, key=lambda mode: rates[mode])
        found[device.name] = best
        dominates &= all(a >= b for rate in rates.values() for a, b in zip(rates[best], rate, strict=True))
    return found, dominates


def thriftiest(problem: Problem) -> Assignment:
    """Return every device's mode that takes least energy for an operation, the whole board counted.

    Parameters
    ----------
    problem
        What is decided.
    """

    def joules(device: Device, mode: str | None) -> float:
        board = device.in_mode(mode)
        speed = board.flop_per_s.get(problem.job.precision)
        return board.busy_w.value / speed.value if speed else 0.0

    return {
        device.name: min(modes_of(problem, device), key=lambda mode: joules(device, mode))
        for device in problem.cluster.devices
    }


def _rates(problem: Problem, board: Device) -> tuple[float, float, float]:
    """Return what decides how long a board takes: passes, measured passes, updates."""
    speed, memory = board.flop_per_s.get(problem.job.precision), board.memory_bytes_per_s
    return (speed.value if speed else 0.0, 1 / board.slowdown, memory.value if memory else math.inf)


def descend(problem: Problem, search: Search, polish: Callable[[Problem, Search], None]) -> None:
    """Change power modes of the best plan, one device or all at once, as long as that helps.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    polish
        Improves the best plan of a search whose modes are chosen: a change of a mode often helps only once
        cuts and shares have followed.

    Raises
    ------
    Interrupted
        When it is time to stop.

    Notes
    -----
    Claim: on return no change of one device's mode, polished or not, makes the best plan better.
    """
    better = True
    while better and search.best_plan is not None:
        better = _plainly(problem, search, search.best_plan) or _polished(problem, search, polish)


def _changes(problem: Problem, plan: Plan) -> list[Assignment]:
    """Return the assignments one step away: one device that takes part, or all of them, in another mode."""
    used = participants_of(plan)
    now: Assignment = {name: mode for name, mode in chosen_in(plan).items() if name in used}
    now = {**dict.fromkeys(sorted(used)), **now}
    found = []
    for device in problem.cluster.devices:
        if device.name in used:
            found += [{**now, device.name: mode} for mode in modes_of(problem, device)]
    for whole in ({}, fastest(problem)[0], thriftiest(problem)):
        found.append({name: whole.get(name) for name in now})
    return [one for i, one in enumerate(found) if one != now and one not in found[:i]]


def _plainly(problem: Problem, search: Search, plan: Plan) -> bool:
    """Try all changes on a plan as it is; return whether there is a better one."""
    before = search.best_score
    for chosen in _changes(problem, plan):
        search.tick()
        search.offer(with_modes(problem, plan, chosen))
    return search.best_score < before * BETTER


def _polished(problem: Problem, search: Search, polish: Callable[[Problem, Search], None]) -> bool:
    """Try changes with cuts and shares that follow; return whether one was better."""
    before, plan = search.best_score, search.best_plan
    assert plan is not None
    for chosen in _changes(problem, plan):
        inner = bridge(search, chosen, POLISHED)
        try:
            polish(inner.problem, inner)
        except Interrupted:
            search.tick(0)
        if search.best_score < before * BETTER:
            return True
    return False
