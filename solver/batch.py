"""Batch: score many plans of one family at once, to the figures of the one evaluator.

The family: one pipeline over a chain of blocks; stages are intervals of blocks in order; a stage is a group
of one or more devices in mode ``data``, no device in two of them; gradients are reduced in rings in every
step. The number of micro-batches and the schedule are the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.cluster import Cluster
from models.errors import Fault, InputError
from models.workload import Workload
from solver.batch_order import EVENT, Shape, order_of
from solver.batch_tables import check_family, make_tables
from solver.batch_walk import FIGURES, score_all
from solver.job import Job
from solver.lowering.context import Context
from solver.plan import DeviceChoice, Explicit, Group, Pipeline, Plan, Reference, Stage
from solver.problem import LeftOut
from solver.program import Floats, Longs
from solver.settings import Settings

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class PackedPlans:
    """Plans of the family as arrays: B plans, at most S stages, D devices in the order of the cluster.

    Parameters
    ----------
    num_stages
        (B,), at least 1.
    ends
        (B, S), the block after the last of every stage; not read beyond ``num_stages``.
    shares
        (B, S, D), samples of each micro-batch per device; 0: not in the group, and beyond ``num_stages``.
    caps
        (B, S), most micro-batches in flight; 0, or ``None`` for all: the default of the schedule.
    """

    num_stages: Longs
    ends: Longs
    shares: Longs
    caps: Longs | None = None

    def __len__(self) -> int:
        return len(self.num_stages)

    def take(self, indices: Any) -> PackedPlans:
        """Return some of the plans.

        Parameters
        ----------
        indices
            Numbers of plans, or a mask.
        """
        caps = None if self.caps is None else self.caps[indices]
        return PackedPlans(self.num_stages[indices], self.ends[indices], self.shares[indices], caps)


@dataclass(frozen=True)
class BatchScores:
    """Figures of B plans on D devices.

    Parameters
    ----------
    step_time_s, bottleneck_s
        (B,), as in :class:`solver.report.Report`.
    peak_bytes
        (B, D), peak memory; 0 where a device is left out.
    memory_ok
        (B,), whether every device has room.
    joules
        (B, D), energy of a step on every device; ``None`` if it was not asked for.
    traffic_bytes, untrusted_bytes
        (B,), of a step: over links, and to devices trusted less; ``None`` with energy.
    """

    step_time_s: Floats
    bottleneck_s: Floats
    peak_bytes: Longs
    memory_ok: Bools
    joules: Floats | None
    traffic_bytes: Floats | None
    untrusted_bytes: Floats | None

    @property
    def energy_j(self) -> Floats | None:
        """(B,), energy of a step of all devices."""
        return None if self.joules is None else _sum(self.joules)


class BatchScorer:
    """Scores plans of one family.

    Parameters
    ----------
    workload, cluster, job
        What is trained, over what; a chain.
    num_micro_batches, samples
        Micro-batches of a step, and samples of each.
    schedule
        ``1f1b`` or ``gpipe``.
    settings
        Cost rules.
    devices
        Power modes and shares of the spectrum, the same for all plans.
    left_out
        What devices do that are in no stage: ``idle``, ``sleep`` or ``off``.

    Raises
    ------
    InputError
        If the family does not cover the problem, with every reason.

    Notes
    -----
    The figures are those of ``lower`` and ``simulate`` up to rounding: times and energy to 1e-9 relative,
    bytes exactly.
    """

    def __init__(
        self,
        workload: Workload,
        cluster: Cluster,
        job: Job,
        *,
        num_micro_batches: int,
        samples: int,
        schedule: Literal["1f1b", "gpipe"] = "1f1b",
        settings: Settings | None = None,
        devices: Mapping[str, DeviceChoice] | None = None,
        left_out: LeftOut = "idle",
    ) -> None:
        self.workload, self.cluster, self.settings = workload, cluster, settings or Settings()
        self.num_micro_batches, self.samples = num_micro_batches, samples
        self.names = tuple(device.name for device in cluster.devices)
        self._usable = np.array([job.precision in device.flop_per_s for device in cluster.devices])
        self._limit_bytes = np.array([int(d.memory_bytes.value) for d in cluster.devices], np.int64)
        first = Stage(blocks=workload.order, shares={self.names[0]: samples})
        self._base = Plan(
            workload=Reference(name=workload.name),
            cluster=Reference(name=cluster.name),
            job=job,
            schedule=schedule,
            pipelines=(Pipeline(micro_batches=num_micro_batches, samples=samples, stages=(first,)),),
            devices=dict(devices or {}),
            left_out=left_out,
        )
        self._prepare(Context(self._base, workload, cluster, self.settings))

    def _prepare(self, context: Context) -> None:
        """Table what plans are scored from; raise if the family does not cover the problem."""
        check_family(context)
        self._tables = make_tables(context, self.samples)

    def score(self, plans: PackedPlans, *, energy: bool = False) -> BatchScores:
        """Return the figures of plans.

        Parameters
        ----------
        plans
            Plans of the family.
        energy
            Whether energy and bytes are asked for.

        Raises
        ------
        InputError
            If a plan is not sound; the first such plan is named.
        """
        arrays = (None if part is None else np.ascontiguousarray(part, np.int64) for part in _arrays(plans))
        plans = PackedPlans(*arrays)  # type: ignore[arg-type]
        self._check(plans)
        figures = np.zeros(len(plans), FIGURES)
        peaks = np.zeros((len(plans), len(self.names)), np.int64)
        joules = np.zeros((len(plans) if energy else 0, len(self.names)))
        if len(plans):
            self._fill(plans, figures, peaks, joules)
        return BatchScores(
            step_time_s=figures["step_time_s"].copy(),
            bottleneck_s=figures["bottleneck_s"].copy(),
            peak_bytes=peaks,
            memory_ok=np.all(peaks <= self._limit_bytes, axis=1),
            joules=joules if energy else None,
            traffic_bytes=figures["traffic_bytes"].copy() if energy else None,
            untrusted_bytes=figures["untrusted_bytes"].copy() if energy else None,
        )

    def _fill(self, plans: PackedPlans, figures: Any, peaks: Longs, joules: Floats) -> None:
        """Score sound plans; energy where there is room for it."""
        rule = (self.num_micro_batches, self.settings.sync, len(joules) > 0)
        packed = (plans.num_stages, plans.ends, plans.shares)
        score_all(rule, tuple(self._tables), self._orders(plans), packed, figures, peaks, joules)

    def encode(self, plans: Sequence[Plan]) -> PackedPlans:
        """Return plans as arrays.

        Parameters
        ----------
        plans
            Plans of the family, whose groups name devices in the order of the cluster.

        Raises
        ------
        InputError
            If a plan is not of the family, with every fault.
        """
        faults = [fault for i, plan in enumerate(plans) for fault in self._strange(i, plan)]
        if faults:
            raise InputError(faults, "batch")
        most = max((len(plan.pipelines[0].stages) for plan in plans), default=1)
        packed = PackedPlans(
            np.array([len(plan.pipelines[0].stages) for plan in plans], np.int64),
            np.zeros((len(plans), most), np.int64),
            np.zeros((len(plans), most, len(self.names)), np.int64),
            np.zeros((len(plans), most), np.int64),
        )
        for i, plan in enumerate(plans):
            end = 0
            for s, stage in enumerate(plan.pipelines[0].stages):
                end += len(stage.blocks)
                packed.ends[i, s] = end
                for name, share in dict(stage.shares).items():
                    if isinstance(share, int):
                        packed.shares[i, s, self.names.index(name)] = share
                if packed.caps is not None:
                    packed.caps[i, s] = stage.in_flight or 0
        return packed

    def stages(self, plans: PackedPlans, index: int) -> tuple[Stage, ...]:
        """Return the stages of one plan.

        Parameters
        ----------
        plans
            Plans of the family.
        index
            Which.
        """
        found, start = [], 0
        for s in range(int(plans.num_stages[index])):
            end = int(plans.ends[index, s])
            given = zip(self.names, plans.shares[index, s].tolist(), strict=True)
            shares: dict[str, int | Group] = {name: n for name, n in given if n > 0}
            cap = None if plans.caps is None else int(plans.caps[index, s]) or None
            found.append(Stage(blocks=self.workload.order[start:end], shares=shares, in_flight=cap))
            start = end
        return tuple(found)

    def decode(self, plans: PackedPlans, index: int) -> Plan:
        """Return one plan, which names workload and cluster by their own names.

        Parameters
        ----------
        plans
            Plans of the family.
        index
            Which.
        """
        (pipeline,) = self._base.pipelines
        changed = pipeline.model_copy(update={"stages": self.stages(plans, index)})
        return self._base.model_copy(update={"pipelines": (changed,)})

    def _strange(self, index: int, plan: Plan) -> list[Fault]:
        """Return why a plan is not of the family."""
        same = {"job", "schedule", "sync", "devices", "left_out", "backup"}
        wrong = [word for word in sorted(same) if getattr(plan, word) != getattr(self._base, word)]
        faults = [Fault(f"{index}.{word}", "is not that of the family") for word in wrong]
        if len(plan.pipelines) > 1:
            return [*faults, Fault(f"{index}.pipelines", "there is more than one")]
        (pipeline,) = plan.pipelines
        for word in ("micro_batches", "samples"):
            if getattr(pipeline, word) != getattr(self._base.pipelines[0], word):
                faults.append(Fault(f"{index}.{word}", "is not that of the family"))
        if tuple(name for stage in pipeline.stages for name in stage.blocks) != self.workload.order:
            faults.append(Fault(f"{index}.stages", "stages are not intervals of blocks in order"))
        for s, stage in enumerate(pipeline.stages):
            where = f"{index}.stages.{s}"
            if stage.mode != "data" or stage.recompute or stage.instances or stage.routing or stage.ring:
                faults.append(Fault(where, "only mode data, without recompute, instances, routing and ring"))
            names = () if isinstance(stage.shares, Explicit) else tuple(stage.shares)
            plain = names and all(isinstance(share, int) for share in dict(stage.shares).values())
            if not plain or list(names) != [name for name in self.names if name in names]:
                faults.append(Fault(f"{where}.shares", "not samples of devices in the order of the cluster"))
        return faults

    def _check(self, plans: PackedPlans) -> None:
        """Raise unless every plan is sound."""
        num, ends, shares, _ = _arrays(plans)
        count, most = ends.shape
        if shares.shape != (count, most, len(self.names)):
            needed = f"({count}, {most}, {len(self.names)})"
            raise InputError([Fault("shares", f"shape {shares.shape}; needed: {needed}")], "batch")
        used = np.arange(most) < num[:, None]
        steps = np.where(used, np.diff(ends, axis=1, prepend=0), 1)
        last = np.take_along_axis(ends, np.clip(num - 1, 0, most - 1)[:, None], axis=1)[:, 0]
        problems = {
            "num_stages": (num < 1) | (num > most),
            "ends: not increasing up to the number of blocks": (steps < 1).any(axis=1)
            | (last != len(self.workload.order)),
            "shares: negative": (shares < 0).any(axis=(1, 2)),
            f"shares: do not add up to {self.samples} in every stage, and to 0 beyond": (
                shares.sum(axis=2) != np.where(used, self.samples, 0)
            ).any(axis=1),
            "shares: a device is in two stages": ((shares > 0).sum(axis=1) > 1).any(axis=1),
            f"shares: a device has no speed for {self._base.job.precision}": (
                (shares > 0).any(axis=1) & ~self._usable
            ).any(axis=1),
        }
        faults = [
            Fault(str(int(np.flatnonzero(wrong)[0])), what) for what, wrong in problems.items() if wrong.any()
        ]
        if faults:
            raise InputError(faults, "batch")

    def _orders(self, plans: PackedPlans) -> tuple[Longs, NDArray[Any], Longs, Longs, Longs]:
        """Return the order of every plan by number, and all orders: events and moments, packed."""
        most = plans.ends.shape[1]
        caps, first = self._caps(plans)
        keys, shape_of = _distinct(np.column_stack((plans.num_stages, first, caps)))
        orders = [
            order_of(Shape(self.num_micro_batches, self.settings.prefetch, f, tuple(cap[:num])))
            for num, f, *cap in keys.tolist()
        ]
        holds_start = np.zeros((len(orders), most + 1), np.int64)
        at = 0
        for start, order in zip(holds_start, orders, strict=True):
            start[: len(order.holds_start)] = at + order.holds_start
            at += len(order.holds)
        event_start = np.cumsum([0, *(len(order.events) for order in orders)])
        events = np.concatenate([np.zeros(0, EVENT), *(order.events for order in orders)])
        holds = np.concatenate([order.holds for order in orders])
        return shape_of, events, event_start, holds, holds_start

    def _caps(self, plans: PackedPlans) -> tuple[Longs, Longs]:
        """Return (B, S) caps, as the lowering sets them, and (B,) first stages with a backward pass."""
        most = plans.ends.shape[1]
        used = np.arange(most) < plans.num_stages[:, None]
        caps = np.broadcast_to(self.num_micro_batches, used.shape)
        if self._base.schedule == "1f1b":
            caps = 2 * (plans.num_stages[:, None] - np.arange(most)) - 1
            if plans.caps is not None:
                caps = np.where(plans.caps > 0, plans.caps, caps)
        backward = self._tables.has_backward[np.where(used, plans.ends, 0)]
        caps = np.where(backward, np.minimum(caps, self.num_micro_batches), self.num_micro_batches)
        caps = np.where(used, np.minimum.accumulate(caps, axis=1), 0)
        return caps, (used & ~backward).sum(axis=1)


def _sum(joules: Floats) -> Floats:
    total: Floats = joules.sum(axis=1)
    return total


def _arrays(plans: PackedPlans) -> tuple[Longs, Longs, Longs, Longs | None]:
    return plans.num_stages, plans.ends, plans.shares, plans.caps


def _distinct(rows: Longs) -> tuple[Longs, Longs]:
    """Return the distinct rows of a matrix of small numbers, and which of them every row is."""
    radix = int(rows.max()) + 1
    if radix ** rows.shape[1] < 2**63:
        # One number a row: several times faster to sort than the rows.
        numbers = rows @ radix ** np.arange(rows.shape[1])
        _, first, which = np.unique(numbers, return_index=True, return_inverse=True)
        return rows[first], which
    keys, which = np.unique(rows, axis=0, return_inverse=True)
    return keys, which.reshape(-1)
