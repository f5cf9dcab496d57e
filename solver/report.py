"""Report: what a Program costs, predicted: time, energy, memory, traffic, and the limits it breaks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from models.cluster import Cluster
from solver.accounts import Accounts, make_accounts
from solver.plan import Plan
from solver.program import COMPUTE, Kind, Program, Row, StaticMemory
from solver.simulate import Timeline


@dataclass(frozen=True)
class Energy:
    """Energy of one device over the step, joule: whole-board idle, extra while computing, radio."""

    idle_j: float
    compute_j: float
    radio_j: float

    @property
    def total_j(self) -> float:
        """All of it."""
        return self.idle_j + self.compute_j + self.radio_j


@dataclass(frozen=True)
class Memory:
    """Peak memory of one device, bytes, and what it is made of.

    Parameters
    ----------
    static
        Weights, gradients, optimizer states, backups.
    activation_bytes, buffer_bytes
        Activations, and receive buffers, at the peak.
    limit_bytes
        What the device has.
    """

    static: StaticMemory
    activation_bytes: int
    buffer_bytes: int
    limit_bytes: int

    @property
    def peak_bytes(self) -> int:
        """The peak."""
        return self.static.total_bytes + self.activation_bytes + self.buffer_bytes


def relative_excess(given: Any, allowed: float) -> Any:
    """Return how far figures are above a limit, relative to it; 0 for those that are not.

    Parameters
    ----------
    given, allowed
        Figures, one or an array, and the largest that is accepted.

    Notes
    -----
    Nothing is relative to a limit of 0: then it is 1 and a tenth of the figure's logarithm, so that less is
    better whatever the unit.
    """
    if allowed:
        return np.maximum((given - allowed) / allowed, 0.0)
    return np.where(given > 0, 1 + 0.1 * np.log1p(given), 0.0)


@dataclass(frozen=True)
class Violation:
    """A limit that a sound plan breaks.

    Parameters
    ----------
    limit
        ``memory``, ``modality``, ``deadline``, ``energy``, ``carbon``, ``battery``, ``trust``, ``spectrum``,
        ``resources``, ``objective``, ``placement`` or ``job``.
    where
        Device, block or segment; empty for the whole plan.
    given, allowed
        The two numbers (0 and 0 where it is not about numbers).
    unit
        Their unit.
    message
        A sentence with the numbers.
    """

    limit: str
    where: str
    given: float
    allowed: float
    unit: str
    message: str

    @property
    def excess(self) -> float:
        """How far it is broken, as :func:`relative_excess` says; 1 where it is not about numbers."""
        return float(relative_excess(self.given, self.allowed)) if self.given != self.allowed else 1.0


@dataclass(frozen=True)
class Report:
    """What a plan costs.

    Parameters
    ----------
    step_time_s
        From the start to the last update, of one step on average over the round.
    round_time_s
        Of the whole Program (equal to the step time unless copies synchronise more rarely).
    bottleneck_s
        Largest busy time of a lane, without synchronisation and update, per micro-batch.
    bottleneck_lane
        Which lane that is.
    samples_per_s
        Throughput.
    energy, memory
        By device of the cluster.
    accounts
        Carbon, batteries, and bytes to devices of less trust, where the cluster gives them.
    measured_power
        Devices whose idle and busy power were measured; the energy of the others is modelled.
    busy_s, utilisation
        Computing time by device; that divided by the time of the Program, participants only.
    bubble
        Part of the participants' time in which they do not compute.
    traffic
        Bytes by (source, target).
    raw_bytes
        Bytes of raw data that leave their owner.
    overflow_tokens
        Expected tokens that experts have no room for.
    latencies_s
        Serving: from arrival to the end, by request.
    violations
        Limits broken; empty if the plan is feasible.
    program, timeline
        What was walked, and when everything happened.
    """

    step_time_s: float
    round_time_s: float
    bottleneck_s: float
    bottleneck_lane: str
    samples_per_s: float
    energy: dict[str, Energy]
    memory: dict[str, Memory]
    busy_s: dict[str, float]
    utilisation: dict[str, float]
    bubble: float
    traffic: dict[tuple[str, str], int]
    raw_bytes: int
    overflow_tokens: float
    latencies_s: tuple[float, ...]
    violations: tuple[Violation, ...]
    program: Program = field(repr=False)
    timeline: Timeline = field(repr=False)
    accounts: Accounts = field(default_factory=Accounts)
    measured_power: frozenset[str] = frozenset()

    @property
    def energy_j(self) -> float:
        """Energy of all devices over the step (over the round divided by its steps)."""
        return sum(part.total_j for part in self.energy.values()) / self.program.num_steps

    def energy_of_device_is(self, device: str) -> str:
        """Return ``measured`` if a device's joules come from its measured power, ``modelled`` otherwise."""
        return "measured" if device in self.measured_power else "modelled"

    @property
    def energy_is(self) -> str:
        """Joules are ``measured`` on all devices, on none (``modelled``), or ``partly measured``."""
        if not self.measured_power:
            return "modelled"
        return "measured" if self.measured_power >= self.energy.keys() else "partly measured"

    @property
    def traffic_bytes(self) -> int:
        """Bytes that cross any link."""
        return sum(self.traffic.values())

    @property
    def untrusted_bytes(self) -> int:
        """Bytes that cross to a lower level of trust."""
        return sum(self.accounts.untrusted.values())

    @property
    def peak_memory_bytes(self) -> int:
        """Peak of the fullest device."""
        return max(part.peak_bytes for part in self.memory.values())

    @property
    def is_feasible(self) -> bool:
        """Whether no limit is broken."""
        return not self.violations

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain data, without the timeline."""
        return {
            "step_time_s": self.step_time_s,
            "round_time_s": self.round_time_s,
            "bottleneck_s": self.bottleneck_s,
            "bottleneck_lane": self.bottleneck_lane,
            "samples_per_s": self.samples_per_s,
            "energy_j": self.energy_j,
            "energy_by_device_j": {
                name: {"idle": part.idle_j, "compute": part.compute_j, "radio": part.radio_j}
                for name, part in self.energy.items()
            },
            "energy_is": self.energy_is,
            "energy_by_device_is": {name: self.energy_of_device_is(name) for name in self.energy},
            "memory_bytes": {name: _memory_json(part) for name, part in self.memory.items()},
            "busy_s": self.busy_s,
            "utilisation": self.utilisation,
            "bubble": self.bubble,
            "traffic_bytes": self.traffic_bytes,
            "traffic_by_link_bytes": {f"{a}->{b}": size for (a, b), size in self.traffic.items()},
            "raw_bytes": self.raw_bytes,
            "untrusted_bytes": self.untrusted_bytes,
            **self.accounts.to_json(),
            "overflow_tokens": self.overflow_tokens,
            "latencies_s": list(self.latencies_s),
            "num_instructions": len(self.program),
            "feasible": self.is_feasible,
            "violations": [
                {
                    "limit": v.limit,
                    "where": v.where,
                    "given": v.given,
                    "allowed": v.allowed,
                    "unit": v.unit,
                    "message": v.message,
                }
                for v in self.violations
            ],
        }


def _memory_json(part: Memory) -> dict[str, int]:
    return {
        "weights": part.static.weight_bytes,
        "gradients": part.static.gradient_bytes,
        "optimizer": part.static.optimizer_bytes,
        "backups": part.static.backup_bytes,
        "runtime": part.static.runtime_bytes,
        "activations": part.activation_bytes,
        "receive_buffers": part.buffer_bytes,
        "peak": part.peak_bytes,
        "limit": part.limit_bytes,
    }


def make_report(
    plan: Plan, cluster: Cluster, program: Program, timeline: Timeline, violations: tuple[Violation, ...]
) -> Report:
    """Add up what a walk found.

    Parameters
    ----------
    plan, cluster
        What was lowered.
    program, timeline
        The Program and its walk.
    violations
        Broken limits that do not depend on the walk; those that do are added.
    """
    span = timeline.makespan_s
    busy = _busy(program)
    lasted = [row.duration_s * int(n) for row, n in zip(program.rows, program.counts, strict=True)]
    participants = sorted({row.device for row, n in zip(program.rows, program.counts, strict=True) if n})
    lane, bottleneck = _bottleneck(program)
    traffic = program.bytes_by_pair()
    energy = energy_by_device(plan, cluster, program, span, lasted)
    joules = {name: part.total_j / program.num_steps for name, part in energy.items()}
    report = Report(
        step_time_s=span / program.num_steps,
        round_time_s=span,
        bottleneck_s=bottleneck,
        bottleneck_lane=lane,
        samples_per_s=program.num_samples / span if span else 0.0,
        energy=energy,
        memory=_memory(cluster, program, timeline),
        busy_s=busy,
        utilisation={name: busy[name] / span if span else 0.0 for name in participants},
        bubble=1 - sum(busy[name] for name in participants) / (span * len(participants)) if span else 0.0,
        traffic=traffic,
        raw_bytes=_bytes(program, lambda row: row.raw),
        overflow_tokens=program.overflow_tokens,
        latencies_s=_latencies(plan, program, timeline),
        violations=violations,
        program=program,
        timeline=timeline,
        accounts=make_accounts(cluster, joules, span / program.num_steps, traffic),
        measured_power=frozenset(d.name for d in cluster.devices if d.has_measured_power),
    )
    return report


def mean_report(cluster: Cluster, reports: Sequence[Report], parts: Sequence[float]) -> Report:
    """Return what a step of a plan costs on average, if its steps are of several kinds.

    Parameters
    ----------
    cluster
        What the plan is for.
    reports, parts
        Of each kind of step, and which part of all steps is of that kind. What is no mean is the first one's.
    """
    first = reports[0]

    def mean(figures: Iterable[float]) -> float:
        return sum(part * figure for part, figure in zip(parts, figures, strict=True))

    span = mean(report.round_time_s for report in reports)
    energy = {
        name: Energy(
            mean(report.energy[name].idle_j for report in reports),
            mean(report.energy[name].compute_j for report in reports),
            mean(report.energy[name].radio_j for report in reports),
        )
        for name in first.energy
    }
    traffic = {pair: round(mean(report.traffic.get(pair, 0) for report in reports)) for pair in first.traffic}
    joules = {name: one.total_j for name, one in energy.items()}
    used = {name: first.busy_s[name] / span for name in first.utilisation} if span else {}
    return replace(
        first,
        step_time_s=span,
        round_time_s=span,
        samples_per_s=first.program.num_samples / span if span else 0.0,
        energy=energy,
        utilisation=used,
        bubble=1 - sum(used.values()) / len(used) if used else 0.0,
        traffic=traffic,
        accounts=make_accounts(cluster, joules, span, traffic),
    )


def _busy(program: Program) -> dict[str, float]:
    busy = dict.fromkeys(program.devices, 0.0)
    for row, count in zip(program.rows, program.counts, strict=True):
        if row.kind in COMPUTE:
            busy[row.device] += row.duration_s * int(count)
    return busy


def _bottleneck(program: Program) -> tuple[str, float]:
    """Return the lane that is busiest in the passes, and its seconds per micro-batch."""
    busy = np.zeros(len(program.lanes))
    for row, count in zip(program.rows, program.counts, strict=True):
        if row.phase in ("forward", "backward"):
            for lane in row.lanes:
                busy[lane] += row.duration_s * int(count)
    if not len(busy) or not program.num_micro_batches:
        return "", 0.0
    worst = int(busy.argmax())
    return program.lanes[worst], float(busy[worst]) / program.num_micro_batches


def energy_by_device(
    plan: Plan, cluster: Cluster, program: Program, span_s: float, lasted_s: Sequence[float]
) -> dict[str, Energy]:
    """Return the energy of every device, joule, while a Program is walked once.

    Parameters
    ----------
    plan, cluster
        What was lowered.
    program
        The Program.
    span_s
        Seconds of the walk, for which every device costs its idle power; one that takes no part, what the
        plan says of those that are left out.
    lasted_s
        (num_rows,), seconds that the instructions of each row lasted together, predicted or measured.
    """
    compute = dict.fromkeys(program.devices, 0.0)
    radio = dict.fromkeys(program.devices, 0.0)
    participants = set()
    for row, count, seconds in zip(program.rows, program.counts, lasted_s, strict=True):
        table = compute if row.kind in COMPUTE else radio
        table[row.device] += row.power_w * seconds
        participants |= {row.device} if count else set()
    found = {}
    for device in cluster.devices:
        choice = plan.devices.get(device.name)
        board = device.in_mode(choice.power_mode if choice else None)
        idle_w = board.idle_w.value
        if device.name not in participants:
            idle_w = board.left_out_w(plan.left_out)
        found[device.name] = Energy(idle_w * span_s, compute[device.name], radio[device.name])
    return found


def _memory(cluster: Cluster, program: Program, timeline: Timeline) -> dict[str, Memory]:
    found = {}
    for i, name in enumerate(program.devices):
        buffers = int(timeline.buffer_bytes[i])
        found[name] = Memory(
            static=program.static[name],
            activation_bytes=int(timeline.peak_bytes[i]) - buffers,
            buffer_bytes=buffers,
            limit_bytes=int(cluster.by_name[name].memory_bytes.value),
        )
    return found


def _bytes(program: Program, which: Any) -> int:
    rows: list[tuple[Row, int]] = list(zip(program.rows, program.counts.tolist(), strict=True))
    return sum(row.num_bytes * count for row, count in rows if row.kind == Kind.SEND and which(row))


def _latencies(plan: Plan, program: Program, timeline: Timeline) -> tuple[float, ...]:
    """Serving: time from each request's arrival to its last instruction, pipeline by pipeline."""
    if plan.job.kind != "serve":
        return ()
    found = []
    pipeline_of = np.array([row.pipeline for row in program.rows])[program.row]
    for p, pipeline in enumerate(plan.pipelines):
        ends = np.zeros(pipeline.num_micro_batches)
        mine = pipeline_of == p
        np.maximum.at(ends, program.micro_batch[mine], timeline.end_s[mine])
        arrivals = np.arange(len(ends)) * plan.job.arrival_interval_s
        found.extend((ends - arrivals).tolist())
    return tuple(found)
