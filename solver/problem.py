"""Problem: what is to be decided. Immutable, validated once, at construction, with every fault listed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

from models.cluster import Cluster
from models.errors import Fault, InputError
from models.workload import Workload
from solver.costs import Costs
from solver.job import Job
from solver.placement import Placement
from solver.settings import Settings

MOST_PASSES = 4_000_000
"""Of micro-batches through stages, forward: lowering writes every one down, with its messages."""

OBJECTIVES = {
    "time": ("step time", "s"),
    "bottleneck": ("slowest resource per micro-batch", "s"),
    "energy": ("energy of a step, whole boards", "J"),
    "memory": ("peak of the fullest device", "bytes"),
    "traffic": ("bytes over links in a step", "bytes"),
    "carbon": ("CO2e of a step, whole boards", "g"),
    "untrusted": ("bytes to less trusted devices in a step", "bytes"),
    "latency": ("mean time of a request", "s"),
    "weighted": ("weighted sum of objectives", ""),
}
"""Objectives: name to (what it is, unit). All are minimised."""

LeftOut = Literal["idle", "sleep", "off"]
"""What devices may do that are in no stage."""


@dataclass(frozen=True)
class Problem:
    """A workload to be shared out over a cluster.

    Parameters
    ----------
    workload, cluster, job
        What, over what, and how much.
    objective
        A key of ``OBJECTIVES``; minimised.
    weights
        Of the other objectives in the objective ``weighted``, per unit of each.
    at_most
        Largest figure of an objective that is accepted (epsilon constraints).
    num_micro_batches
        Micro-batches of a step; ``None``: the solver chooses (a divisor of the batch).
    schedule
        ``1f1b`` or ``gpipe``.
    in_flight
        ``default``: the schedule's rule says how many micro-batches a stage may have in flight;
        ``free``: solvers may choose it.
    left_out
        What devices do that take no part: ``idle``, ``sleep`` or ``off``; the same for every plan.
    power_modes
        ``own``: every device stays in the power mode of its own numbers; ``free``: solvers may choose one of
        its power modes.
    settings
        Cost rules.
    placement
        Rules on which blocks run where; ``None``: none.
    participants
        Devices that may take part; ``None``: all. The others count as the plan's ``left_out`` says.
    all_take_part
        Whether a plan must use every usable participant.
    workload_ref, cluster_ref
        How plans name the workload and the cluster: catalogue name or path.

    Raises
    ------
    InputError
        With every fault.
    """

    workload: Workload
    cluster: Cluster
    job: Job
    objective: str = "time"
    num_micro_batches: int | None = None
    schedule: str = "1f1b"
    in_flight: str = "default"
    left_out: LeftOut = "idle"
    power_modes: str = "own"
    weights: Mapping[str, float] = field(default_factory=dict)
    at_most: Mapping[str, float] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    placement: Placement | None = None
    participants: frozenset[str] | None = None
    all_take_part: bool = False
    workload_ref: str = ""
    cluster_ref: str = ""

    def __post_init__(self) -> None:
        """Validate."""
        faults = list(self._faults())
        if faults:
            raise InputError(faults, "problem")

    def _faults(self) -> Iterator[Fault]:
        yield from objective_faults(self.objective, self.weights, self.at_most)
        yield from self._unknown_faults()
        yield from choice_faults(self.schedule, self.in_flight, self.left_out, self.power_modes)
        yield from count_faults(self.num_micro_batches, self.job.batch)
        for word in ("frozen", "trained"):
            yield from block_faults(word, getattr(self.job, word), self.workload)
        if self.placement is not None:
            yield from self.placement.faults(self.workload, self.cluster)
        yield from self._participant_faults()
        if self.job.kind == "train" and self.workload.sinks and self.settings.rule == "program":
            costs = Costs(self.workload, self.job)
            if all(how == "none" for how in costs.trains.values()):
                yield Fault(
                    "job", "nothing is trained: no block has weights that are not frozen, or adapters"
                )

    def _participant_faults(self) -> Iterator[Fault]:
        for name in sorted(self.participants or ()):
            if name not in self.cluster.by_name:
                known = ", ".join(self.cluster.by_name)
                yield Fault("participants", f"no device is called {name!r}; there are: {known}")
        if self.participants is not None and not self.participants:
            yield Fault("participants", "nobody may take part; name one device at least")
        elif not self.usable:
            those = "device" if self.participants is None else "participant"
            message = f"no {those} of cluster {self.cluster.name} has a speed for {self.job.precision}"
            yield Fault("job.precision", message)

    def _unknown_faults(self) -> Iterator[Fault]:
        """Yield what is asked of figures that the cluster does not give."""
        asked = {self.objective: "objective", **dict.fromkeys(self.weights, "weights")}
        limited = {**dict.fromkeys(self.at_most, "at_most"), **asked}
        devices = self.cluster.devices
        without = [d.name for d in devices if d.carbon_g_per_kwh is None]
        where = "job.carbon_budget_g" if self.job.carbon_budget_g is not None else limited.get("carbon")
        if where and without:
            message = f"no carbon_g_per_kwh of {', '.join(without)}: what they take would count as clean"
            yield Fault(where, f"{message}; give it for every device of cluster {self.cluster.name}")
        if "untrusted" in asked and len({d.trust for d in devices}) == 1:
            message = f"all devices of cluster {self.cluster.name} are trusted alike: every plan is best"
            yield Fault(asked["untrusted"], f"{message}; give devices a level of trust")

    @cached_property
    def usable(self) -> tuple[str, ...]:
        """Devices that may take part and can compute in the job's precision."""
        able = [d.name for d in self.cluster.devices if self.job.precision in d.flop_per_s]
        return tuple(name for name in able if self.participants is None or name in self.participants)

    @cached_property
    def costs(self) -> Costs:
        """Costs of the blocks under the job."""
        return Costs(self.workload, self.job)

    @cached_property
    def micro_batch_counts(self) -> tuple[int, ...]:
        """Micro-batch counts a solver may choose from: the given one, or all divisors of the batch.

        Notes
        -----
        Not those with more micro-batches than a Program can be written down for.
        """
        if self.num_micro_batches is not None:
            return (self.num_micro_batches,)
        batch = self.job.batch
        return tuple(count for count in range(1, min(batch, MOST_PASSES) + 1) if batch % count == 0)


def objective_faults(
    objective: str, weights: Mapping[str, float], at_most: Mapping[str, float]
) -> Iterator[Fault]:
    """Yield what is wrong with what is minimised and limited, on any cluster.

    Parameters
    ----------
    objective, weights, at_most
        As in :class:`Problem`.
    """
    if objective not in OBJECTIVES:
        yield Fault("objective", f"no objective {objective!r}; there are: {', '.join(OBJECTIVES)}")
    if (objective == "weighted") != bool(weights):
        yield Fault("weights", "the objective weighted needs weights, and only it has them")
    elif weights and not any(weights.values()):
        yield Fault("weights", "all are 0, so that every plan is best; give one above 0")
    for word, numbers in (("weights", weights), ("at_most", at_most)):
        for name, value in numbers.items():
            for message in limit_faults(name, value):
                yield Fault(f"{word}.{name}", message)


def limit_faults(name: str, value: float) -> Iterator[str]:
    """Yield what is wrong with a largest figure, or a weight, of an objective, on any cluster.

    Parameters
    ----------
    name, value
        The objective, and the number in its unit.
    """
    single = [known for known in OBJECTIVES if known != "weighted"]
    if name not in single:
        yield f"no objective {name!r}; there are: {', '.join(single)}"
    if not (math.isfinite(value) and value >= 0):
        yield f"must be a finite number, 0 or more; given: {value}"


def choice_faults(schedule: str, in_flight: str, left_out: str, power_modes: str) -> Iterator[Fault]:
    """Yield which of the words are none that there are.

    Parameters
    ----------
    schedule, in_flight, left_out, power_modes
        As in :class:`Problem`.
    """
    if schedule not in ("1f1b", "gpipe"):
        yield Fault("schedule", f"no schedule {schedule!r}; there are: 1f1b, gpipe")
    if in_flight not in ("default", "free"):
        yield Fault("in_flight", f"no in-flight rule {in_flight!r}; there are: default, free")
    if left_out not in get_args(LeftOut):
        given = f"left-out devices cannot be {left_out!r}"
        yield Fault("left_out", f"{given}; there are: {', '.join(get_args(LeftOut))}")
    if power_modes not in ("own", "free"):
        yield Fault("power_modes", f"no rule of power modes {power_modes!r}; there are: own, free")


def count_faults(num_micro_batches: int | None, batch: int) -> Iterator[Fault]:
    """Yield why a step cannot have so many micro-batches.

    Parameters
    ----------
    num_micro_batches, batch
        Their number, ``None`` if it is free, and samples of a step.
    """
    if num_micro_batches is not None and (num_micro_batches < 1 or batch % num_micro_batches):
        yield Fault("num_micro_batches", f"{num_micro_batches} does not divide the batch of {batch}")


def block_faults(word: str, names: Iterable[str], workload: Workload) -> Iterator[Fault]:
    """Yield which names are of no block.

    Parameters
    ----------
    word
        The job's word for them.
    names, workload
        Names, and what has the blocks.
    """
    for i, name in enumerate(names):
        if name not in workload.by_name:
            yield Fault(f"job.{word}.{i}", f"no block is called {name!r}")
