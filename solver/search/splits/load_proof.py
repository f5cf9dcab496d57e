"""Load proof: splits below a limit by CP-SAT, asked until there is none.

First with times counted coarsely, for a good split and a bound; then once with times counted so finely that
"none is better than the known one by more than rounding" is a proof for the evaluator's figure.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from solver.formulations.assignment_cp import LoadModel, build_load
from solver.formulations.cp_sat import new_solver, solve_cp
from solver.program import Ints
from solver.search.incumbent import Search
from solver.search.splits.host_graph import HostGraph
from solver.search.splits.load_graph import LoadGraph, load_graph, reduced

COARSE, FINE = 1e7, 1e13
"""Units in the limit."""
COARSE_SHARE = 0.15
"""Part of the time for the former."""
BETTER = 5e-10
"""Relative improvement below which a split is no better."""
TICKS_PER_S = 200
"""Work in a second of CP-SAT's deterministic time."""
MOST_WORKERS = 8


@dataclass(frozen=True)
class Proof:
    """What CP-SAT found.

    Parameters
    ----------
    split
        (N,) device of every node: the best known; ``None`` if none is known.
    bound_s
        No split has a smaller largest load; infinite if there is no split.
    finished
        Whether that is the last word.
    """

    split: Ints | None
    bound_s: float
    finished: bool


def prove(
    host: HostGraph, split: Ints | None, search: Search, share: float = 1.0, floor_s: float = 0.0
) -> Proof:
    """Improve a split until none is better, or time is up.

    Parameters
    ----------
    host
        Arrays of the problem.
    split
        (N,) device of every node of a feasible split; ``None`` if none is known.
    search
        Is offered what is found; its limits hold.
    share
        Part of the time, or work, left that may be used.
    floor_s
        A bound that is known.
    """
    asked = _Asked(host, search, split, floor_s)
    part = COARSE_SHARE * share
    if asked.ask(COARSE, _Budget(search, part)) == "none" and asked.split is None:
        return Proof(None, math.inf, True)
    clock, state = _Budget(search, (share - part) / (1 - part)), "better"
    while state == "better" and asked.split is not None:
        before = asked.value_s
        state = asked.ask(FINE, clock)
        if state == "none":
            return Proof(asked.split, asked.value_s * (1 - BETTER), True)
        if asked.value_s >= before:
            break
    return Proof(asked.split, asked.bound_s, False)


def improve_part(host: HostGraph, split: Ints, search: Search, num_devices: int, most_s: float) -> Ints:
    """Return a split in which a few devices, the fullest among them, share what they hold as well as can be.

    Parameters
    ----------
    host
        Arrays of the problem.
    split
        (N,) device of every node of a feasible split.
    search
        Draws the other devices, and says when to stop.
    num_devices
        How many devices.
    most_s
        Most seconds, by the clock or of deterministic time.
    """
    from ortools.sat.python import cp_model

    search.tick()
    loads, value = host.loads(split), host.load(split)
    others = np.delete(np.arange(len(loads)), loads.argmax())
    chosen = np.append(search.rng.permutation(others)[: num_devices - 1], loads.argmax())
    graph = load_graph(host) if host.is_contiguous else reduced(host, value)
    place = graph.place(split)
    if place is None:
        return split
    formulation = build_load(
        graph, value * (1 - BETTER), COARSE, fixed=np.where(np.isin(place, chosen), -1, place)
    )
    solver = new_solver()
    _Budget(search, 1.0).apply(solver, most_s)
    status = solve_cp(solver, formulation.model)
    search.tick(1 + round(solver.deterministic_time * TICKS_PER_S) if search.work_limit else 1)
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return graph.split(formulation.invert(solver)) if found else split


class _Budget:
    """Seconds, or work, that may be used."""

    def __init__(self, search: Search, share: float) -> None:
        self.search, self.ends_s, self.work = search, search.remaining_s * (1 - share), math.inf
        if search.work_limit is not None:
            self.work = search.work + share * (search.work_limit - search.work)

    def apply(self, solver: Any, most_s: float = math.inf) -> None:
        """Set a solver's limits."""
        parameters, search = solver.parameters, self.search
        parameters.random_seed = search.seed % 2**31
        if search.work_limit is not None:
            parameters.num_workers = 1
            if math.isfinite(search.remaining_s):  # a share of it would depend on the clock
                parameters.max_time_in_seconds = max(0.05, search.remaining_s)
            parameters.max_deterministic_time = max(
                0.01, min(most_s, (self.work - search.work) / TICKS_PER_S)
            )
        else:
            parameters.num_workers = min(MOST_WORKERS, os.cpu_count() or 1)
            seconds = search.remaining_s - (self.ends_s if math.isfinite(self.ends_s) else 0.0)
            if math.isfinite(min(seconds, most_s)):
                parameters.max_time_in_seconds = max(0.05, min(seconds - 0.3, most_s))


class _Asked:
    """The best split, and the bound, while CP-SAT is asked."""

    def __init__(self, host: HostGraph, search: Search, split: Ints | None, floor_s: float) -> None:
        self.host, self.search, self.split, self.bound_s = host, search, split, floor_s
        self.value_s = math.inf if split is None else host.load(split)

    def graph(self) -> LoadGraph:
        """Return what is to be split: merged, if convexity does not matter."""
        return load_graph(self.host) if self.host.is_contiguous else reduced(self.host, self.value_s)

    def limit_s(self, graph: LoadGraph, resolution: float) -> float:
        """Return a limit on the largest load: just below the known one, or what no split exceeds."""
        if math.isfinite(self.value_s):
            return self.value_s * (1 - BETTER) if resolution == FINE else self.value_s
        finite = np.where(np.isfinite(graph.time_s), graph.time_s, 0.0)
        return float(finite.max(axis=1).sum() + graph.cost_s.max(axis=1, initial=0.0).sum()) or 1e-9

    def ask(self, resolution: float, clock: _Budget) -> str:
        """Return ``better``, ``none`` (is) or ``time`` (is up)."""
        from ortools.sat.python import cp_model

        graph = self.graph()
        formulation = build_load(graph, self.limit_s(graph, resolution), resolution)
        formulation.add_floor(self.bound_s)
        if self.split is not None and resolution == COARSE:
            place = graph.place(self.split)
            if place is not None:
                formulation.hint(place)
        solver = new_solver()
        clock.apply(solver)
        if resolution == FINE:  # anything better will do; linear relaxations count heavy vertices best
            formulation.model.clear_objective()
            solver.parameters.linearization_level = 2
        status = solve_cp(solver, formulation.model, _callback(formulation, self._take))
        self.search.tick(1 + round(solver.deterministic_time * TICKS_PER_S) if self.search.work_limit else 1)
        if status == cp_model.INFEASIBLE:
            return "none"
        if resolution == COARSE:
            known = min(solver.best_objective_bound / formulation.units_per_s, self.value_s)
            self.bound_s = max(self.bound_s, known * (1 - 1e-12))
        return "better" if status in (cp_model.OPTIMAL, cp_model.FEASIBLE) else "time"

    def _take(self, graph: LoadGraph, place: Ints) -> None:
        split = graph.split(place)
        value = self.host.load(split)
        if value < self.value_s * (1 - 1e-12) and self.host.is_feasible(split):
            self.split, self.value_s = split, value
            self.search.offer(self.host.plan(split))


def _callback(formulation: LoadModel, take: Callable[[LoadGraph, Ints], None]) -> Any:
    """Return a callback that hands on every split found."""
    from ortools.sat.python import cp_model

    class Found(cp_model.CpSolverSolutionCallback):
        def on_solution_callback(self) -> None:
            take(formulation.graph, formulation.invert(self))

    return Found()
