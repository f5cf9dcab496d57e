"""lns: large neighbourhood search over hybrid pipelines, repaired by a constraint programme.

Source: Shaw, "Using constraint programming and local search methods to solve vehicle routing problems", CP
1998: part of a solution is destroyed and decided anew by an exact method. Here a window of stages in a row
with its devices and some unused ones is destroyed, now and then without one of its devices; CP-SAT decides
its cuts and groups under a surrogate of the step time (:mod:`solver.formulations.window_columns`). The answer
is improved by small moves, scored as the evaluator would, and taken if it is not much worse than the best of
this walk.

Plans and limits as in ``annealing``. Assumes nothing, never declines. The surrogate is of the step time
whatever the objective. Claim: a heuristic without bound; a unit of work is 256 plans of a batch or one plan
walked, a repair counts as 16.
"""

from __future__ import annotations

from itertools import combinations, cycle

import numpy as np

from solver.formulations.window_columns import Chosen, StageCosts, Window, repair
from solver.problem import Problem
from solver.program import Floats
from solver.search.incumbent import Interrupted, Search
from solver.search.packed.fill import PATTERNS, set_caps, set_patterns, share_out
from solver.search.packed.moves import change
from solver.search.packed.points import Points, joined
from solver.search.packed.scores import BEYOND
from solver.search.packed.start import Ground
from solver.status import Outcome

REPAIR_UNITS = 16
"""Units of work of a repair."""
AROUND, AROUND_SLOW = 256, 8
"""Points around an answer that are scored, itself included: in a batch, and one by one."""
MOST_STAGES, MOST_SPARE = 3, 3
"""Stages of a window, and unused devices that may enter it, at most."""
MOST_GROUPS = 16
"""Groups a stage of a window may have."""
BANNED = 0.3
"""How often a device of a window may not come back."""
WORSE = 0.02
"""How much worse than the best, relative, a plan may be from which the search goes on."""
CLIMBS = 4
"""Times that no point around an answer is better until the next window is destroyed."""
RATES = (30.0, 3.0, 1.0)
"""What a walk pays for a limit that is broken by its whole amount, in turn."""
STEP_OVER = 0.02
"""What every broken limit counts beside how far it is broken."""
KICKS = 6
"""Moves from the best plan met to where a walk begins anew."""
STALE, PATIENCE = 12, 6
"""Repairs without a better plan after which a walk begins anew, and such beginnings until it stops."""


def solve(problem: Problem, search: Search) -> Outcome:
    """Destroy and repair windows of hybrid pipelines.

    Parameters
    ----------
    problem, search
        What is decided, and what judges it.
    """
    ground = Ground(problem, search)
    try:
        known = joined([ground.known(), ground.random(ground.population(AROUND, AROUND_SLOW))])
        worth = ground.scores.strict(known)
        ground.scores.flush()
        best = np.argsort(worth, kind="stable")[:1]
        walk = _Walk(ground, known.take(best), float(worth[best[0]]))
        waited = 0
        while waited < PATIENCE:
            waited = 0 if walk.run() else waited + 1
            walk.kick()
    except Interrupted as stop:
        return Outcome(ground.space, reason=str(stop))
    finally:
        ground.scores.flush()
    return Outcome(ground.space, reason=f"{PATIENCE} beginnings without a better plan")


class _Walk:
    """A point, and the best one met.

    Parameters
    ----------
    ground
        Moves and scores.
    point, worth
        Where it begins.
    """

    def __init__(self, ground: Ground, point: Points, worth: float) -> None:
        self.ground = ground
        self.best, self.best_worth = point, worth
        self.point, self.worth = point, worth
        self.rates = cycle(RATES)
        self.rate = next(self.rates)
        self.costs: dict[tuple[int, bool], StageCosts] = {}
        devices = [device.name for device in ground.problem.cluster.devices]
        self.number = {devices.index(name): v for v, name in enumerate(ground.problem.usable)}
        self.device = {v: d for d, v in self.number.items()}

    def kick(self) -> None:
        """Go on some moves away from the best point met."""
        self.rate = next(self.rates)
        self.point = self.best.copy()
        for _ in range(KICKS):
            change(self.point, self.ground.rule, self.ground.search.rng)
        self.worth = float(self._worth(self.point)[0])

    def _worth(self, points: Points) -> Floats:
        """Return (B,) values of points, what this walk pays for broken limits included."""
        values, broken = self.ground.scores.score(points)
        strict = np.where(broken > 0, BEYOND + broken, values)
        best = int(strict.argmin())
        if strict[best] < self.best_worth:
            self.best, self.best_worth = points.take([best]), float(strict[best])
        found: Floats = values + self.rate * np.where(broken > 0, broken + STEP_OVER, 0.0)
        return found

    def run(self) -> bool:
        """Repair until nothing better comes; return whether something did."""
        waited, before = 0, self.best_worth
        record = self.worth
        while waited < STALE:
            point, worth = self._step()
            self.ground.scores.flush()
            waited += 1
            if worth < record - 1e-12:
                record, waited = worth, 0
            if worth <= record + WORSE:
                self.point, self.worth = point, worth
        return self.best_worth < before - 1e-12

    def _step(self) -> tuple[Points, float]:
        """Return the best point around the repaired one."""
        ground, rng = self.ground, self.ground.search.rng
        first = int(rng.integers(int(self.point.num_stages[0])))
        last = min(first + int(rng.integers(MOST_STAGES)), int(self.point.num_stages[0]) - 1)
        fills = bool(rng.random() < 0.5) and ground.rule.caps_are_free
        costs = self._costs(fills)
        window = self._window(costs, first, last)
        ground.search.tick(REPAIR_UNITS)
        seed = int(rng.integers(2**31 - 1))
        found = repair(costs, window, seed, ground.search.remaining_s)
        point = self.point if found is None else self._with(window, found, first, last)
        worth = float(self._worth(point)[0])
        waited = 0
        while waited < CLIMBS:
            other, found_worth = self._around(point)
            waited = 0 if found_worth < worth - 1e-12 else waited + 1
            if found_worth <= worth:
                point, worth = other, found_worth
        return point, worth

    def _around(self, point: Points) -> tuple[Points, float]:
        """Return the best of some points a move away, some with other caps where they are free."""
        ground, rng = self.ground, self.ground.search.rng
        size = ground.population(AROUND, AROUND_SLOW)
        near = point.take(np.zeros(size, np.int64))
        change(near, ground.rule, rng)
        if ground.rule.caps_are_free:
            set_patterns(near, rng.integers(-PATTERNS, PATTERNS, size), ground.rule)
        values = self._worth(near)
        best = int(values.argmin())
        return near.take([best]), float(values[best])

    def _costs(self, fills: bool) -> StageCosts:
        key = int(self.point.choice[0]), fills
        if key not in self.costs:
            self.costs[key] = StageCosts(self.ground.problem, self.ground.counts[key[0]], fills=fills)
        return self.costs[key]

    def _members(self, s: int) -> tuple[int, ...]:
        return tuple(self.number[d] for d in np.flatnonzero(self.point.stage_of[0] == s).tolist())

    def _stage(self, s: int) -> tuple[int, int, tuple[int, ...]]:
        start = int(self.point.ends[0, s - 1]) if s else 0
        return start, int(self.point.ends[0, s]), self._members(s)

    def _window(self, costs: StageCosts, first: int, last: int) -> Window:
        rng = self.ground.search.rng
        num = int(self.point.num_stages[0])
        known = [self._stage(s) for s in range(first, last + 1)]
        outside = [self._stage(s) for s in range(num) if not first <= s <= last]
        mine = [v for _, _, group in known for v in group]
        unused = np.flatnonzero(self.point.stage_of[0, self.ground.rule.movable] < 0)
        spare = [self.number[int(self.ground.rule.movable[k])] for k in unused]
        free = rng.permutation(np.array(spare, np.int64))[:MOST_SPARE].tolist()
        banned = mine[int(rng.integers(len(mine)))] if rng.random() < BANNED and len(mine) > 1 else -1
        groups = self._groups([v for v in [*mine, *free] if v != banned], [g for _, _, g in known])
        floor_s = max((costs.stage_s(*stage) for stage in outside), default=0.0)
        return Window(known[0][0], known[-1][1], num - 1 - last, groups, known, floor_s)

    def _groups(self, devices: list[int], known: list[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
        """Return single devices, the groups there are, all together, and pairs, as many as there may be."""
        kept = sorted(devices)
        found: list[tuple[int, ...]] = [(v,) for v in kept]
        if self.ground.rule.max_group > 1:
            inside = [tuple(v for v in group if v in kept) for group in known]
            found += [group for group in (*inside, tuple(kept)) if group]
            found += list(combinations(kept, 2))
        return tuple(dict.fromkeys(found))[:MOST_GROUPS]

    def _with(self, window: Window, found: Chosen, first: int, last: int) -> Points:
        """Return the point with the window's new stages."""
        num = int(self.point.num_stages[0])
        stages = [self._stage(s) for s in range(first)] + [stage[:3] for stage in found]
        stages += [self._stage(s) for s in range(last + 1, num)]
        if len(stages) > self.point.ends.shape[1]:
            return self.point
        point = self.point.copy()
        how = {stage[2]: stage[3] for stage in found}
        new = set(how) - {group for _, _, group in window.known}
        old = {group: s for s, (_, _, group) in enumerate(stages)}
        point.num_stages[0], point.stage_of[0] = len(stages), -1
        point.ends[0] = 0
        for s, (_, end, group) in enumerate(stages):
            point.ends[0, s] = end
            point.stage_of[0, [self.device[v] for v in group]] = s
        point.samples[0, point.stage_of[0] < 0] = 0
        for group in sorted(new):
            share_out(point, 0, old[group], self.ground.rule, how[group])
        set_caps(point, 0, self.ground.rule)
        return point
