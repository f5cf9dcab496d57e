"""Accounts: what a step costs beside time and joules: grams CO2e, battery, bytes to devices of less trust."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.cluster import Cluster

J_PER_KWH = 3.6e6
"""Joules of a kilowatt-hour."""


@dataclass(frozen=True)
class Battery:
    """A device's battery, and how fast a step empties it.

    Parameters
    ----------
    battery_j
        What it holds for the training.
    step_j
        Energy of the device in a step, whole board: 0 if the plan leaves the device out and off.
    step_time_s
        Of a step.
    """

    battery_j: float
    step_j: float
    step_time_s: float

    @property
    def num_steps(self) -> float:
        """Whole steps that the battery lasts for; infinite if a step takes nothing of it."""
        if not self.step_j:
            return math.inf
        return math.floor(self.battery_j / self.step_j * (1 + 1e-12))

    @property
    def lasts_s(self) -> float:
        """Seconds of training until it is empty; infinite if a step takes nothing of it."""
        return self.battery_j / self.step_j * self.step_time_s if self.step_j else math.inf


@dataclass(frozen=True)
class Accounts:
    """What the cluster gives words for; empty tables where it does not.

    Parameters
    ----------
    carbon_g
        Grams CO2e of a step, by device whose supply's intensity is known.
    num_unknown
        Devices whose intensity is not known, where that of others is.
    batteries
        By device that has one.
    untrusted
        Bytes by (source, target) where the target is trusted less.
    trust
        Levels by device, where they differ.
    """

    carbon_g: dict[str, float] = field(default_factory=dict)
    num_unknown: int = 0
    batteries: dict[str, Battery] = field(default_factory=dict)
    untrusted: dict[tuple[str, str], int] = field(default_factory=dict)
    trust: dict[str, int] = field(default_factory=dict)

    @property
    def total_carbon_g(self) -> float:
        """Grams CO2e of a step, of the devices whose intensity is known."""
        return sum(self.carbon_g.values())

    @property
    def first_empty(self) -> str | None:
        """The device whose battery is empty first; ``None`` without batteries that a step takes from."""
        used = [name for name, one in self.batteries.items() if one.step_j > 0]
        return min(used, key=lambda name: self.batteries[name].lasts_s, default=None)

    def to_json(self) -> dict[str, Any]:
        """Return what there is as plain data; tables that the cluster gives no words for are left out."""
        found: dict[str, Any] = {}
        if self.carbon_g:
            found |= {
                "carbon_g": self.total_carbon_g,
                "carbon_by_device_g": self.carbon_g,
                "devices_without_carbon": self.num_unknown,
            }
        if self.batteries:
            found["batteries"] = {name: _battery_json(one) for name, one in self.batteries.items()}
        if self.trust:
            found["trust"] = self.trust
            found["untrusted_by_link_bytes"] = {f"{a}->{b}": size for (a, b), size in self.untrusted.items()}
        return found


def _battery_json(battery: Battery) -> dict[str, float | None]:
    endless = not battery.step_j
    return {
        "battery_j": battery.battery_j,
        "step_j": battery.step_j,
        "num_steps": None if endless else battery.num_steps,
        "lasts_s": None if endless else battery.lasts_s,
    }


def make_accounts(
    cluster: Cluster,
    energy_j: Mapping[str, float],
    step_time_s: float,
    traffic: Mapping[tuple[str, str], int],
) -> Accounts:
    """Return the accounts of a step.

    Parameters
    ----------
    cluster
        Which devices have a battery, a supply of known intensity, and a level of trust.
    energy_j
        Energy of a step by device, whole boards, as the plan says for those it leaves out.
    step_time_s
        Of a step.
    traffic
        Bytes by (source, target).
    """
    carbon, batteries = {}, {}
    for device in cluster.devices:
        joules = energy_j[device.name]
        if device.carbon_g_per_kwh is not None:
            carbon[device.name] = joules * device.carbon_g_per_kwh.value / J_PER_KWH
        if device.battery_j is not None:
            batteries[device.name] = Battery(device.battery_j.value, joules, step_time_s)
    trust = {device.name: device.trust for device in cluster.devices}
    return Accounts(
        carbon_g=carbon,
        num_unknown=len(cluster.devices) - len(carbon) if carbon else 0,
        batteries=batteries,
        untrusted={(a, b): size for (a, b), size in traffic.items() if size and trust[b] < trust[a]},
        trust=trust if len(set(trust.values())) > 1 else {},
    )
