"""Deployment: what every device must hold before the first step, as folders that can be carried there.

::

    deployment/
        manifest.json          what it is of, what placing costs, the sha256 of every other file; written last
        nano0/
            part.json          which part of which block the files beside it are
            00-patches.safetensors
            program.tsv        what the device will do in a step
            backup-0-1/        a copy of stage 1 of pipeline 0, which the plan has it keep for others
                part.json
                ...

A device needs nothing but its own folder. The parts are written and read as those that workers leave behind
(:mod:`solver.execution.state.remains`); nothing in them is executed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field

from models.document import Document, read, validate
from models.errors import Fault, InputError
from models.nets.shard import Shard
from models.workload import Workload
from solver.execution.passes.replica import Replica
from solver.execution.state.block_state import Part, joined, set_part, set_state
from solver.execution.state.checkpoint import load_entry
from solver.execution.state.gather import needed
from solver.execution.state.remains import PART, Left
from solver.plan import Plan

MANIFEST, PROGRAM, BACKUP = "manifest.json", "program.tsv", "backup-"


class Content(Document):
    """A file of a deployment.

    Parameters
    ----------
    sha256
        Digest of its content.
    num_bytes
        Its size.
    """

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    num_bytes: int = Field(ge=0)


class Place(Document):
    """One device.

    Parameters
    ----------
    folder
        Its folder.
    blocks, backups
        Blocks it holds, wholly or in part; blocks of others of which it keeps a copy.
    weight_bytes, backup_bytes
        Their weights, as the cards say.
    there_s
        Predicted seconds until they are there, from the start of placing.
    peak_bytes, limit_bytes
        Predicted peak of its memory in training, and what it has.
    """

    folder: str
    blocks: tuple[str, ...]
    backups: tuple[str, ...] = ()
    weight_bytes: int
    backup_bytes: int
    there_s: float
    peak_bytes: int
    limit_bytes: int


class Manifest(Document):
    """The JSON of a deployment.

    Parameters
    ----------
    version
        Of this format.
    plan_sha256, workload, workload_sha256, cluster, cluster_sha256
        What it is of.
    net, seed
        Whose weights, and from which seed; without a net there are none.
    source
        Device on which the model lies before.
    moved_bytes, seconds
        Predicted: what goes over links, and how long that takes.
    devices
        By name.
    files
        By path in the folder.
    """

    version: Literal[1] = 1
    plan_sha256: str
    workload: str
    workload_sha256: str
    cluster: str
    cluster_sha256: str
    net: str | None
    seed: int = Field(ge=0)
    source: str
    moved_bytes: int
    seconds: float
    devices: dict[str, Place]
    files: dict[str, Content]


@dataclass(frozen=True)
class Deployment:
    """A deployment on disk.

    Parameters
    ----------
    folder
        Where it is.
    manifest
        Its JSON.
    """

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a deployment.

        Raises
        ------
        InputError
            If there is none, or its JSON is damaged.
        """
        path = folder / MANIFEST
        if not path.exists():
            message = f"{folder} is no deployment: it has no {MANIFEST}; partage deploy makes one"
            raise InputError([Fault("deployment", message)], "deployment")
        return cls(folder, validate(Manifest, read(path), str(path)))

    @property
    def digest(self) -> str:
        """The sha256 of what it says of itself."""
        return hashlib.sha256((self.folder / MANIFEST).read_bytes()).hexdigest()

    def faults(self, device: str | None = None) -> Iterator[Fault]:
        """Yield every file that is missing, damaged, or not in the manifest.

        Parameters
        ----------
        device
            Whose files must be there; ``None``: those of all.
        """
        own = "" if device is None else f"{self.manifest.devices[device].folder}/"
        for name, wanted in self.manifest.files.items():
            if not name.startswith(own):
                continue
            try:
                content = (self.folder / name).read_bytes()
            except OSError as error:
                yield Fault(f"files.{name}", f"cannot be read: {error.strerror or error}")
                continue
            if hashlib.sha256(content).hexdigest() != wanted.sha256:
                yield Fault(f"files.{name}", f"is damaged: its sha256 is not the one in {MANIFEST}")
        for name in sorted(files_below(self.folder) - {*self.manifest.files, MANIFEST}):
            yield Fault(f"files.{name}", f"is not in {MANIFEST}; remove it, or deploy anew")

    def misfits(self, plan: Plan, workload: Workload, seed: int | None) -> Iterator[Fault]:
        """Yield why a run cannot begin with it.

        Parameters
        ----------
        plan, workload
            The run.
        seed
            Of the run; ``None``: that of the deployment.
        """
        manifest = self.manifest
        if manifest.plan_sha256 != plan.digest:
            message = f"it is of another plan ({manifest.plan_sha256[:12]}, this one is {plan.digest[:12]})"
            yield Fault("plan_sha256", f"{message}; deploy this plan")
        if manifest.workload_sha256 != workload.digest:
            message = f"it is of {manifest.workload}, this run of {workload.name}; their digests differ"
            yield Fault("workload_sha256", message)
        if manifest.net is None or manifest.net != workload.net:
            yield Fault("net", f"it has weights of {manifest.net or 'no net'}, the run needs {workload.net}")
        if seed is not None and seed != manifest.seed:
            message = f"its weights are from seed {manifest.seed}, given is {seed}; leave the seed out"
            yield Fault("seed", message)


def deployed(
    folder: Path, plan: Plan, workload: Workload, seed: int | None, device: str | None = None
) -> Deployment:
    """Return the deployment a run begins with.

    Parameters
    ----------
    folder, plan, workload, seed
        Where it is, and the run; see :meth:`Deployment.misfits`.
    device
        Who looks at it, on a machine that needs no others' files; ``None``: one machine plays all devices.

    Raises
    ------
    InputError
        If it is damaged or of another run, with every fault.
    """
    found = Deployment.open(folder)
    faults = list(found.misfits(plan, workload, seed))
    if device is None or device in found.manifest.devices:
        faults += found.faults(device)
    if faults:
        raise InputError(faults, f"deployment {folder}")
    return found


def take_up(folder: Path, device: str, replica: Replica) -> None:
    """Give a replica the weights that were placed.

    Parameters
    ----------
    folder
        The deployment.
    device
        Whose replica it is; what lies in its own folder goes first.
    replica
        Before its first update. Under a plan that was made since, for the devices that were left, it takes
        what it needs from the folders of all.
    """
    places = {name: place.folder for name, place in Deployment.open(folder).manifest.devices.items()}
    own = _parts(folder / places[device]) if device in places else {}
    missing = [
        block
        for block in replica.net.blocks
        if block not in own or not set_part(replica, block, own[block]())
    ]
    if missing:
        everywhere = [_parts(folder / place) for place in places.values()]
        for block in missing:
            set_state(replica, block, _whole(block, everywhere))


def _whole(block: str, everywhere: Iterable[dict[str, Any]]) -> Any:
    parts = {str(i): found[block]() for i, found in enumerate(everywhere) if block in found}
    chosen = needed({name: dict(part.cuts) for name, part in parts.items()})
    return joined(parts[name] for name in chosen)


def _parts(folder: Path) -> dict[str, Any]:
    """Return by block how to read what a device has of it; its own blocks go before its copies of others."""
    found: dict[str, Any] = {}
    for place in (*sorted(folder.glob(f"{BACKUP}*")), folder):
        if (place / PART).exists():
            left = validate(Left, read(place / PART), str(place))
            found |= {block: _Reader(place, left, block) for block in left.blocks}
    return found


@dataclass(frozen=True)
class _Reader:
    """Reads one block from a folder."""

    folder: Path
    left: Left
    block: str

    def __call__(self) -> Part:
        cuts = {key: Shard(**cut.model_dump()) for key, cut in self.left.cuts[self.block].items()}
        return Part(load_entry(self.folder, self.left.blocks[self.block]), cuts)


def files_below(folder: Path) -> set[str]:
    """Return the paths of all files in a folder, relative to it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
