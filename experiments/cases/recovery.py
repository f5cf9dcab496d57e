"""Ways to go on when a device is lost: cut again locally, plan anew, or start again from a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from models.cluster import Cluster
from models.workload import Workload
from solver.evaluate import evaluate
from solver.lowering.context import Context
from solver.plan import Plan
from solver.problem import Problem
from solver.repair.backups import protected
from solver.repair.policy import Repair, replanned
from solver.repair.recut import Recut
from solver.repair.stock import WHOLE, Move, Stock, context_of, moves, places, seconds

WAYS = ("light", "full", "full_best", "cheapest", "restart")
DETECT_S = 2.0
"""Silence after which the runtime of this project gives a device up; the same for all ways."""
PERIODS = (1, 10, 50)
"""Steps between two renewals of the backups, and between two checkpoints."""
MOMENTS = ("early", "late")
REPLAN = Repair(solver="asteroid", work_limit=100_000)
HORIZON = REPLAN.horizon
"""Steps until the next change, by which the cheapest way is chosen."""
REPLAN_BEST = Repair(solver="best", work_limit=300)


class Lost(NamedTuple):
    """A device that is lost while a plan runs.

    Parameters
    ----------
    problem, plan
        What was decided, and the plan that ran, with its backups.
    device
        Who is lost.
    """

    problem: Problem
    plan: Plan
    device: str

    @property
    def named(self) -> tuple[Workload, Cluster]:
        """What the plan names."""
        return self.problem.workload, self.problem.cluster

    @property
    def stock(self) -> Stock:
        """Who has the state of what then."""
        return Stock.of(context_of(self.plan, *self.named), {self.device})

    @property
    def stages(self) -> list[int]:
        """Stages of the first pipeline that the device was in, counted from 0."""
        stages = self.plan.pipelines[0].stages
        return [s for s, stage in enumerate(stages) if self.device in dict(stage.shares)]


@dataclass(frozen=True)
class Way:
    """One way to go on.

    Parameters
    ----------
    name
        Of :data:`WAYS`.
    plan
        That goes on; ``None`` if there is none.
    moved
        What has to move.
    needs_rollback
        Whether every device goes back to the last backups, or the last checkpoint: some state was nowhere
        else.
    wall_plan_s
        What making the plan took, measured.
    """

    name: str
    plan: Plan | None
    moved: tuple[Move, ...]
    needs_rollback: bool
    wall_plan_s: float


def ways(lost: Lost) -> list[Way]:
    """Return every way to go on.

    Parameters
    ----------
    lost
        Who is lost.

    Notes
    -----
    Light and full repairs place backups again, so that the next device may be lost too; their time is that of
    the planner and of placing them. The cheapest of the two is what the runtime takes. A restart loads a
    checkpoint that lies on the remaining device with most memory, and needs no backups.
    """
    makers: dict[str, Callable[[], Plan | None]] = {
        "light": lambda: _safe(lost, Recut(*lost.named).plan(lost.plan, {lost.device})),
        "full": lambda: _safe(lost, _anew(lost, REPLAN)),
        "full_best": lambda: _safe(lost, _anew(lost, REPLAN_BEST)),
        "restart": lambda: _anew(lost, REPLAN),
    }
    found = {name: _way(lost, name, make) for name, make in makers.items()}
    found["cheapest"] = _cheapest(lost, [found["light"], found["full"]])
    return [found[name] for name in WAYS]


def _cheapest(lost: Lost, options: list[Way]) -> Way:
    """Return what the runtime takes by default: the one that costs less until the next change."""
    costs = {
        way.name: seconds(way.moved, context_of(way.plan, *lost.named)) + HORIZON * _step_s(lost, way.plan)
        for way in options
        if way.plan is not None
    }
    chosen = min(options, key=lambda way: costs.get(way.name, math.inf))
    return replace(chosen, name="cheapest", wall_plan_s=sum(way.wall_plan_s for way in options))


def _way(lost: Lost, name: str, make: Callable[[], Plan | None]) -> Way:
    began = time.monotonic()
    plan = make()
    wall_plan_s = time.monotonic() - began
    stock = _checkpoint(lost) if name == "restart" else lost.stock
    if plan is None or stock.lost():
        return Way(name, None, (), False, wall_plan_s)
    found = moves(stock, context_of(plan, *lost.named))
    return Way(name, plan, tuple(found), name == "restart" or bool(stock.needs_copies()), wall_plan_s)


def _anew(lost: Lost, repair: Repair) -> Plan | None:
    return replanned(lost.plan, *lost.named, {lost.device}, repair)


def _safe(lost: Lost, plan: Plan | None) -> Plan | None:
    return None if plan is None else protected(plan, *lost.named)


def _checkpoint(lost: Lost) -> Stock:
    """Return where state is once all processes have ended: in the checkpoint of one device."""
    return Stock({name: {_keeper(lost): WHOLE} for name in lost.problem.workload.order})


def _keeper(lost: Lost) -> str:
    left = [device for device in lost.problem.cluster.devices if device.name != lost.device]
    return max(left, key=lambda device: device.memory_bytes.value).name


def rows(lost: Lost, found: list[Way]) -> list[dict[str, Any]]:
    """Return a row for every way, period and moment.

    Parameters
    ----------
    lost
        Who is lost.
    found
        Ways to go on.

    Notes
    -----
    recovery = detection + moving + steps done again; planning is measured, and added in ``wall_recovery_s``.
    Early is one step after backups or checkpoint were renewed (with a period of 1: at once), late one step
    before they would be. Without rollback only the step in flight is done again. Steps are those without
    backups; ``renewal_s`` is what one renewal of all backups, or one checkpoint, takes besides.
    """
    found_rows = []
    for way in found:
        figures = _figures(lost, way)
        for period in PERIODS:
            for moment in MOMENTS if period > 2 else MOMENTS[:1]:
                found_rows.append({**figures, **_redone(way, figures, period, moment)})
    return found_rows


def _figures(lost: Lost, way: Way) -> dict[str, Any]:
    words = {"device": lost.device, "stage": "+".join(map(str, lost.stages)), "way": way.name}
    words |= {"stages": len(lost.plan.pipelines[0].stages)}
    if way.plan is None:
        return {**words, "goes_on": False}
    over_links = [move for move in way.moved if move.sources != (move.target,)]
    bare_s = _step_s(lost, bare(way.plan))
    return {
        **words,
        "goes_on": True,
        "step_s_before": _step_s(lost, bare(lost.plan)),
        "step_s_after": bare_s,
        "renewal_s": _saving_s(lost, way.plan) if way.name == "restart" else _step_s(lost, way.plan) - bare_s,
        "moved_blocks": len(over_links),
        "moved_bytes": sum(move.num_bytes for move in over_links),
        "detect_s": DETECT_S,
        "move_s": seconds(way.moved, context_of(way.plan, *lost.named)),
        "wall_plan_s": way.wall_plan_s,
    }


def _step_s(lost: Lost, plan: Plan) -> float:
    return evaluate(plan, *lost.named).step_time_s


def _saving_s(lost: Lost, plan: Plan) -> float:
    """Return what it takes to bring every block to the device that keeps the checkpoint."""
    context = context_of(plan, *lost.named)
    keeper = _keeper(lost)
    found = [
        Move(block, (next(iter(parts)),), keeper, False, _state_bytes(context, block))
        for block, parts in places(context).items()
        if keeper not in parts
    ]
    return seconds(found, context)


def _state_bytes(context: Context, block: str) -> int:
    cost = context.costs.block(block)
    return cost.weight_bytes + context.costs.state_bytes(cost.trained_bytes)


def _redone(way: Way, figures: dict[str, Any], period: int, moment: str) -> dict[str, Any]:
    when = {"period_steps": period, "moment": moment}
    if way.plan is None:
        return when
    since = min(1, period - 1) if moment == "early" else period - 1
    steps = 1 + (since if way.needs_rollback else 0)
    redo_s = steps * figures["step_s_after"]
    recovery_s = DETECT_S + figures["move_s"] + redo_s
    return {
        **when,
        "steps_done_again": steps,
        "redo_s": redo_s,
        "recovery_s": recovery_s,
        "wall_recovery_s": recovery_s + way.wall_plan_s,
    }


def bare(plan: Plan) -> Plan:
    """Return a plan without backups."""
    return plan.model_copy(update={"backup": ()})
