"""Order of micro-batches: the best order of a plan's passes and messages, a constraint programme (CP-SAT).

The schedule rule (1F1B, GPipe) fixes in which order a device computes its passes. Here that order is what is
decided; stages, shares and the number of micro-batches in flight stay as the plan has them. Every instruction
of the Program is an interval; a lane holds one at a time; a pass waits for its messages, a message for the
pass that made it; no stage has more micro-batches in flight than the rule gave it, so that no device keeps
more activations. The passes of a stage take the micro-batches in their order. What follows the passes
(synchronisation, update) keeps its order.

The Program has one more rule: it is one global list, and a message stands between the pass that made it and
the next pass of its device. The programme leaves that out at first, which makes it small; where the simulator
cannot follow the order found, it is solved again with the place of every instruction in the list. ``invert``
writes the list and the simulator walks it, so that the order found is never a belief.
"""

from __future__ import annotations

import heapq
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from solver.errors import DeclinedError
from solver.formulations.cp_sat import new_solver, solve_cp
from solver.program import Floats, Kind, Program
from solver.simulate import simulate

TICKS = 10**8
"""Integer ticks in the step time of the rule's order; durations are rounded down, so bounds stay valid."""


@dataclass(frozen=True)
class OrderResult:
    """The best order found beside the rule's.

    Parameters
    ----------
    rule_s
        Step time in the order of the plan's schedule rule, seconds.
    best_s
        Step time of the best order found, as simulated, seconds; never above ``rule_s``.
    bound_s
        No order takes less, seconds.
    program
        The Program in that order.
    """

    rule_s: float
    best_s: float
    bound_s: float
    program: Program

    @property
    def gap(self) -> float:
        """(best - bound) / best."""
        return max(0.0, (self.best_s - self.bound_s) / self.best_s) if self.best_s else 0.0

    @property
    def proven(self) -> bool:
        """Whether the best order found is the best there is, to one part in a million (the ticks)."""
        return self.gap <= 1e-6

    @property
    def saving(self) -> float:
        """Part of the rule's step time that the best order saves."""
        return (self.rule_s - self.best_s) / self.rule_s if self.rule_s else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain data, without the Program."""
        return {
            "rule_s": self.rule_s,
            "best_s": self.best_s,
            "bound_s": self.bound_s,
            "proven": self.proven,
            "saving": self.saving,
        }


class OrderModel:
    """The constraint programme of one Program.

    Parameters
    ----------
    program
        One step of training; every device in one stage; no collective inside a pass.

    Raises
    ------
    DeclinedError
        If the Program is of another kind, with the reason.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.rule = simulate(program)
        self._refuse()
        self.tick_s = self.rule.makespan_s / TICKS

    def _refuse(self) -> None:
        program = self.program
        if program.num_steps != 1 or program.releases:
            raise DeclinedError("orders are searched for one step of training")
        stages = defaultdict(set)
        for row in program.rows:
            if row.kind == Kind.COLLECTIVE and row.phase in ("forward", "backward"):
                raise DeclinedError(f"{row.device} exchanges inside a pass; only passes that compute alone")
            if row.kind == Kind.HANDOVER or row.raw:
                raise DeclinedError("raw data and handovers inside a device have no place in the programme")
            if row.segment:
                raise DeclinedError(f"{row.device} computes a pass in parts; only whole passes are ordered")
            if row.kind in (Kind.FORWARD, Kind.BACKWARD):
                stages[row.device].add((row.pipeline, row.stage))
        several = sorted(name for name, found in stages.items() if len(found) > 1)
        if several:
            raise DeclinedError(f"{', '.join(several)} hold(s) several stages; every device must hold one")

    @cached_property
    def passes(self) -> dict[tuple[str, str, int], int]:
        """Instruction of every pass: (device, phase, micro-batch)."""
        program = self.program
        return {
            (row.device, row.phase, int(program.micro_batch[i])): i
            for i, row in enumerate(program.rows[r] for r in program.row)
            if row.kind in (Kind.FORWARD, Kind.BACKWARD)
        }

    @cached_property
    def in_flight(self) -> dict[str, int]:
        """Most micro-batches between forward and backward on every device, under the rule."""
        most: dict[str, int] = {}
        now: dict[str, int] = defaultdict(int)
        for i in sorted(self.passes.values()):
            row = self.program.rows[self.program.row[i]]
            now[row.device] += 1 if row.kind == Kind.FORWARD else -1
            most[row.device] = max(most.get(row.device, 0), now[row.device])
        return most

    def build(self, *, as_list: bool = False) -> tuple[Any, dict[int, Any]]:
        """Return the CP-SAT model and the start of every instruction that has one.

        Parameters
        ----------
        as_list
            Whether the order must be one that a Program can have.
        """
        from ortools.sat.python import cp_model

        model = cp_model.CpModel()
        start, end, interval = {}, {}, {}
        for i, row in self._instructions():
            length = int(row.duration_s / self.tick_s)
            start[i] = model.new_int_var(0, TICKS, f"start{i}")
            end[i] = start[i] + length
            interval[i] = model.new_interval_var(start[i], length, end[i], f"i{i}")
        self._add_lanes(model, interval)
        if as_list:
            self._add_places(model, start, end)
        for before, after in self._precedences():
            model.add(start[after] >= end[before])
        for members in self._collectives():
            for i in members[1:]:
                model.add(start[i] == start[members[0]])
        span = model.new_int_var(0, TICKS, "span")
        for finish in end.values():
            model.add(span >= finish)
        model.minimize(span)
        for i, variable in start.items():
            model.add_hint(variable, int(self.rule.start_s[i] / self.tick_s))
        return model, start

    def _instructions(self) -> list[tuple[int, Any]]:
        """Return (index, row) of what has an interval: all but receives, which are their sends."""
        rows = ((i, self.program.rows[r]) for i, r in enumerate(self.program.row))
        return [(i, row) for i, row in rows if row.kind != Kind.RECV]

    def _add_lanes(self, model: Any, interval: dict[int, Any]) -> None:
        on: dict[int, list[Any]] = defaultdict(list)
        for i, row in self._instructions():
            for lane in row.lanes if row.duration_s else ():
                on[lane].append(interval[i])
        for intervals in on.values():
            model.add_no_overlap(intervals)

    def _add_places(self, model: Any, start: dict[int, Any], end: dict[int, Any]) -> None:
        """Add that there is one list in which all waits, all lanes and all messages are in order."""
        place = {i: model.new_int_var(0, len(start), f"place{i}") for i in start}
        for before, after in self._precedences():
            model.add(place[before] < place[after])
        on: dict[int, list[int]] = defaultdict(list)
        for i, row in self._instructions():
            for lane in row.lanes:
                on[lane].append(i)
        first: dict[tuple[int, int], Any] = {}
        for a, b in {pair for line in on.values() for pair in combinations(line, 2)}:
            goes_first = model.new_bool_var(f"{a}before{b}")
            first[a, b], first[b, a] = goes_first, ~goes_first
            for i, j in ((a, b), (b, a)):
                model.add(start[j] >= end[i]).only_enforce_if(first[i, j])
                model.add(place[i] < place[j]).only_enforce_if(first[i, j])
        line_of: dict[str, list[int]] = defaultdict(list)
        for (device, _, _), i in self.passes.items():
            line_of[device].append(i)
        for i, row in self._instructions():
            if row.kind == Kind.SEND and row.phase in ("forward", "backward"):
                made = self.passes[row.device, row.phase, int(self.program.micro_batch[i])]
                for later in line_of[row.device]:
                    if later != made:
                        model.add(place[i] < place[later]).only_enforce_if(first[made, later])

    def _precedences(self) -> list[tuple[int, int]]:
        """Return (before, after) of all instructions of which one waits for the other's end."""
        found = [*self._of_messages(), *self._of_stages(), *self._of_tail()]
        for device, cap in self.in_flight.items():
            count = sum(1 for name, phase, _ in self.passes if name == device and phase == "forward")
            for i in range(count - cap):
                backward = self.passes.get((device, "backward", i))
                if backward is not None:
                    found.append((backward, self.passes[device, "forward", i + cap]))
        return found

    def _of_messages(self) -> list[tuple[int, int]]:
        """A message waits for the pass that made it; a pass for its messages and for its own forward."""
        program, found = self.program, []
        reader = {int(program.slot[i]): i for i in self.passes.values()}
        for i, row in self._instructions():
            if row.kind == Kind.SEND and row.phase in ("forward", "backward"):
                found.append((self.passes[row.device, row.phase, int(program.micro_batch[i])], i))
                found.append((i, reader[int(program.slot[i])]))
        for (device, phase, k), i in self.passes.items():
            if phase == "backward" and (device, "forward", k) in self.passes:
                found.append((self.passes[device, "forward", k], i))
        return found

    def _of_stages(self) -> list[tuple[int, int]]:
        """The passes of one kind on a device take the micro-batches in their order."""
        lines: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for (device, phase, k), i in self.passes.items():
            lines[device, phase].append((k, i))
        return [(a, b) for line in lines.values() for (_, a), (_, b) in pairwise(sorted(line))]

    def _of_tail(self) -> list[tuple[int, int]]:
        """What comes after the passes keeps the order of its device's list."""
        last: dict[str, list[int]] = defaultdict(list)
        for (device, _, _), i in self.passes.items():
            last[device].append(i)
        found = []
        for i, row in self._instructions():
            if row.phase not in ("forward", "backward"):
                found += [(before, i) for before in last[row.device]]
                last[row.device] = [i]
        return found

    def _collectives(self) -> list[list[int]]:
        """Return the members of every collective, who begin together."""
        return [
            list(range(i, i + row.members))
            for i, row in self._instructions()
            if row.kind == Kind.COLLECTIVE and row.members
        ]

    def invert(self, start_s: Floats) -> Program:
        """Return the Program whose lists follow the given starts.

        Parameters
        ----------
        start_s
            (num_instructions,), seconds; not read where an instruction is a receive.
        """
        order = self._global_order(start_s)
        program, place = self.program, np.empty(len(self.program), np.int64)
        place[order] = np.arange(len(order))
        mate = program.mate[order]
        return replace(
            program,
            row=program.row[order],
            micro_batch=program.micro_batch[order],
            slot=program.slot[order],
            mate=np.where(mate >= 0, place[mate], -1).astype(np.int32),
        )

    def _global_order(self, start_s: Floats) -> Any:
        """Sort by start, receives before what their device computes at that time; waits come first."""
        program = self.program
        key = np.array(start_s, float)
        after: dict[int, list[int]] = defaultdict(list)
        for before, then in self._list_order(key):
            after[before].append(then)
        waits = np.zeros(len(program), np.int64)
        for targets in after.values():
            for i in targets:
                waits[i] += 1
        heap = [(key[i], i) for i in range(len(program)) if waits[i] == 0]
        heapq.heapify(heap)
        order = []
        while heap:
            _, i = heapq.heappop(heap)
            order.append(i)
            for j in after[i]:
                waits[j] -= 1
                if waits[j] == 0:
                    heapq.heappush(heap, (key[j], j))
        return np.array(order) if len(order) == len(program) else np.arange(len(program))

    def _list_order(self, key: Floats) -> list[tuple[int, int]]:
        """Return (before, after) in the list; sets the key of receives."""
        program = self.program
        found = list(self._precedences())
        computes: dict[str, list[int]] = defaultdict(list)
        for i in sorted(self.passes.values(), key=lambda i: key[i]):
            computes[program.rows[program.row[i]].device].append(i)
        for line in computes.values():
            found += pairwise(line)
        lanes: dict[int, list[int]] = defaultdict(list)
        for i, row in sorted(self._instructions(), key=lambda item: key[item[0]]):
            for lane in row.lanes:
                lanes[lane].append(i)
            if row.kind == Kind.SEND:
                self._place_message(i, row, computes, key, found)
        for line in lanes.values():
            found += pairwise(line)
        for members in self._collectives():
            found += pairwise(members)
        return found

    def _place_message(
        self, i: int, row: Any, computes: dict[str, list[int]], key: Floats, found: list[tuple[int, int]]
    ) -> None:
        """A send stands before its device's next pass, its receive before the pass under way at its start."""
        receive = int(self.program.mate[i])
        key[receive] = key[i]
        found.append((receive, i))
        if row.phase not in ("forward", "backward"):
            return
        made = self.passes[row.device, row.phase, int(self.program.micro_batch[i])]
        found += [(i, later) for later in computes[row.device] if key[later] > key[made]][:1]
        under_way = [c for c in computes[str(row.peer)] if key[c] + self._length(c) > key[i]]
        found += [(receive, c) for c in under_way[:1]]

    def _length(self, i: int) -> float:
        return float(self.program.table.duration_s[self.program.row[i]])


def best_order(program: Program, seconds: float = 30.0, *, seed: int = 0, workers: int = 1) -> OrderResult:
    """Return the best order of a Program's passes and messages.

    Parameters
    ----------
    program
        One step of training; every device in one stage.
    seconds
        Limit of wall time.
    seed, workers
        Of CP-SAT.

    Raises
    ------
    DeclinedError
        If the Program is of another kind, with the reason.
    """
    model = OrderModel(program)
    began = time.monotonic()
    found = _solve(
        model,
        OrderResult(model.rule.makespan_s, model.rule.makespan_s, 0.0, program),
        seconds,
        seed,
        workers,
        as_list=False,
    )
    left = seconds - (time.monotonic() - began)
    if found.proven or left <= 0:
        return found
    return _solve(model, found, left, seed, workers, as_list=True)


def _solve(
    model: OrderModel, known: OrderResult, seconds: float, seed: int, workers: int, *, as_list: bool
) -> OrderResult:
    """Solve the programme; return what is known afterwards."""
    from ortools.sat.python import cp_model

    programme, start = model.build(as_list=as_list)
    solver = new_solver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.random_seed = seed
    solver.parameters.num_workers = workers
    status = solve_cp(solver, programme)
    bound_s = min(max(known.bound_s, solver.best_objective_bound * model.tick_s), known.rule_s)
    best, best_s = known.program, known.best_s
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        start_s = np.zeros(len(best))
        for i, variable in start.items():
            start_s[i] = solver.value(variable) * model.tick_s
        other = model.invert(start_s)
        other_s = simulate(other).makespan_s
        if other_s < best_s:
            best, best_s = other, other_s
    return OrderResult(known.rule_s, best_s, min(bound_s, best_s), best)
