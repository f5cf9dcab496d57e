"""Devices, the network between them, and clusters of both."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, Self

import networkx as nx
from pydantic import Field, model_validator

from models.document import Document
from models.errors import Fault, InputError
from models.quantity import Number, Quantity
from models.workload import Precision, TimeProfile, Workload


class PowerMode(Document):
    """What changes in a power mode: sustained speed and busy power.

    Parameters
    ----------
    flop_per_s
        Sustained speed by precision.
    busy_w
        Whole-board power while computing.
    idle_w
        Whole-board power while waiting; the device's own if not given.
    memory_bytes_per_s
        Memory bandwidth; the device's own if not given.
    """

    flop_per_s: dict[Precision, Number]
    busy_w: Number
    idle_w: Number | None = None
    memory_bytes_per_s: Number | None = None


class Device(Document):
    """One edge device.

    Parameters
    ----------
    name
        Unique in the cluster (or the kind, on a device card).
    kind
        What it is, as ``jetson_nano``; measured profiles are looked up by it.
    flop_per_s
        Sustained speed by precision, floating-point operations per second.
    memory_bytes
        Memory that training or serving may use.
    memory_bytes_per_s
        Memory bandwidth, which bounds the weight update; null: the update takes no time.
    idle_w, busy_w, radio_w, sleep_w
        Whole-board power waiting and computing; extra power while a link sends, and while it
        receives; power asleep.
    overhead_s
        Time every operation costs beside its arithmetic.
    power_modes
        Modes a plan may name; without a name the device's own numbers hold.
    resources
        Named resources for services, as ``{"cpu": 4, "ram": 4e9}``.
    data
        Names of the data (modalities, labels) this device owns.
    trust
        Level of trust; what crosses to a lower level is counted.
    battery_j
        Energy of its battery that the training may use, whole board; null: it is on mains.
    carbon_g_per_kwh
        Grams CO2e that a kilowatt-hour of its supply stands for; null: not known, and not counted.
    profiles
        Measured times on this device in its own power mode: workload name, then block name. They go before
        those of its kind on the workload's card, and before flop / speed.
    slowdown
        Factor on measured times of its kind; not 1 where its speed is not the one they were measured at.
    """

    name: str = Field(min_length=1)
    kind: str = ""
    description: str = ""
    flop_per_s: dict[Precision, Number] = Field(min_length=1)
    memory_bytes: Number
    memory_bytes_per_s: Number | None = None
    idle_w: Number = Quantity(value=0)
    busy_w: Number = Quantity(value=0)
    radio_w: Number = Quantity(value=0)
    sleep_w: Number = Quantity(value=0)
    overhead_s: Number = Quantity(value=0)
    power_modes: dict[str, PowerMode] = Field(default_factory=dict)
    resources: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    data: tuple[str, ...] = ()
    trust: int = 0
    battery_j: Number | None = None
    carbon_g_per_kwh: Number | None = None
    profiles: dict[str, dict[str, TimeProfile]] = Field(default_factory=dict)
    slowdown: float = Field(default=1, gt=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise InputError(faults, f"device {self.name}")
        return self

    def _faults(self) -> Iterator[Fault]:
        for precision, speed in self.flop_per_s.items():
            if speed.value <= 0:
                yield Fault(f"flop_per_s.{precision}", "speed must be above zero")
        if self.memory_bytes_per_s is not None and self.memory_bytes_per_s.value <= 0:
            yield Fault("memory_bytes_per_s", "memory bandwidth must be above zero")
        if self.battery_j is not None and self.battery_j.value <= 0:
            yield Fault("battery_j", "a battery holds more than 0 J; leave the word out for a board on mains")
        if self.busy_w.value < self.idle_w.value:
            yield Fault("busy_w", f"busy power {self.busy_w.value} W is below idle {self.idle_w.value} W")
        for name, mode in self.power_modes.items():
            for precision, speed in mode.flop_per_s.items():
                if speed.value <= 0:
                    yield Fault(f"power_modes.{name}.flop_per_s.{precision}", "speed must be above zero")
            idle_w = (mode.idle_w or self.idle_w).value
            if mode.busy_w.value < idle_w:
                message = f"busy power {mode.busy_w.value} W is below idle {idle_w} W"
                yield Fault(f"power_modes.{name}.busy_w", message)

    def in_mode(self, mode: str | None) -> Device:
        """Return the device as it is in a power mode.

        Parameters
        ----------
        mode
            Name of the mode; ``None`` for the device's own numbers.

        Raises
        ------
        KeyError
            If the device has no such mode.

        Notes
        -----
        Times measured in the device's own mode are scaled by the ratio of the two speeds (in fp32 if the mode
        has it, else in its first precision), as if blocks were bound by arithmetic.
        """
        if mode is None:
            return self
        chosen = self.power_modes[mode]
        factor = self._ratio(chosen)
        change: dict[str, Any] = {
            "flop_per_s": {**self.flop_per_s, **chosen.flop_per_s},
            "busy_w": chosen.busy_w,
            "slowdown": self.slowdown * factor,
            "profiles": {
                workload: {block: times.slower(factor) for block, times in table.items()}
                for workload, table in self.profiles.items()
            },
        }
        for word in ("idle_w", "memory_bytes_per_s"):
            if getattr(chosen, word) is not None:
                change[word] = getattr(chosen, word)
        return self.model_copy(update=change)

    def _ratio(self, mode: PowerMode) -> float:
        """Return how much slower a mode is than the device's own numbers."""
        both = [precision for precision in mode.flop_per_s if precision in self.flop_per_s]
        if not both:
            return 1.0
        chosen = "fp32" if "fp32" in both else both[0]
        return self.flop_per_s[chosen].value / mode.flop_per_s[chosen].value

    def left_out_w(self, left_out: str) -> float:
        """Return the whole-board power of the device while it is in no stage, watt.

        Parameters
        ----------
        left_out
            What it does then: ``idle``, ``sleep`` or ``off``.
        """
        return {"idle": self.idle_w.value, "sleep": self.sleep_w.value, "off": 0.0}[left_out]

    def times(self, workload: Workload) -> Mapping[str, TimeProfile]:
        """Return measured times of a workload's blocks by name: its own, or those of its kind."""
        of_kind = workload.profiles.get(self.kind, {})
        if self.slowdown != 1:
            of_kind = {block: times.slower(self.slowdown) for block, times in of_kind.items()}
        own = self.profiles.get(workload.name)
        return of_kind if own is None else {**of_kind, **own}

    @property
    def has_measured_power(self) -> bool:
        """Whether idle and busy power were both measured on this device; otherwise its energy is modelled."""
        return bool(self.idle_w.measured and self.busy_w.measured)

    @property
    def estimates(self) -> dict[str, str]:
        """Fields that are estimates, with their reasoning."""
        found: dict[str, str] = {}

        def visit(path: str, value: object) -> None:
            if isinstance(value, Quantity):
                if value.estimate:
                    found[path] = value.estimate
            elif isinstance(value, dict):
                for key, part in value.items():
                    visit(f"{path}.{key}" if path else str(key), part)
            elif isinstance(value, PowerMode):
                visit(path, {name: getattr(value, name) for name in type(value).model_fields})

        visit("", {name: getattr(self, name) for name in type(self).model_fields})
        return found


class Spectrum(Document):
    """A radio spectrum shared out in hertz: every member gets its own lane.

    Rate of a member with share b: ``b log2(1 + p h / (N0 b))`` bit/s, with transmit power p, channel
    gain h and noise density N0.

    Parameters
    ----------
    bandwidth_hz
        What there is to share out.
    noise_w_per_hz
        Noise density N0.
    gain
        Channel gain h of every member, by device name.
    tx_power_w
        Transmit power of every member, unless the plan says otherwise.
    """

    bandwidth_hz: float = Field(gt=0)
    noise_w_per_hz: float = Field(gt=0)
    gain: dict[str, Annotated[float, Field(gt=0)]]
    tx_power_w: float = Field(gt=0)

    def rate_bytes_per_s(self, member: str, bandwidth_hz: float, tx_power_w: float | None = None) -> float:
        """Return the rate of one member, bytes per second.

        Parameters
        ----------
        member
            Device name.
        bandwidth_hz
            Its share of the spectrum.
        tx_power_w
            Its transmit power; the spectrum's default if ``None``.
        """
        power = self.tx_power_w if tx_power_w is None else tx_power_w
        snr = power * self.gain[member] / (self.noise_w_per_hz * bandwidth_hz)
        return bandwidth_hz * math.log2(1 + snr) / 8


class Segment(Document):
    """A piece of network that joins its members: devices, or other segments by their name.

    Parameters
    ----------
    name
        Unique among devices and segments.
    kind
        ``switch``: any pair at full rate at once; ``shared``: one transfer at a time for all members
        (an access point, a bridge).
    members
        Names of devices or segments.
    bandwidth_bytes_per_s
        Rate of a transfer through it.
    latency_s
        Added to every message through it.
    spectrum
        For a radio whose spectrum is shared out in hertz; then ``bandwidth_bytes_per_s`` is the rate of
        members to which the plan gives no hertz.
    """

    name: str = Field(min_length=1)
    kind: Literal["switch", "shared"] = "switch"
    members: tuple[str, ...] = Field(min_length=2)
    bandwidth_bytes_per_s: float = Field(gt=0)
    latency_s: float = Field(default=0, ge=0)
    spectrum: Spectrum | None = None


class PairLink(Document):
    """A direct link between two devices; it goes before any path through segments.

    Parameters
    ----------
    between
        The two devices.
    bandwidth_bytes_per_s, latency_s
        Rate and latency, the same both ways.
    """

    between: tuple[str, str]
    bandwidth_bytes_per_s: float = Field(gt=0)
    latency_s: float = Field(default=0, ge=0)


class Link(NamedTuple):
    """What lies between two devices, resolved.

    Parameters
    ----------
    bytes_per_s, latency_s
        Rate of the slowest piece, sum of the latencies.
    media
        Names of the shared segments it passes, each of which serves one transfer at a time.
    spectra
        Names of the segments on the way whose spectrum is shared out.
    """

    bytes_per_s: float
    latency_s: float
    media: tuple[str, ...] = ()
    spectra: tuple[str, ...] = ()


class Cluster(Document):
    """Devices and the network between them, validated at construction with every fault listed.

    Parameters
    ----------
    version
        Version of the format.
    name
        Catalogue name.
    devices
        At least one.
    segments, links
        The network; every device must reach every other.
    """

    version: Literal[1] = 1
    name: str = Field(min_length=1)
    description: str = ""
    source: str = ""
    devices: tuple[Device, ...] = Field(min_length=1)
    segments: tuple[Segment, ...] = ()
    links: tuple[PairLink, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise InputError(faults, f"cluster {self.name}")
        return self

    def _faults(self) -> Iterator[Fault]:
        names: list[str] = []
        for part in ("devices", "segments"):
            for i, item in enumerate(getattr(self, part)):
                if item.name in names:
                    yield Fault(f"{part}.{i}.name", f"name {item.name!r} is given twice")
                names.append(item.name)
        devices = {device.name for device in self.devices}
        sound = True
        for i, segment in enumerate(self.segments):
            for j, member in enumerate(segment.members):
                if member not in names or member == segment.name:
                    sound = False
                    yield Fault(
                        f"segments.{i}.members.{j}", f"no device or other segment is called {member!r}"
                    )
            for member in segment.spectrum.gain if segment.spectrum else ():
                if member not in devices:
                    yield Fault(f"segments.{i}.spectrum.gain.{member}", f"no device is called {member!r}")
        for i, link in enumerate(self.links):
            for member in link.between:
                if member not in devices:
                    sound = False
                    yield Fault(f"links.{i}.between", f"no device is called {member!r}")
            if link.between[0] == link.between[1]:
                yield Fault(f"links.{i}.between", f"a link from {link.between[0]!r} to itself")
        if sound and len(devices) > 1:
            parts = [sorted(part & devices) for part in nx.connected_components(self._graph())]
            islands = [part for part in parts if part]
            if len(islands) > 1:
                shown = "; ".join("{" + ", ".join(part) + "}" for part in sorted(islands))
                yield Fault(
                    "segments", f"the cluster is not connected: {shown}; join them by a segment or link"
                )
            else:
                yield from self._unreachable()

    def _unreachable(self) -> tuple[Fault, ...]:
        try:
            self.links_by_pair  # noqa: B018  (computed once, here, so that a sound cluster stays sound)
        except InputError as error:
            return error.faults
        return ()

    def _graph(self) -> nx.Graph:
        graph = nx.Graph()
        graph.add_nodes_from(device.name for device in self.devices)
        for segment in self.segments:
            for member in segment.members:
                graph.add_edge(segment.name, member, weight=1)
        for link in self.links:
            graph.add_edge(*link.between, weight=2 - 1e-9)
        return graph

    @cached_property
    def by_name(self) -> dict[str, Device]:
        """Devices by name."""
        return {device.name: device for device in self.devices}

    @cached_property
    def segment(self) -> dict[str, Segment]:
        """Segments by name."""
        return {segment.name: segment for segment in self.segments}

    @cached_property
    def links_by_pair(self) -> dict[tuple[str, str], Link]:
        """What lies between every ordered pair of different devices: fewest segments, then fastest."""
        direct = {frozenset(link.between): link for link in self.links}
        graph = self._graph()
        found: dict[tuple[str, str], Link] = {}
        # Devices of the same segments have the same ways: a big cluster has few kinds of pairs.
        around = {name: tuple(graph.neighbors(name)) for name in self.by_name}
        known: dict[tuple[tuple[str, ...], tuple[str, ...]], Link] = {}
        for source in self.by_name:
            # A path may pass segments only: other devices do not forward.
            others = set(self.by_name) - {source}
            for target in others:
                if frozenset((source, target)) in direct:
                    link = direct[frozenset((source, target))]
                    found[source, target] = Link(
                        bytes_per_s=link.bandwidth_bytes_per_s, latency_s=link.latency_s
                    )
            within = graph.subgraph([name for name in graph if name not in others])
            paths = nx.single_source_shortest_path(within, source) if source in within else {}
            for target in others:
                if (source, target) not in found:
                    kind = around[source], around[target]
                    if kind not in known:
                        known[kind] = self._best_path(graph, paths, source, target)
                    found[source, target] = known[kind]
        return found

    def _best_path(self, graph: nx.Graph, paths: dict[str, list[str]], source: str, target: str) -> Link:
        choices = []
        for last in graph.neighbors(target):
            if last in self.segment and last in paths:
                choices.append(self._link([name for name in paths[last] if name != source]))
        if not choices:
            message = f"{source} reaches {target} only through other devices, which do not forward messages"
            raise InputError([Fault("segments", message + "; join them by a segment or link")], self.name)
        return min(choices, key=lambda item: (item[0], -item[1].bytes_per_s))[1]

    def _link(self, segments: list[str]) -> tuple[int, Link]:
        passed = [self.segment[name] for name in segments]
        link = Link(
            bytes_per_s=min(part.bandwidth_bytes_per_s for part in passed),
            latency_s=sum(part.latency_s for part in passed),
            media=tuple(part.name for part in passed if part.kind == "shared"),
            spectra=tuple(part.name for part in passed if part.spectrum is not None),
        )
        return len(passed), link

    def with_devices(self, devices: Iterable[Device]) -> Cluster:
        """Return the cluster with other numbers of the same devices, in their order.

        Parameters
        ----------
        devices
            One for each device, of the same name.
        """
        copy = self.model_copy(update={"devices": tuple(devices)})
        for word in self.__dict__.keys() - copy.__dict__.keys() - {"by_name", "digest"}:
            copy.__dict__[word] = self.__dict__[word]  # the network is the same
        return copy

    def link(self, source: str, target: str) -> Link:
        """Return what lies between two different devices."""
        return self.links_by_pair[source, target]
