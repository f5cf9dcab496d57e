"""Power modes as a decision: which there are to choose from, and problems and plans with modes chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from models.cluster import Device
from solver.plan import DeviceChoice, Plan, participants_of
from solver.problem import Problem

Chosen = Mapping[str, str | None]
"""Power mode by device; ``None``, and devices that are not named: the device's own numbers."""


def modes_of(problem: Problem, device: Device) -> tuple[str | None, ...]:
    """Return the power modes that may be chosen for a device, its own numbers first.

    Parameters
    ----------
    problem
        What is decided.
    device
        One of its cluster.

    Notes
    -----
    A mode that says the same as one before it is left out: cards repeat the device's own numbers as a mode.
    """
    if problem.power_modes == "own":
        return (None,)
    kept: dict[tuple[object, ...], str | None] = {}
    for mode in (None, *device.power_modes):
        board = device.in_mode(mode)
        speed = board.flop_per_s.get(problem.job.precision)
        memory = board.memory_bytes_per_s
        watts = board.idle_w.value, board.busy_w.value
        key = (speed and speed.value, memory and memory.value, board.slowdown, *watts)
        kept.setdefault(key, mode)
    return tuple(kept.values())


def resting_mode(problem: Problem, device: Device) -> str | None:
    """Return the mode in which a device that takes no part draws least; its own where none is better.

    Parameters
    ----------
    problem
        What is decided.
    device
        One of its cluster.
    """
    return min(modes_of(problem, device), key=lambda mode: device.in_mode(mode).left_out_w(problem.left_out))


def in_modes(problem: Problem, chosen: Chosen) -> Problem:
    """Return the same problem on devices that are in some power modes already; no others may be chosen.

    Parameters
    ----------
    problem
        What is decided.
    chosen
        Modes.
    """
    boards = [device.in_mode(chosen.get(device.name)) for device in problem.cluster.devices]
    return replace(problem, cluster=problem.cluster.with_devices(boards), power_modes="own")


def with_modes(problem: Problem, plan: Plan, chosen: Chosen) -> Plan:
    """Return a plan for a problem's own cluster whose devices are in some power modes.

    Parameters
    ----------
    problem
        What is decided.
    plan
        A plan for the problem, or for what :func:`in_modes` makes of it.
    chosen
        Modes of the devices that take part; the others rest.
    """
    used, devices = participants_of(plan), dict(plan.devices)
    for device in problem.cluster.devices:
        name = device.name
        mode = chosen.get(name) if name in used else resting_mode(problem, device)
        choice = devices.pop(name, DeviceChoice()).model_copy(update={"power_mode": mode})
        if choice != DeviceChoice():
            devices[name] = choice
    reference = plan.cluster.model_copy(update={"sha256": problem.cluster.digest})
    return plan.model_copy(update={"devices": devices, "cluster": reference})


def chosen_in(plan: Plan) -> dict[str, str | None]:
    """Return the power modes that a plan names.

    Parameters
    ----------
    plan
        Any plan.
    """
    return {name: choice.power_mode for name, choice in plan.devices.items()}
