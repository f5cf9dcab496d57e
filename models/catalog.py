"""The catalogue: workloads, devices and clusters, found by looking in their folders.

One file is one entry, and the file's stem is its name: who adds a file touches nothing else.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from models.cluster import Cluster, Device
from models.cluster_file import read_cluster
from models.document import read, validate
from models.errors import Fault, InputError
from models.workload import Workload

Kind = Literal["workloads", "devices", "clusters"]

ROOT = Path(__file__).parent
SUFFIXES = (".json", ".yaml", ".yml")


@dataclass(frozen=True, order=True)
class Entry:
    """One file of the catalogue.

    Parameters
    ----------
    name
        Catalogue name, the stem of the file.
    path
        Where it lies.
    error
        Why it cannot be used; ``None`` if it can.
    """

    name: str
    path: Path
    error: str | None = None


def entries(kind: Kind) -> tuple[Entry, ...]:
    """Return every entry of one kind, sorted by name; a broken file is listed with its error.

    Parameters
    ----------
    kind
        ``workloads``, ``devices`` or ``clusters``.
    """
    found = []
    for path in _files(kind):
        error = None
        try:
            _CATALOGUED[kind](path)
            if path != _by_name(kind)[path.stem]:
                error = f"name {path.stem!r} is taken by {_by_name(kind)[path.stem].name}"
        except InputError as fault:
            error = str(fault)
        found.append(Entry(path.stem, path, error))
    return tuple(sorted(found))


def workload(ref: str, base: Path | None = None) -> Workload:
    """Return a workload by its catalogue name or path.

    Parameters
    ----------
    ref
        Catalogue name; or a path, which contains ``/`` or ends in .json, .yaml or .yml.
    base
        Folder that a path is relative to; the current one if ``None``.

    Raises
    ------
    InputError
        If there is no such entry (nearest names in the message), or with every fault of the file.
    """
    path = locate("workloads", ref, base)
    return _read_workload(path) if _is_path(ref) else _catalogued_workload(path)


def cluster(ref: str, base: Path | None = None) -> Cluster:
    """Return a cluster by its catalogue name or path, its device cards expanded.

    Parameters
    ----------
    ref
        Catalogue name; or a path, which contains ``/`` or ends in .json, .yaml or .yml.
    base
        Folder that a path is relative to; the current one if ``None``.

    Raises
    ------
    InputError
        If there is no such entry (nearest names in the message), or with every fault of the file.
    """
    path = locate("clusters", ref, base)
    return _read_cluster(path) if _is_path(ref) else _catalogued_cluster(path)


def device(name: str) -> Device:
    """Return a device card by its catalogue name.

    Raises
    ------
    InputError
        If there is no such card (nearest names in the message), or with every fault of the card.
    """
    return _catalogued_device(_find("devices", name))


def locate(kind: Kind, ref: str, base: Path | None = None) -> Path:
    """Return the file a catalogue name or a path stands for.

    Parameters
    ----------
    kind
        ``workloads``, ``devices`` or ``clusters``.
    ref
        Catalogue name; or a path, which contains ``/`` or ends in .json, .yaml or .yml.
    base
        Folder that a path is relative to; the current one if ``None``.

    Raises
    ------
    InputError
        If no entry has this name. Whether a path exists is found out by reading it.
    """
    return (base or Path.cwd()) / ref if _is_path(ref) else _find(kind, ref)


def _is_path(ref: str) -> bool:
    return "/" in ref or ref.endswith(SUFFIXES)


def _files(kind: Kind) -> list[Path]:
    folder = ROOT / kind
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)


def _by_name(kind: Kind) -> dict[str, Path]:
    return {path.stem: path for path in reversed(_files(kind))}


def _find(kind: Kind, name: str) -> Path:
    known = _by_name(kind)
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    message = f"no {kind[:-1]} is called {name!r}; {hint}`partage list {kind}` shows all"
    raise InputError([Fault("", message)], f"{kind[:-1]} {name!r}")


def _read_workload(path: Path) -> Workload:
    try:
        return validate(Workload, read(path), str(path))
    except InputError as error:
        raise InputError(error.faults, str(path)) from None


def _read_device(path: Path) -> Device:
    try:
        card = validate(Device, read(path), str(path))
    except InputError as error:
        raise InputError(error.faults, str(path)) from None
    return card if card.kind else card.model_copy(update={"kind": card.name})


def _read_cluster(path: Path) -> Cluster:
    def card(ref: str) -> Device:
        return _read_device(path.parent / ref) if _is_path(ref) else device(ref)

    return read_cluster(path, card, lambda ref: locate("clusters", ref, path.parent))


def _check_name(name: str, path: Path) -> None:
    if name != path.stem:
        message = f"name {name!r} must be {path.stem!r}, the name of the file; rename one of them"
        raise InputError([Fault("name", message)], str(path))


@cache
def _catalogued_workload(path: Path) -> Workload:
    found = _read_workload(path)
    _check_name(found.name, path)
    return found


@cache
def _catalogued_device(path: Path) -> Device:
    found = _read_device(path)
    _check_name(found.name, path)
    return found


@cache
def _catalogued_cluster(path: Path) -> Cluster:
    found = _read_cluster(path)
    _check_name(found.name, path)
    return found


_CATALOGUED: dict[Kind, Callable[[Path], object]] = {
    "workloads": _catalogued_workload,
    "devices": _catalogued_device,
    "clusters": _catalogued_cluster,
}
