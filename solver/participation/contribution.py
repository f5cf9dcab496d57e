"""Contribution: what each device is worth, by step time and by energy, as a document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field

from models.document import Document, dump_json
from models.errors import Fault, InputError
from solver.job import Job
from solver.participation.coalitions import Coalitions
from solver.participation.game import Game, closed, largest_cost
from solver.participation.ledger import Ledger
from solver.participation.planner import Planner
from solver.participation.shapley import Value, Worth, exact, one_more, orders, sampled
from solver.plan import Reference
from solver.problem import OBJECTIVES, Problem

Progress = Callable[[str], None]
NUM_PAIRS = 32
"""Pairs of orders that are drawn where there are too many devices for all groups."""


class DeviceWorth(Document):
    """What a device is worth: saved in the objective's unit, and samples per unit; with standard errors."""

    device: str
    saved: float
    saved_error: float = 0.0
    rate: float
    rate_error: float = 0.0


class ObjectiveWorth(Document):
    """What devices are worth under one objective.

    Parameters
    ----------
    unit
        Of its figure.
    cost
        Of the best plan known of all devices; null if none keeps every limit.
    reference
        What ``saved`` is counted from: the largest cost of any group that has a plan.
    chosen
        Who takes part in that plan.
    devices
        In the order of the cluster.
    num_groups
        Groups that were planned for.
    """

    unit: str
    cost: float | None
    reference: float
    chosen: tuple[str, ...] = ()
    devices: tuple[DeviceWorth, ...]
    num_groups: int


class Contribution(Document):
    """What each device of a cluster is worth for a job."""

    version: Literal[1] = 1
    workload: Reference
    cluster: Reference
    job: Job
    left_out: str
    power_modes: str
    solver: str
    work_limit: int
    seed: int
    method: Literal["exact", "sampled"]
    num_orders: int | None = None
    objectives: dict[str, ObjectiveWorth] = Field(min_length=1)

    def to_json(self) -> str:
        """Return it as JSON text."""
        return dump_json(self.model_dump(mode="json", exclude_none=True))


def contribution(
    problem: Problem,
    planner: Planner,
    objectives: Sequence[str] = ("time", "energy"),
    *,
    num_pairs: int = NUM_PAIRS,
    sample: bool = False,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
) -> Contribution:
    """Return what each device is worth.

    Parameters
    ----------
    problem
        What is decided; its own objective is not used, its limits hold.
    planner
        Who plans for a group.
    objectives
        Names of objectives whose figures are above 0.
    num_pairs, sample
        Pairs of orders drawn where there are more than 10 devices, or where it is asked for.
    ledger
        Where groups are kept that were planned for.
    progress
        Told what is being done.

    Raises
    ------
    InputError
        If there is no such objective.
    """
    if faults := word_faults(objectives, num_pairs):
        raise InputError(faults, "contribution")
    found: dict[str, ObjectiveWorth] = {}
    small = True
    for name in dict.fromkeys(objectives):
        note = None if ledger is None else ledger.writer(name)
        asked = replace(problem, objective=name, weights={})
        coalitions = Coalitions(asked, planner, heard=note)
        if ledger is not None:
            ledger.replay(name, coalitions)
        small = coalitions.is_small and not sample
        found[name] = _worth(coalitions, num_pairs, small, name, progress)
    return Contribution(
        workload=Reference(
            name=problem.workload_ref or problem.workload.name, sha256=problem.workload.digest
        ),
        cluster=Reference(name=problem.cluster_ref or problem.cluster.name, sha256=problem.cluster.digest),
        job=problem.job,
        left_out=problem.left_out,
        power_modes=problem.power_modes,
        solver=planner.solver,
        work_limit=planner.work_limit,
        seed=planner.seed,
        method="exact" if small else "sampled",
        num_orders=None if small else 2 * num_pairs,
        objectives=found,
    )


def word_faults(objectives: Sequence[str], num_pairs: int) -> list[Fault]:
    """Return what is wrong with the words of a contribution.

    Parameters
    ----------
    objectives, num_pairs
        As in :func:`contribution`.
    """
    known = [name for name in OBJECTIVES if name != "weighted"]
    wrong = [name for name in objectives if name not in known]
    faults = [Fault("objective", f"no objective {n!r}; there are: {', '.join(known)}") for n in wrong]
    faults += [] if objectives else [Fault("objective", "name one at least")]
    faults += [] if num_pairs >= 2 else [Fault("samples", "draw four orders at least")]
    return faults


def _worth(
    coalitions: Coalitions, num_pairs: int, small: bool, name: str, progress: Progress | None
) -> ObjectiveWorth:
    """Plan for all groups, or for those that some orders pass, and weigh the devices."""
    sizes = coalitions.size

    def told(done: int, total: int) -> None:
        if progress is not None:
            progress(f"{name}, group {done} of {total}")

    if small:
        coalitions.every_group(told)
        drawn: list[list[int]] = []
    else:
        drawn = orders(sizes, num_pairs, coalitions.planner.seed)
        _pass_through(coalitions, drawn, told)
    game = _game(coalitions, small)

    def values(value: Value) -> list[Worth]:
        return exact(sizes, value) if small else sampled(sizes, value, drawn)

    saved, rate = values(game.saved), values(game.rate)
    kind_of = {device: k for k, kind in enumerate(coalitions.kinds) for device in kind}
    best = coalitions.best_known(sizes)
    inside = frozenset[str]() if best is None else best.participants
    return ObjectiveWorth(
        unit=OBJECTIVES[name][1],
        cost=None if best is None else best.score,
        reference=game.reference,
        chosen=tuple(device for device in coalitions.problem.usable if device in inside),
        devices=tuple(
            DeviceWorth(
                device=device,
                saved=saved[kind_of[device]].value,
                saved_error=saved[kind_of[device]].error,
                rate=rate[kind_of[device]].value,
                rate_error=rate[kind_of[device]].error,
            )
            for device in coalitions.problem.usable
        ),
        num_groups=len(coalitions.asked),
    )


def _pass_through(
    coalitions: Coalitions, drawn: Sequence[Sequence[int]], told: Callable[[int, int], None]
) -> None:
    """Plan for every device alone, and for every group that the orders pass."""
    groups = [tuple(int(j == k) for j in range(len(coalitions.size))) for k in range(len(coalitions.size))]
    for order in drawn:
        counts = (0,) * len(coalitions.size)
        for kind in order:
            counts = one_more(counts, kind)
            groups.append(counts)
    listed = list(dict.fromkeys(groups))
    for done, counts in enumerate(listed, 1):
        coalitions.of_some(counts)
        told(done, len(listed))


def _game(coalitions: Coalitions, small: bool) -> Game:
    """Return the game of what is known."""
    scores = {counts: found.score for counts, found in coalitions.known.items()}
    if small:
        costs = closed(coalitions.size, scores)
    else:
        known = {counts: coalitions.best_known(counts) for counts, _ in coalitions.asked}
        costs = {counts: found.score for counts, found in known.items() if found is not None}
    return Game(coalitions.size, costs, largest_cost(costs), coalitions.problem.job.batch)
