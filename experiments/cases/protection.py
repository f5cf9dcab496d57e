"""Ways to be ready for the loss of a device: copies on neighbours, replicas, checkpoints, one board."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from experiments.cases.families import distinct_orders, subsets
from experiments.cases.orders import hybrids
from solver.evaluate import evaluate
from solver.lowering.context import Context
from solver.plan import Plan, share_devices
from solver.problem import Problem
from solver.repair.backups import protected, unsafe_stages
from solver.repair.stock import context_of, places
from solver.solve import solve

MOST_PROTECTED = 8
"""Fastest plans for which places of copies are looked for."""


@dataclass(frozen=True)
class Ready:
    """A plan that is ready for the loss of a device, by one of the ways.

    Parameters
    ----------
    way
        ``restart``, ``one board``, ``copies`` or ``replicas``.
    plan
        With copies on neighbours, if that is the way.
    free_s, free_j
        A step that renews nothing: seconds, joules.
    due_s, due_j
        What a renewal of copies, or a checkpoint, adds.
    due_bytes
        Bytes it sends.
    peak_bytes
        Memory of the fullest device.
    """

    way: str
    plan: Plan
    free_s: float
    free_j: float
    due_s: float = 0.0
    due_j: float = 0.0
    due_bytes: int = 0
    peak_bytes: int = 0

    @property
    def devices(self) -> tuple[str, ...]:
        """Devices whose loss matters."""
        return devices_of(self.plan)

    def step_s(self, every: int) -> float:
        """Return the mean seconds of a step that renews every so many steps."""
        return self.free_s + self.due_s / every


def devices_of(plan: Plan) -> tuple[str, ...]:
    """Return the devices of a plan, each once."""
    named = [n for p in plan.pipelines for stage in p.stages for n in share_devices(stage.shares)]
    return tuple(dict.fromkeys(named))


def pool(problem: Problem, extra: Iterable[Plan]) -> list[Plan]:
    """Return plans of two devices or more, fastest first: Asteroid's in all orders of all subsets, and more.

    Parameters
    ----------
    problem
        What is decided, on a cluster of equal links.
    extra
        Further plans.
    """
    found = list(extra)
    for names in subsets(problem):
        part = replace(problem, participants=names)
        found += [one.plan for one in hybrids(part, distinct_orders(part)) if one.plan is not None]
        found += [plan] if (plan := solve(part, "data_parallel").plan) is not None else []
    several = {plan.key: plan for plan in found if len(devices_of(plan)) > 1}
    step_s = {key: evaluate(p, problem.workload, problem.cluster).step_time_s for key, p in several.items()}
    return sorted(several.values(), key=lambda plan: step_s[plan.key])


def with_copies(problem: Problem, plans: Sequence[Plan]) -> Ready | None:
    """Return the fastest plan that copies on neighbours make safe; ``None`` if none fits.

    Parameters
    ----------
    problem, plans
        What is decided; plans, fastest first.
    """
    for plan in plans[:MOST_PROTECTED]:
        safe = protected(plan, problem.workload, problem.cluster)
        if not unsafe_stages(safe, problem.workload, problem.cluster):
            return _ready(problem, "copies", safe)
    return None


def with_replicas(problem: Problem, plans: Sequence[Plan]) -> Ready | None:
    """Return the fastest plan that keeps every weight in two places; ``None`` if there is none.

    Parameters
    ----------
    problem, plans
        What is decided; plans, fastest first.
    """
    safe = (p for p in plans if not unsafe_stages(p, problem.workload, problem.cluster))
    found = next(safe, None)
    return None if found is None else _ready(problem, "replicas", found)


def with_checkpoints(problem: Problem, way: str, plan: Plan) -> Ready:
    """Return a plan whose state goes to a network disk on the switch now and then, while training waits.

    Parameters
    ----------
    problem, way, plan
        What is decided, and how it is called.

    Notes
    -----
    Each weight is sent once, one device after another, because the disk has one link; everybody draws idle
    power meanwhile. The disk's own power is not counted.
    """
    ready = _ready(problem, way, plan)
    size = sum(held_bytes(problem, plan).values())
    seconds = disk_s(problem, size)
    idle_w = sum(device.idle_w.value for device in problem.cluster.devices)
    radio_w = max(problem.cluster.by_name[name].radio_w.value for name in ready.devices)
    return replace(ready, due_s=seconds, due_j=seconds * (idle_w + radio_w), due_bytes=size)


def disk_s(problem: Problem, num_bytes: int) -> float:
    """Return the seconds bytes take to or from the disk, at the rate of the switch."""
    one, two = problem.cluster.devices[:2]
    link = problem.cluster.link(one.name, two.name)
    return link.latency_s + num_bytes / link.bytes_per_s


def held_bytes(problem: Problem, plan: Plan) -> dict[str, int]:
    """Return weights and optimizer state of every block."""
    context: Context = context_of(plan, problem.workload, problem.cluster)
    found = {}
    for block in places(context):
        cost = context.costs.block(block)
        found[block] = cost.weight_bytes + context.costs.state_bytes(cost.trained_bytes)
    return found


def restored_bytes(problem: Problem, plan: Plan) -> int:
    """Return the bytes that the devices of a plan read from the disk to begin."""
    size = held_bytes(problem, plan)
    context = context_of(plan, problem.workload, problem.cluster)
    return sum(size[block] * len(parts) for block, parts in places(context).items())


def _ready(problem: Problem, way: str, plan: Plan) -> Ready:
    bare = evaluate(plan.model_copy(update={"backup": ()}), problem.workload, problem.cluster)
    due = evaluate(plan, problem.workload, problem.cluster)
    return Ready(
        way,
        plan,
        bare.step_time_s,
        bare.energy_j,
        due.step_time_s - bare.step_time_s,
        due.energy_j - bare.energy_j,
        due.traffic_bytes - bare.traffic_bytes,
        due.peak_memory_bytes,
    )
