"""Cluster files: devices written as a card and what differs from it, and variants of another cluster.

A device may be written ``{name: nano0, card: jetson_nano, power_mode: 10w, data: [camera]}``: the fields of
the card, as they are in that power mode, and the device's own words before both. A card has its name in the
catalogue, or a path relative to the cluster's file (`partage profile` writes cards). A file with ``extends``
has the devices and the network of another cluster, with other rates and latencies of its segments.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from models.cluster import Cluster, Device
from models.document import Document, read, validate
from models.errors import Fault, InputError

Card = Callable[[str], Device]


class SegmentChange(Document):
    """What a variant changes in a segment.

    Parameters
    ----------
    name
        Name of a segment of the extended cluster.
    bandwidth_bytes_per_s, latency_s
        New rate and latency; the old one if not given.
    """

    name: str
    bandwidth_bytes_per_s: float | None = Field(default=None, gt=0)
    latency_s: float | None = Field(default=None, ge=0)


class Variant(Document):
    """A cluster that differs from another one in its segments' rates or latencies.

    Parameters
    ----------
    version
        Version of the format.
    name, description, source
        As in a cluster.
    extends
        The other cluster: catalogue name, or path relative to this file. It must not extend another one.
    segments
        What changes; segments that are not named stay as they are.
    """

    version: Literal[1] = 1
    name: str = Field(min_length=1)
    extends: str
    description: str = ""
    source: str = ""
    segments: tuple[SegmentChange, ...] = ()


def read_cluster(path: Path, card: Card, locate: Callable[[str], Path]) -> Cluster:
    """Read a cluster file.

    Parameters
    ----------
    path
        The file.
    card
        Gives a device card by its name, or raises `InputError`.
    locate
        Gives the file of another cluster by the word after ``extends``, or raises `InputError`.

    Raises
    ------
    InputError
        With every fault and its path.
    """
    data = read(path)
    if isinstance(data, dict) and "extends" in data:
        return _variant(validate(Variant, data, str(path)), str(path), card, locate)
    return _whole(data, str(path), card)


def _variant(variant: Variant, what: str, card: Card, locate: Callable[[str], Path]) -> Cluster:
    try:
        path = locate(variant.extends)
        data = read(path)
        if isinstance(data, dict) and "extends" in data:
            message = f"{variant.extends!r} itself extends {data['extends']!r}; extend that one"
            raise InputError([Fault("", message)])
        other = _whole(data, str(path), card)
    except InputError as error:
        raise InputError([Fault("extends", str(fault)) for fault in error.faults], what) from None
    faults = []
    changed = dict(other.segment)
    for i, change in enumerate(variant.segments):
        if change.name in changed:
            words = change.model_dump(exclude={"name"}, exclude_none=True)
            changed[change.name] = changed[change.name].model_copy(update=words)
        else:
            message = f"{variant.extends} has no segment {change.name!r}; it has {', '.join(changed)}"
            faults.append(Fault(f"segments.{i}.name", message))
    if faults:
        raise InputError(faults, what)
    data = {name: getattr(other, name) for name in Cluster.model_fields}
    data |= variant.model_dump(include={"name", "description", "source"}, exclude_defaults=True)
    return validate(Cluster, data | {"segments": tuple(changed.values())}, what)


def _whole(data: Any, what: str, card: Card) -> Cluster:
    written = data.get("devices") if isinstance(data, dict) else None
    if not isinstance(written, list):
        return validate(Cluster, data, what)
    devices: list[Device] = []
    faults: list[Fault] = []
    for i, raw in enumerate(written):
        try:
            devices.append(_device(raw, card))
        except InputError as error:
            for fault in error.faults:
                faults.append(Fault(f"devices.{i}.{fault.path}".rstrip("."), fault.message))
            devices.append(_stand_in(raw, i))
    try:
        cluster = validate(Cluster, {**data, "devices": devices}, what)
    except InputError as error:
        faults.extend(error.faults)
    if faults:
        raise InputError(faults, what)
    return cluster


def _stand_in(raw: Any, index: int) -> Device:
    """Return a device that has a name only, so that the network around a faulty one is checked too."""
    name = raw.get("name") if isinstance(raw, dict) else None
    known = name if isinstance(name, str) and name else f"devices.{index}"
    return Device.model_validate({"name": known, "flop_per_s": {"fp32": 1}, "memory_bytes": 0})


def _device(raw: Any, card: Card) -> Device:
    if not isinstance(raw, dict) or not {"card", "power_mode"} & raw.keys():
        return validate(Device, raw, "device")
    own = {key: value for key, value in raw.items() if key not in ("card", "power_mode")}
    words = {**_words_of_card(raw["card"], card), **own} if "card" in raw else own
    faults: list[Fault] = []
    given = words.get("power_modes")
    modes = [str(name) for name in given] if isinstance(given, dict) else []
    mode = raw.get("power_mode")
    if mode is not None and not (isinstance(mode, str) and mode in modes):
        faults.append(Fault("power_mode", _unknown_mode(str(mode), modes)))
    try:
        device = validate(Device, words, "device")
    except InputError as error:
        faults.extend(error.faults)
    if faults:
        raise InputError(faults, "device")
    kept = {key: getattr(device, key) for key in own}
    in_mode = device.in_mode(mode).model_copy(update=kept)
    return validate(Device, in_mode.model_dump(), "device")


def _words_of_card(name: Any, card: Card) -> dict[str, Any]:
    if not isinstance(name, str):
        raise InputError([Fault("card", f"the name of a device card is needed (given: {name!r})")])
    try:
        return card(name).model_dump(exclude={"name"})
    except InputError as error:
        raise InputError([Fault("card", str(fault)) for fault in error.faults]) from None


def _unknown_mode(mode: str, modes: list[str]) -> str:
    if not modes:
        return f"no power mode {mode!r}: this device has none; leave the word out"
    return f"no power mode {mode!r}; this device has {', '.join(modes)}"
