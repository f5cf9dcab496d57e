"""Equal GPUs: what the suites of published files about equal devices behind one switch share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.cluster import Cluster
from models.errors import Fault, InputError
from solver.suites import known


def files_of(
    folder: Path, suffix: str, read: Callable[[Path], object], suite: str, noun: str
) -> list[tuple[str, Path]]:
    """Return the name and path of every file in a folder and those below it.

    Parameters
    ----------
    folder
        Where they lie.
    suffix
        Of the files.
    read
        Reads one; called to find the faults of all.
    suite, noun
        Name of the suite, and what a file is, for the messages.

    Raises
    ------
    InputError
        If there is none, or with every fault of every file.
    """
    paths = sorted(path for path in folder.rglob(f"*{suffix}") if path.name != known.NAME)
    if not paths:
        message = f"no {noun} ({suffix}) in {folder}: give a folder that has one"
        raise InputError([Fault("instances", message)], f"suite {suite}")
    found = [(path.relative_to(folder).with_suffix("").as_posix(), path) for path in paths]
    faults: list[Fault] = []
    for name, path in found:
        try:
            read(path)
        except InputError as error:
            faults += [Fault(f"{name}{suffix}: {fault.path}", fault.message) for fault in error.faults]
    if faults:
        raise InputError(faults, f"suite {suite}")
    return found


def equal_gpus(num: int, bandwidth_bytes_per_s: float, **card: Any) -> Cluster:
    """Return devices of one operation a second behind a switch; without one if there is a single device.

    Parameters
    ----------
    num
        How many.
    bandwidth_bytes_per_s
        Of the switch.
    card
        Further words of the card of each.
    """
    names = [f"gpu{i}" for i in range(num)]
    switch = {"name": "switch", "members": names, "bandwidth_bytes_per_s": bandwidth_bytes_per_s}
    return Cluster.model_validate(
        {
            "name": f"gpus_{num}",
            "devices": [{"name": name, "flop_per_s": {"fp32": 1.0}, **card} for name in names],
            "segments": [switch] if num > 1 else [],
        }
    )
