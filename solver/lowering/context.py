"""Context of a lowering: the plan beside what it names, resolved once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from models.cluster import Cluster, Device
from models.workload import Workload
from solver.collective import Hop
from solver.costs import BlockCost, Costs
from solver.plan import Plan
from solver.settings import Settings


@dataclass
class Context:
    """A plan with its workload and cluster, and the lanes their Program runs on.

    Parameters
    ----------
    plan, workload, cluster, settings
        What is lowered.
    units
        Compute lanes: (device, name).
    """

    plan: Plan
    workload: Workload
    cluster: Cluster
    settings: Settings
    units: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Give every device its compute lane."""
        self.units.extend((device.name, device.name) for device in self.cluster.devices)

    @cached_property
    def costs(self) -> Costs:
        """Costs of the blocks under the plan's job."""
        return Costs(self.workload, self.plan.job, trains_a=self.plan.sync.rule != "ffa")

    @cached_property
    def devices(self) -> dict[str, Device]:
        """Devices in the power mode the plan chose."""
        choices = self.plan.devices
        return {
            name: device.in_mode(choices[name].power_mode if name in choices else None)
            for name, device in self.cluster.by_name.items()
        }

    @cached_property
    def unit_of(self) -> dict[str, int]:
        """The shared compute lane of every device."""
        return {device.name: i for i, device in enumerate(self.cluster.devices)}

    def rank(self, device: str) -> int | None:
        """Return the LoRA rank of a device; ``None`` for the job's."""
        choice = self.plan.devices.get(device)
        return choice.rank if choice else None

    def cost(self, block: str, device: str) -> BlockCost:
        """Return the costs of a block at the rank of a device."""
        return self.costs.block(block, self.rank(device))

    @cached_property
    def lanes(self) -> tuple[str, ...]:
        """Names of all lanes: compute lanes, then send, receive, media, and one per spectrum member."""
        names = [f"{name}:compute" for _, name in self.units]
        if self.settings.overlap:
            names += [f"{device.name}:{way}" for way in ("send", "recv") for device in self.cluster.devices]
        for segment in self.cluster.segments:
            if segment.kind == "shared":
                names.append(f"{segment.name}:medium")
            if segment.spectrum is not None:
                members = segment.spectrum.gain
                names += [f"{segment.name}:{name}:{way}" for name in members for way in ("up", "down")]
        return tuple(names)

    @cached_property
    def lane_of(self) -> dict[str, int]:
        """Number of every lane."""
        return {name: i for i, name in enumerate(self.lanes)}

    def lane(self, device: str, way: str) -> int:
        """Return the send or receive lane of a device; its compute lane where nothing overlaps."""
        return self.lane_of[f"{device}:{way if self.settings.overlap else 'compute'}"]

    def _share(self, device: str) -> float | None:
        choice = self.plan.devices.get(device)
        return choice.bandwidth_hz if choice else None

    def transfer(self, source: str, target: str, size: int) -> tuple[float, tuple[int, ...]]:
        """Return (seconds, lanes) of a message.

        Parameters
        ----------
        source, target
            Two different devices.
        size
            Bytes.
        """
        hop, first, last = self._way(source, target)
        shared = tuple(self.lane_of[f"{medium}:medium"] for medium in hop.media)
        lanes = tuple(dict.fromkeys((first, last, *shared)))
        return self.settings.message_s + hop.latency_s + size / hop.bytes_per_s, lanes

    def _way(self, source: str, target: str) -> tuple[Hop, int, int]:
        """Return what lies between two devices, and the lanes on which a message leaves and arrives."""
        link = self.cluster.link(source, target)
        rate, media = link.bytes_per_s, list(link.media)
        first, last = self.lane(source, "send"), self.lane(target, "recv")
        for name in link.spectra:
            spectrum = self.cluster.segment[name].spectrum
            for member, other, way in ((source, target, "up"), (target, source, "down")):
                hertz = self._share(member)
                if spectrum is None or hertz is None:
                    continue
                choice = self.plan.devices[member]
                own = spectrum.rate_bytes_per_s(member, hertz, choice.tx_power_w)
                rate = min(rate, own) if self._share(other) else own
                media = [medium for medium in media if medium != name]
                if way == "up":
                    last = self.lane_of[f"{name}:{member}:up"] if not self._share(target) else last
                else:
                    first = self.lane_of[f"{name}:{member}:down"] if not self._share(source) else first
        return Hop(rate, link.latency_s, tuple(media)), first, last

    def hop(self, source: str, target: str) -> Hop:
        """Return what lies between two devices, for a ring."""
        return self._way(source, target)[0]

    def distance(self, source: str, target: str) -> float:
        """Return seconds per byte between two devices; 0 from a device to itself."""
        return 0.0 if source == target else 1.0 / self.cluster.link(source, target).bytes_per_s

    def radio_w(self, device: str) -> float:
        """Return the extra power of a device while it sends."""
        choice = self.plan.devices.get(device)
        if choice and choice.tx_power_w is not None:
            return choice.tx_power_w
        return self.devices[device].radio_w.value

    def extra_w(self, device: str) -> float:
        """Return the extra power of a device while it computes."""
        return self.devices[device].busy_w.value - self.devices[device].idle_w.value
