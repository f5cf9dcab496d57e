"""Estimates: which figures of a cluster, used for a plan, nobody measured, and why they are believed."""

from __future__ import annotations

from dataclasses import dataclass

from models.cluster import Cluster, Device
from models.quantity import Quantity
from solver.plan import Plan, share_devices

UNITS = {
    "flop_per_s": "flop/s",
    "memory_bytes": "bytes",
    "memory_bytes_per_s": "bytes/s",
    "idle_w": "W",
    "busy_w": "W",
    "radio_w": "W",
    "sleep_w": "W",
    "overhead_s": "s",
    "battery_j": "J",
    "carbon_g_per_kwh": "g/kWh",
}
ACCOUNTS = ("battery_j", "carbon_g_per_kwh")
"""What matters of devices that take no part, too, unless they are off."""


@dataclass(frozen=True)
class Estimate:
    """An estimated figure that a plan's score rests on.

    Parameters
    ----------
    devices
        Whose.
    figure
        Field of the device card.
    value, unit
        The number and its unit.
    reasoning
        Why it is believed.
    """

    devices: tuple[str, ...]
    figure: str
    value: float
    unit: str
    reasoning: str


def participants(plan: Plan) -> dict[str, None]:
    """Return the devices that are in some stage, in order of the plan."""
    stages = [stage for pipeline in plan.pipelines for stage in pipeline.stages]
    return dict.fromkeys(name for stage in stages for name in share_devices(stage.shares))


def estimates_used(plan: Plan, cluster: Cluster) -> tuple[Estimate, ...]:
    """Return the estimates a plan's score rests on, equal ones of several devices together.

    Parameters
    ----------
    plan, cluster
        Figures of other precisions and other power modes are left out: they change nothing.
    """
    taking_part = participants(plan)
    found: dict[tuple[str, float, str], list[str]] = {}
    for device in cluster.devices:
        choice = plan.devices.get(device.name)
        board = device.in_mode(choice.power_mode if choice else None)
        for field, quantity in _quantities(board, plan.job.precision).items():
            drawn = "sleep_w" if plan.left_out == "sleep" else "idle_w"
            resting = field in (drawn, *ACCOUNTS) and plan.left_out != "off"
            counts = field != "sleep_w" if device.name in taking_part else resting
            if quantity is not None and quantity.estimate and counts:
                found.setdefault((field, quantity.value, quantity.estimate), []).append(device.name)
    return tuple(
        Estimate(tuple(names), field, value, UNITS[field.split(".")[0]], reasoning)
        for (field, value, reasoning), names in found.items()
    )


def _quantities(device: Device, precision: str) -> dict[str, Quantity | None]:
    found: dict[str, Quantity | None] = {
        name: getattr(device, name) for name in UNITS if name != "flop_per_s"
    }
    speeds: dict[str, Quantity] = {str(key): value for key, value in device.flop_per_s.items()}
    return {f"flop_per_s.{precision}": speeds.get(precision)} | found
